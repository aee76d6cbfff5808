"""Light of an image that belongs to neighbours of a lens, and not to its arcs."""

import numpy as np
from jaxtyping import Bool, Float
from scipy import ndimage

__all__ = ["neighbours"]

Pixels = Float[np.ndarray, "y x"]

SMOOTHING = 1.0
"""Standard deviation of the Gaussian that smooths the image, pixels."""
BRIGHT = 2.0
"""Least brightness of neighbours in a smoothed image, in units of the noise of a pixel."""
BORDER = 2
"""Width of the margin around bright pixels that belongs to them, pixels."""


def neighbours(significance: Pixels, far: Bool[np.ndarray, "y x"]) -> Bool[np.ndarray, "y x"]:
    """Return a mask of light that belongs to peaks in the region of `far`.

    A pixel belongs to the peak that the steepest ascent from it leads to. So an arc is not cut
    where it comes near to a neighbour, nor where it reaches far out itself.

    Parameters
    ----------
    significance : (y, x)
        Image without lens light, in units of the noise; 0 where a pixel is left out.
    far : (y, x)
        Mask of the region in which no arc has its peak.
    """
    smooth = ndimage.gaussian_filter(significance, SMOOTHING)
    bright = (smooth > BRIGHT) & far.ravel()[_summits(smooth)].reshape(far.shape)
    return ndimage.binary_dilation(bright, iterations=BORDER)


def _summits(image: Pixels) -> np.ndarray:
    """Return for each pixel the flat index of the peak that the steepest ascent leads to."""
    rows, columns = image.shape
    own = np.arange(image.size).reshape(image.shape)
    padded = np.pad(image, 1, constant_values=-np.inf)
    best, uphill = image, own
    for row, column in np.ndindex(3, 3):
        there = padded[row : row + rows, column : column + columns]
        higher = there > best
        best = np.where(higher, there, best)
        uphill = np.where(higher, own + (row - 1) * columns + column - 1, uphill)
    way = uphill.ravel()
    while (way[way] != way).any():
        way = way[way]
    return way
