"""Which light of an image belongs to neighbours of a lens, and not to its arcs."""

import numpy as np
from jaxtyping import Bool, Float
from scipy import ndimage

__all__ = ["neighbours"]

Pixels = Float[np.ndarray, "y x"]

SMOOTHING = 1.0
"""Standard deviation, pixels."""
BRIGHT = 2.0
"""Of a smoothed image in units of the noise of its pixels."""
BORDER = 2
"""Pixels around what is bright that belong to it."""


def neighbours(significance: Pixels, far: Bool[np.ndarray, "y x"]) -> Bool[np.ndarray, "y x"]:
    """Return where light is whose brightest place is far off.

    A pixel belongs to the place that a steepest way uphill leads to: an arc is not cut where it
    comes near to a neighbour, nor where it reaches far out itself.

    Parameters
    ----------
    significance : (y, x)
        The image without lens light, in units of the noise; 0 where a pixel is left out.
    far : (y, x)
        Where no arc is brightest.
    """
    smooth = ndimage.gaussian_filter(significance, SMOOTHING)
    bright = (smooth > BRIGHT) & far.ravel()[_summits(smooth)].reshape(far.shape)
    return ndimage.binary_dilation(bright, iterations=BORDER)


def _summits(image: Pixels) -> np.ndarray:
    """Return of each pixel the one at which a steepest way uphill ends, counted row by row."""
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
