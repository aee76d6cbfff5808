"""Elliptical Gaussians blurred by a PSF, at any pixels of an image."""

import math

import numpy as np
from jaxtyping import Float, Int
from scipy.signal import fftconvolve

from lenspinn.fitting.gaussians import gaussian_sizes

__all__ = ["blurred_gaussians", "shape_derivatives"]

Kernel = Float[np.ndarray, "v u"]
Maps = Float[np.ndarray, "terms pixels"]
Derivatives = Float[np.ndarray, "6 pixels"]

WIDE = 5.0
"""Least standard deviation of a Gaussian, pixels, to which the PSF is only added by its second
moments."""
REACH = 5.0
"""Radius up to which narrower Gaussians are computed, in units of `WIDE`."""
NO_BLUR = np.zeros(3)
"""Second moments xx, yy and xy of no PSF, square pixels."""
LEAST_AXES = 1e-3
"""Least value of ``1 - e^2``, which is 0 for a line."""


def blurred_gaussians(
    shape: Float[np.ndarray, " 6"],
    places: Int[np.ndarray, "2 pixels"],
    num_pix: int,
    pixel_scale: float,
    psf: Kernel | None,
) -> Maps:
    """Return both groups of Gaussians of `lenspinn.fitting.gaussians`, blurred, each of flux 1.

    Parameters
    ----------
    shape
        Centre (x, y, arcsec), and ellipticity (e1, e2) of each group.
    places
        Rows and columns of the pixels, from the middle pixel of the image.
    num_pix
        Pixels a side of the image, which set the sizes of the Gaussians.
    pixel_scale : side of a pixel, arcsec
    psf
        PSF in pixels of the image, of sum 1; None for no blurring.

    Returns
    -------
    (terms, pixels)
        Gaussians in rising order of size in each group.
    """
    centre, blur = shape[:2] / pixel_scale, _blur(psf)
    narrow, wide = _narrow_and_wide(num_pix, psf)
    y, x = places
    terms = []
    for e1, e2 in (shape[2:4], shape[4:6]):
        if psf is not None and narrow:
            dy, dx = _stamp(psf)
            sharp = [
                _gaussian(_ellipse(size, e1, e2), dx - centre[0], dy - centre[1])[0]
                for size in narrow
            ]
            terms.append(_seen_at(places, np.stack(sharp), psf))
        terms.append(
            np.stack(
                [
                    _gaussian(_ellipse(size, e1, e2) + blur, x - centre[0], y - centre[1])[0]
                    for size in wide
                ]
            )
        )
    return np.concatenate(terms)


def shape_derivatives(
    shape: Float[np.ndarray, " 6"],
    amplitudes: Float[np.ndarray, " terms"],
    places: Int[np.ndarray, "2 pixels"],
    num_pix: int,
    pixel_scale: float,
    psf: Kernel | None,
) -> Derivatives:
    """Return the derivatives of a sum of `blurred_gaussians` by their shape, amplitudes fixed.

    Parameters
    ----------
    shape, places, num_pix, pixel_scale, psf
        Parameters of `blurred_gaussians`.
    amplitudes
        Amplitudes of the terms of the sum.
    """
    centre, blur = shape[:2] / pixel_scale, _blur(psf)
    narrow, wide = _narrow_and_wide(num_pix, psf)
    result = np.zeros((6, places.shape[1]))
    groups = amplitudes.reshape(2, -1)
    for group, (e1, e2) in enumerate((shape[2:4], shape[4:6])):
        rows = [0, 1, 2 + 2 * group, 3 + 2 * group]
        of_narrow, of_wide = groups[group, : len(narrow)], groups[group, len(narrow) :]
        if psf is not None and of_narrow.any():
            from_middle = _stamp(psf)
            sharp = _group_derivatives(narrow, of_narrow, (e1, e2), NO_BLUR, from_middle, centre)
            result[rows] += _seen_at(places, sharp, psf)
        result[rows] += _group_derivatives(wide, of_wide, (e1, e2), blur, places, centre)
    result[:2] /= pixel_scale
    return result


