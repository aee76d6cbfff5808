"""One image and the lenses fitted to it: each fit is made once, whoever asks for it."""

from dataclasses import dataclass, replace

import numpy as np

from lenspinn.measure.arcs import Arcs, LensLightMode, find_arcs
from lenspinn.measure.lens_fit import fit_arcs
from lenspinn.measure.lens_measurement import LensMeasurement
from lenspinn.measure.noise_map import AnyPixels

__all__ = ["FittedLens", "ImageFits", "fit_rings", "measure_lens"]

OTHER_RINGS = 2
"""That are tried at most."""


@dataclass(frozen=True, kw_only=True, eq=False)
class FittedLens:
    """The arcs of an image, and the lens that was fitted to them.

    With it a measurement ends, and a search for clumps and a network that fits lenses begin.
    """

    arcs: Arcs
    measured: LensMeasurement
    """In the unit of the arcs."""

    @property
    def measurement(self) -> LensMeasurement:
        """What was measured, in the unit of the image."""
        return self.measured.in_unit(self.arcs.unit)


class ImageFits:
    """The image of a lens, and what was fitted to it so far.

    Parameters
    ----------
    image, pixel_scale, noise, psf, mask
        As of `measure_lens`.
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
        """Return the fitted lens; it is fitted where this was not asked for before.

        Parameters
        ----------
        psf
            To be assumed where none is known.
        theta_E_guess, lens_light
            As of `measure_lens`.

        Raises
        ------
        ImageError
            As `measure_lens`.
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
    remains when the lens light is taken away, and around the centre of mass if there is none.

    Parameters
    ----------
    image : (y, x)
        The lens near its centre, in any unit. Pixels that are not finite are left out.
    pixel_scale : arcsec.
    noise : (y, x)
        Standard deviations, in the unit of the image; 0, 1e5 times that of the sky and above, and
        what is not finite leave a pixel out. By default
        `lenspinn.measure.noise_map.estimate_noise`.
    psf
        Its peak in the middle; normalised here. Without one the image is taken as unblurred, and
        the measurement not trusted; say ``np.ones((1, 1))`` of an image that is unblurred.
    mask : (y, x)
        Anything but 0 leaves a pixel out.
    theta_E_guess
        Arcsec, between a pixel and half the image; by default the ring's radius.
    lens_light
        What is done about it: "model", "mask" (leave out the inner part of the ring), or "none",
        for an image without any. By default modelled if the lens galaxy shows
        (`lenspinn.measure.lens_galaxy`).

    Raises
    ------
    ImageError
        If images do not fit together, one is given as another, or nothing is left to fit.
    """
    fits = ImageFits(image, pixel_scale=pixel_scale, noise=noise, psf=psf, mask=mask)
    return fits.fitted(theta_E_guess=theta_E_guess, lens_light=lens_light).measurement


def fit_rings(arcs: Arcs) -> FittedLens:
    """Fit arcs, and, where there is no trust in that, the same image around its other rings.

    Returns
    -------
    FittedLens
        The first that is trusted, else those that the fewest reasons speak against.
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
