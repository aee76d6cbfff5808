"""Faults of the DeepLense simulator, one switch each.

The published DeepLense images carry these departures from physics, so a comparison with published
numbers needs them, and nothing else does. Each was read in, and is reproduced from,
``mwt5345/DeepLenseSim`` (``deeplense/lens.py``).
"""

from dataclasses import dataclass

__all__ = ["Faults"]


@dataclass(frozen=True, kw_only=True)
class Faults:
    """Departures from correct physics; every default is the correct behaviour."""

    luminosity_distances: bool = False
    """Turn masses into Einstein radii with luminosity distances and D_ls = D_s - D_l.

    Correct: angular-diameter distances. 10^12 solar masses at z = 0.5 before a source at z = 1.0
    have theta_E = 1.281" with the fault and 1.665" without."""

    rounded_arcsec: bool = False
    """Take 206265 arcsec for a radian, which makes Einstein radii 9.4e-7 too large."""

    z_source_convention: float | None = None
    """Source redshift for which Einstein radii and shear are taken to be stated.

    The simulator says 2.5 while its source is at 1.0, so every deflection (lens, shear and
    substructure) is scaled by 0.6335. Correct: None, the source's own redshift."""

    convention_Om0: float | None = None
    """Matter density of the cosmology in which the scaling by `z_source_convention` is computed.

    The simulator takes it from whichever pyHalo is installed, not from its own cosmology: 0.309 for
    pyHalo 0.2.9 (scaling 0.63346, theta_E 0.8118"). The authors' published images were made with
    0.2814 (scaling 0.63431, theta_E 0.8129"). None: the recipe's own."""

    source_core: float | None = None
    """Hold the source's brightness constant inside this radius, arcsec.

    lenstronomy's default was 0.001 when the simulator was written: where the source centre falls on
    a pixel, that pixel is up to 0.5 % fainter. None: lenstronomy's present 0.0001."""

    fixed_subhalo_count: bool = False
    """Place exactly the mean number of subhalos: the Poisson number is drawn and then ignored."""

    shallow_mass_function: bool = False
    """Take the slope of the subhalo mass function per ln m, -0.9, for that per m, -1.9.

    Half of the subhalos then exceed 3e8 solar masses instead of 2e6, and an image holds eight above
    1e9 instead of one in twenty-three: most of what tells cdm from no_sub in the published data."""

    noise_left_out: bool = False
    """Compute the noise and not add it to the image."""

    image_doubled: bool = False
    """Add the noise-free image to itself, in the place of the noise."""

    second_poisson: bool = False
    """Take the noisy image's counts, clipped at 0, as the mean of a second Poisson draw.

    Photon noise is then counted twice, and negative counts of the subtracted background are lost.
    """

    counts: bool = False
    """Store counts instead of e-/s, though each image has an exposure time of its own."""
