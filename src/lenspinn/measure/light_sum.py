"""The lens light of a measurement as a sum of Gaussians."""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float
from scipy.optimize import nnls

from lenspinn.fitting.gaussians import gaussian_sizes
from lenspinn.measure.blurred_gaussians import blurred_gaussians
from lenspinn.measure.plain_parameters import magnitude

__all__ = ["LightGroup", "LightSum", "light_sum"]

Pixels = Float[np.ndarray, "y x"]

EXACT = 1e-9
"""Largest relative misfit at which a sum counts as equal to the lens light."""


@dataclass(frozen=True, kw_only=True, eq=False)
class LightGroup:
    """Gaussians of one centre and ellipticity."""

    e1: float
    e2: float
    sigma: Float[np.ndarray, " sizes"]
    """Standard deviation of each Gaussian, the geometric mean of both axes, arcsec."""
    flux: Float[np.ndarray, " sizes"]
    """Flux of each Gaussian over the whole sky, before the PSF, in the unit of the image; negative
    where a fit subtracts some of the light of other Gaussians."""


@dataclass(frozen=True, kw_only=True, eq=False)
class LightSum:
    """A lens galaxy as a sum of elliptical Gaussians, and the sky under it."""

    center_x: float
    """Position of the centre along x, as `center_y` in arcsec from the middle pixel of the
    frame."""
    center_y: float
    groups: tuple[LightGroup, ...]
    sky: float
    """Flux of the sky in each pixel, in the unit of the image."""
    flux_in_frame: float
    """Flux of the galaxy within the frame, in the unit of the image."""
    misfit: float
    """Largest difference from the lens light that the sum was fitted to, over the light's largest
    value."""

    def to_json(self, zero_point: float | None) -> dict[str, Any]:
        """Return the galaxy in plain units.

        Parameters
        ----------
        zero_point
            AB magnitude of a flux of 1 in the unit of the image, if it is known.
        """
        fluxes = np.array([group.flux.sum() for group in self.groups])
        weights = fluxes / max(float(fluxes.sum()), np.finfo(float).tiny)
        e1, e2 = (
            float(weights @ [getattr(group, name) for group in self.groups])
            for name in ("e1", "e2")
        )
        ellipticity = math.hypot(e1, e2)
        plain = {
            "center_x_arcsec": self.center_x,
            "center_y_arcsec": self.center_y,
            "e1": e1,
            "e2": e2,
            "axis_ratio": (1 - ellipticity) / (1 + ellipticity),
            "position_angle_deg": math.degrees(0.5 * math.atan2(e2, e1)),
            "flux_in_frame": self.flux_in_frame,
            "sky_per_pixel": self.sky,
        }
        if zero_point is not None and self.flux_in_frame > 0:
            plain["magnitude_in_frame"] = magnitude(self.flux_in_frame, zero_point)
        return plain


def light_sum(
    lens_light: Pixels,
    shape: Float[np.ndarray, " 6"],
    *,
    pixel_scale: float,
    psf: Float[np.ndarray, "v u"] | None,
    positive: bool = False,
) -> LightSum:
    """Return the lens light of a measurement as a sum of Gaussians, positive where possible.

    Parameters
    ----------
    lens_light : (y, x)
        Lens light with the sky.
    shape
        Centre and ellipticities, as in `lenspinn.fitting.gaussians.LightShape`.
    pixel_scale : side of a pixel, arcsec
    psf
        PSF that the light is blurred by; None for no blurring.
    positive
        Whether no Gaussian may be negative, even where the sum then differs from the light.
    """
    num_pix = len(lens_light)
    places = np.indices(lens_light.shape).reshape(2, -1) - num_pix // 2
    gaussians = blurred_gaussians(shape, places, num_pix, pixel_scale, psf)
    columns = np.concatenate([gaussians, np.ones((1, gaussians.shape[1]))]).T
    amplitudes = _amplitudes(columns, lens_light.ravel(), positive)
    left = columns @ amplitudes - lens_light.ravel()
    fluxes, sky = amplitudes[:-1], float(amplitudes[-1])
    sizes = np.array(gaussian_sizes(num_pix)) * pixel_scale
    ellipticities = shape[2:].reshape(-1, 2).tolist()
    return LightSum(
        center_x=float(shape[0]),
        center_y=float(shape[1]),
        groups=tuple(
            LightGroup(e1=e1, e2=e2, sigma=sizes, flux=flux)
            for (e1, e2), flux in zip(
                ellipticities, fluxes.reshape(len(ellipticities), -1), strict=True
            )
        ),
        sky=sky,
        flux_in_frame=float((fluxes @ gaussians).sum()),
        misfit=float(np.abs(left).max() / max(np.abs(lens_light).max(), np.finfo(float).tiny)),
    )


def _amplitudes(
    columns: Float[np.ndarray, "pixels terms"], light: Float[np.ndarray, " pixels"], positive: bool
) -> Float[np.ndarray, " terms"]:
    """Return the amplitudes of Gaussians, and of the sky as the last, whose sum is the light."""
    scale = np.linalg.norm(columns, axis=0)
    columns = columns / scale
    # The light lies in the span of the columns, so pixels reduce to as many rows as columns.
    unit, triangle = np.linalg.qr(columns)
    target = unit.T @ light
    both = np.concatenate([triangle, -triangle[:, -1:]], axis=1)  # the sky may be negative
    found, misfit = nnls(both, target, maxiter=100 * both.shape[1])
    if not positive and misfit > EXACT * np.linalg.norm(target):
        amplitudes = np.linalg.lstsq(triangle, target, rcond=None)[0]
    else:
        amplitudes = np.append(found[:-2], found[-2] - found[-1])
    result: np.ndarray = amplitudes / scale
    return result