def _narrow_and_wide(num_pix: int, psf: Kernel | None) -> tuple[list[float], list[float]]:
    """Return the sizes of Gaussians that are blurred on a stamp, and of the wider ones."""
    sizes = gaussian_sizes(num_pix)
    num_narrow = 0 if psf is None else sum(size < WIDE for size in sizes)
    return list(sizes[:num_narrow]), list(sizes[num_narrow:])


def _group_derivatives(
    sizes: list[float],
    amplitudes: np.ndarray,
    ellipticity: tuple[float, float],
    blur: np.ndarray,
    places: np.ndarray,
    centre: np.ndarray,
) -> np.ndarray:
    """Return the derivatives of one group by x and y of its centre, pixels, and by e1 and e2."""
    dx, dy = places[1] - centre[0], places[0] - centre[1]
    result = np.zeros((4, *dx.shape))
    for size, amplitude in zip(sizes, amplitudes, strict=True):
        if amplitude == 0:
            continue
        moments = _ellipse(size, *ellipticity) + blur
        value, x, y = _gaussian(moments, dx, dy)
        value *= amplitude
        xx, yy, xy = moments
        determinant = xx * yy - xy**2
        result[0] += value * x
        result[1] += value * y
        for row, (by_xx, by_yy, by_xy) in enumerate(_by_ellipticity(size, *ellipticity), start=2):
            trace = (yy * by_xx + xx * by_yy - 2 * xy * by_xy) / determinant
            result[row] += 0.5 * value * (by_xx * x * x + by_yy * y * y + 2 * by_xy * x * y - trace)
    return result


def _stamp(psf: Kernel) -> Int[np.ndarray, "2 side side"]:
    """Return rows and columns, from its middle, of a stamp that holds the narrow Gaussians."""
    reach = math.ceil(REACH * WIDE) + len(psf) // 2
    return np.indices((2 * reach + 1, 2 * reach + 1)) - reach


def _seen_at(
    places: Int[np.ndarray, "2 pixels"], sharp: Float[np.ndarray, "maps side side"], psf: Kernel
) -> Float[np.ndarray, "maps pixels"]:
    """Blur stamps, and return their values at pixels; 0 outside of the stamps."""
    stamps = fftconvolve(sharp, psf[None], mode="same", axes=(1, 2))
    reach = sharp.shape[-1] // 2
    row, column = places + reach
    inside = (np.abs(places) <= reach).all(axis=0)
    return np.where(inside, stamps[:, np.where(inside, row, 0), np.where(inside, column, 0)], 0.0)


def _ellipse(size: float, e1: float, e2: float) -> Float[np.ndarray, " 3"]:
    """Return the second moments xx, yy and xy of a Gaussian, square pixels."""
    axes = max(LEAST_AXES, 1 - e1**2 - e2**2)
    return size**2 / axes * np.array([(1 + e1) ** 2 + e2**2, (1 - e1) ** 2 + e2**2, 2 * e2])


def _by_ellipticity(size: float, e1: float, e2: float) -> Float[np.ndarray, "2 3"]:
    """Return the derivatives of `_ellipse` by e1 and e2."""
    axes = max(LEAST_AXES, 1 - e1**2 - e2**2)
    through_axes = 2 * np.outer([e1, e2], _ellipse(size, e1, e2)) / axes
    direct = np.array([[2 * (1 + e1), -2 * (1 - e1), 0.0], [2 * e2, 2 * e2, 2.0]])
    return through_axes + size**2 / axes * direct


def _gaussian(
    moments: np.ndarray, dx: np.ndarray, dy: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return a Gaussian of flux 1, and the inverse of its moments times the offset, x and y."""
    xx, yy, xy = moments
    determinant = xx * yy - xy**2
    x, y = (yy * dx - xy * dy) / determinant, (xx * dy - xy * dx) / determinant
    value = np.exp(-0.5 * (x * dx + y * dy)) / (2 * math.pi * math.sqrt(determinant))
    return value, x, y


def _blur(psf: Kernel | None) -> Float[np.ndarray, " 3"]:
    """Return the second moments xx, yy and xy of a PSF, square pixels; 0 without a PSF."""
    if psf is None:
        return NO_BLUR
    rows, columns = psf.shape
    y, x = np.indices(psf.shape) - np.array([rows // 2, columns // 2])[:, None, None]
    return np.array([(psf * product).sum() for product in (x * x, y * y, x * y)])
