"""One image and the lenses fitted to it; each fit is made once and shared."""

from dataclasses import dataclass, replace

import numpy as np

from lenspinn.measure.arcs import Arcs, LensLightMode, find_arcs
from lenspinn.measure.lens_fit import fit_arcs
from lenspinn.measure.lens_measurement import LensMeasurement
from lenspinn.measure.noise_map import AnyPixels

__all__ = ["FittedLens", "ImageFits", "fit_rings", "measure_lens"]

OTHER_RINGS = 2
"""Largest number of other rings that are tried."""


@dataclass(frozen=True, kw_only=True, eq=False)
class FittedLens:
    """The arcs of an image, and the lens that was fitted to them.

    It is the end of a measurement, and the start of a search for clumps and of a network that fits
    lenses.
    """

    arcs: Arcs
    measured: LensMeasurement
    """Measurement in the unit of the arcs."""

    @property
    def measurement(self) -> LensMeasurement:
        """Measurement in the unit of the image."""
        return self.measured.in_unit(self.arcs.unit)


class ImageFits:
    """The image of a lens, and the lenses that were fitted to it so far.

    Parameters
    ----------
    image, pixel_scale, noise, psf, mask
        Image and companions as in `measure_lens`.
    """

    def __init__(
        self,
        image: AnyPixels,
        *,
        pixel_scale: float,
        noise: AnyPixels | None = None,
        psf: AnyPixels | None = None,
        mask: AnyPixels | None = None,
    ) -> None:
        self.image, self.pixel_scale = image, pixel_scale
        self.noise, self.psf, self.mask = noise, psf, mask
        self._made: dict[tuple[bytes | None, float | None, LensLightMode | None], FittedLens] = {}

    def fitted(
        self,
        *,
        psf: AnyPixels | None = None,
        theta_E_guess: float | None = None,
        lens_light: LensLightMode | None = None,
    ) -> FittedLens:
        """Return the fitted lens; a fit with the same options is not made again.

        Parameters
        ----------
        psf
            PSF that is assumed where none is known.
        theta_E_guess, lens_light
            Options as in `measure_lens`.

        Raises
        ------
        ImageError
            If the image cannot be measured; see `measure_lens`.
        """
        psf = psf if self.psf is None else self.psf
        asked = (None if psf is None else np.asarray(psf).tobytes(), theta_E_guess, lens_light)
        if asked not in self._made:
            arcs = find_arcs(
                self.image,
                pixel_scale=self.pixel_scale,
                noise=self.noise,
                psf=psf,
                mask=self.mask,
                theta_E_guess=theta_E_guess,
                lens_light=lens_light,
            )
            self._made[asked] = fit_rings(arcs)
        return self._made[asked]


def measure_lens(
    image: AnyPixels,
    *,
    pixel_scale: float,
    noise: AnyPixels | None = None,
    psf: AnyPixels | None = None,
    mask: AnyPixels | None = None,
    theta_E_guess: float | None = None,
    lens_light: LensLightMode | None = None,
) -> LensMeasurement:
    """Measure the Einstein radius of a galaxy-galaxy lens.

    An isothermal ellipsoid with shear and an elliptical Sersic source, each with weak priors
    (`lenspinn.measure.joint_fit`), and the lens light as a sum of elliptical Gaussians
    (`lenspinn.measure.lens_light`) are fitted together, from several starts around the ring that
    remains when the lens light is subtracted, or around the centre of mass if there is no lens
    light.

    Parameters
    ----------
    image : (y, x)
        Image with the lens near its centre, in any unit. Pixels that are not finite are left out.
    pixel_scale : side of a pixel, arcsec.
    noise : (y, x)
        Standard deviations, in the unit of the image; 0, 1e5 times the noise of the sky and above,
        and values that are not finite leave a pixel out. By default the noise is estimated from the
        image (`lenspinn.measure.noise_map.estimate_noise`).
    psf
        PSF in pixels of the image, its peak in the middle; it is normalised here. Without a PSF the
        image is taken as unblurred, and the measurement is not trusted; give ``np.ones((1, 1))``
        for an image that is unblurred.
    mask : (y, x)
        Mask; anything but 0 leaves a pixel out.
    theta_E_guess
        Einstein radius to begin with, arcsec, between a pixel and half the image; by default the
        radius of the ring.
    lens_light
        Treatment of the lens light: "model", "mask" (leave out the inner part of the ring), or
        "none", for an image without lens light. By default it is modelled if the lens galaxy shows
        (`lenspinn.measure.lens_galaxy`).

    Raises
    ------
    ImageError
        If arrays differ in shape, one is given in two roles, or too few pixels are left to fit.
    """
    fits = ImageFits(image, pixel_scale=pixel_scale, noise=noise, psf=psf, mask=mask)
    return fits.fitted(theta_E_guess=theta_E_guess, lens_light=lens_light).measurement


def fit_rings(arcs: Arcs) -> FittedLens:
    """Fit arcs, and, where the fit is not trusted, the same image around its other rings.

    Returns
    -------
    FittedLens
        First fit that is trusted, else the fit that the fewest reasons speak against.
    """
    found = [FittedLens(arcs=arcs, measured=fit_arcs(arcs))]
    for radius in arcs.others[:OTHER_RINGS]:
        if found[-1].measured.trusted:
            break
        again = arcs.with_ring(radius)
        found.append(FittedLens(arcs=again, measured=fit_arcs(again)))
    best = min(found, key=lambda each: len(each.measured.reasons))
    measured = best.measured
    for doubt in arcs.doubts:
        measured = measured.doubted(doubt)
    return replace(best, measured=measured)
