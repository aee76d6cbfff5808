"""Elliptical Gaussians as a telescope sees them, at any pixels of an image."""

import math

import numpy as np
from jaxtyping import Float, Int
from scipy.signal import fftconvolve

from lenspinn.fitting.gaussians import gaussian_sizes

__all__ = ["blurred_gaussians"]

Kernel = Float[np.ndarray, "v u"]

WIDE = 5.0
"""Standard deviation, pixels, from which on a PSF only adds its second moments to a Gaussian."""
REACH = 5.0
"""Standard deviations of those that are narrower, up to which they are computed."""
NO_BLUR = np.zeros(3)
LEAST_AXES = 1e-3
"""Of ``1 - e^2``, which is 0 for a line."""


def blurred_gaussians(
    shape: Float[np.ndarray, " 6"],
    places: Int[np.ndarray, "2 pixels"],
    num_pix: int,
    pixel_scale: float,
    psf: Kernel | None,
) -> Float[np.ndarray, "terms pixels"]:
    """Return both groups of Gaussians of `lenspinn.fitting.gaussians`, blurred, each of flux 1.

    Parameters
    ----------
    shape
        Centre (x, y, arcsec), and ellipticity (e1, e2) of each group.
    places
        Rows and columns from the middle pixel of the image.
    num_pix
        Of the image, which sets the sizes.
    pixel_scale : arcsec
    psf
        Of sum 1; None for none.

    Returns
    -------
    (terms, pixels)
        In rising order of size in each group.
    """
    center = shape[:2] / pixel_scale
    blur = NO_BLUR if psf is None else _moments(psf)
    y, x = places
    terms = []
    for e1, e2 in (shape[2:4], shape[4:6]):
        for size in gaussian_sizes(num_pix):
            moments = _ellipse(size, e1, e2)
            if psf is not None and size < WIDE:
                terms.append(_narrow(moments, center, places, psf))
            else:
                terms.append(_gaussian(moments + blur, x - center[0], y - center[1]))
    return np.stack(terms)


def _narrow(
    moments: np.ndarray, center: np.ndarray, places: np.ndarray, psf: Kernel
) -> Float[np.ndarray, " pixels"]:
    """Return a Gaussian that is not much wider than the PSF, made on a stamp."""
    reach = math.ceil(REACH * WIDE) + len(psf) // 2
    y, x = np.indices((2 * reach + 1, 2 * reach + 1)) - reach
    sharp = _gaussian(moments, x - center[0], y - center[1])
    stamp = fftconvolve(sharp, psf, mode="same")
    row, column = places + reach
    inside = (np.abs(places) <= reach).all(axis=0)
    return np.where(inside, stamp[np.where(inside, row, 0), np.where(inside, column, 0)], 0.0)


def _ellipse(size: float, e1: float, e2: float) -> Float[np.ndarray, " 3"]:
    """Return the second moments xx, yy and xy of a Gaussian, square pixels."""
    axes = max(LEAST_AXES, 1 - e1**2 - e2**2)
    return size**2 / axes * np.array([(1 + e1) ** 2 + e2**2, (1 - e1) ** 2 + e2**2, 2 * e2])


def _gaussian(moments: np.ndarray, dx: np.ndarray, dy: np.ndarray) -> np.ndarray:
    xx, yy, xy = moments
    determinant = xx * yy - xy**2
    squared = (yy * dx**2 + xx * dy**2 - 2 * xy * dx * dy) / determinant
    result: np.ndarray = np.exp(-0.5 * squared) / (2 * math.pi * math.sqrt(determinant))
    return result


def _moments(psf: Kernel) -> Float[np.ndarray, " 3"]:
    """Return the second moments xx, yy and xy of a PSF, square pixels."""
    rows, columns = psf.shape
    y, x = np.indices(psf.shape) - np.array([rows // 2, columns // 2])[:, None, None]
    return np.array([(psf * product).sum() for product in (x * x, y * y, x * y)])
