"""The noise of an image, its size and correlation measured in the blank parts of the image."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float
from scipy import ndimage

from lenspinn.measure.noise_map import robust_sigma
from lenspinn.simulate.noise import correlated_field

__all__ = ["Noise", "noise_of_residual"]

Pixels = Float[np.ndarray, "y x"]
Mask = Bool[np.ndarray, "y x"]

LONGEST_LAG = 3
"""Largest distance over which noise is taken to be correlated, pixels along each axis: that of
drizzling."""
LEAST_BLANK = 200
"""Least number of pixels without arcs from which noise can be measured."""
CLIP = 4.0
"""Residual above which a pixel does not count as noise, robust standard deviations."""


class Noise(NamedTuple):
    """Noise of one image in units of its noise map."""

    scale: float
    """Standard deviation of the noise; below 1 where the noise map is too large."""
    correlation: Float[np.ndarray, "v u"]
    """Correlation between two pixels by their offset, 1 in the middle."""

    def draw(self, rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
        """Return random fields of this noise, float32, in units of the noise map."""
        like = np.empty(shape, dtype=np.float32)
        return self.scale * correlated_field(like, self.correlation, rng)


def noise_of_residual(residual: Pixels, blank: Mask) -> Noise:
    """Measure the noise in pixels of a residual that hold nothing but noise.

    Parameters
    ----------
    residual : (y, x)
        Image minus model, in units of the noise map.
    blank
        Mask of the pixels without arcs and without much lens light.

    Returns
    -------
    Noise
        Noise as measured; white, and as large as the map says, where fewer than `LEAST_BLANK`
        pixels are blank.

    Notes
    -----
    The noise is taken to be stationary in units of the map. Its correlation function is the mean
    product of two blank pixels at some offset, over the mean square.
    """
    side = 2 * LONGEST_LAG + 1
    alone = np.zeros((side, side))
    alone[LONGEST_LAG, LONGEST_LAG] = 1.0
    if blank.sum() < LEAST_BLANK:
        return Noise(1.0, alone)
    scale = robust_sigma(residual[blank])
    used = blank & (np.abs(residual) < CLIP * scale)
    values = np.where(used, residual - residual[used].mean(), 0.0)
    products, pairs = alone.copy(), alone.copy()
    for row in range(side):
        for column in range(side):
            shift = (row - LONGEST_LAG, column - LONGEST_LAG)
            moved = ndimage.shift(values, shift, order=0, prefilter=False)
            there = ndimage.shift(used.astype(float), shift, order=0, prefilter=False)
            products[row, column] = (values * moved).sum()
            pairs[row, column] = max(1.0, (used * there).sum())
    correlation = products / pairs
    return Noise(float(scale), correlation / correlation[LONGEST_LAG, LONGEST_LAG])
