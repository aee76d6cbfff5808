"""The lens light of a measurement as the Gaussians that it is a sum of."""

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
"""Relative misfit of a sum that is the light itself."""


@dataclass(frozen=True, kw_only=True, eq=False)
class LightGroup:
    """Gaussians of one centre and ellipticity."""

    e1: float
    e2: float
    sigma: Float[np.ndarray, " sizes"]
    """Standard deviations, arcsec, the geometric mean of both axes."""
    flux: Float[np.ndarray, " sizes"]
    """Of each, before the PSF, over the whole sky, in the unit of the image; negative where a fit
    took some of the light of others away."""


@dataclass(frozen=True, kw_only=True, eq=False)
class LightSum:
    """A lens galaxy as a sum of elliptical Gaussians, and the sky under it."""

    center_x: float
    """Arcsec from the middle pixel of the frame."""
    center_y: float
    groups: tuple[LightGroup, ...]
    sky: float
    """In each pixel."""
    flux_in_frame: float
    """Of the galaxy, in the pixels of the frame."""
    misfit: float
    """Largest difference to the light that was taken apart, over its largest value."""

    def to_json(self, zero_point: float | None) -> dict[str, Any]:
        """Return the galaxy in plain units.

        Parameters
        ----------
        zero_point
            AB magnitude of a flux of 1, if it is known.
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
    """Take the lens light of a measurement apart into Gaussians, none negative if that can be.

    Parameters
    ----------
    lens_light : (y, x)
        With the sky.
    shape
        Centre and ellipticities, as `lenspinn.fitting.gaussians.LightShape`.
    pixel_scale : arcsec
    psf
        What the light was blurred by.
    positive
        Whether no Gaussian may be negative, even if their sum is then not quite the light.
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
    """Return the amplitudes of Gaussians and sky, the last, that light is the sum of."""
    scale = np.linalg.norm(columns, axis=0)
    columns = columns / scale
    # All of the light lies in the span of the columns: a row a column is left of the pixels.
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
