"""The noise of an image as its own blank parts show it: how large, and how correlated."""

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
"""Pixels between which noise is taken to be correlated: that of drizzling."""
LEAST_BLANK = 200
"""Pixels without arcs from which noise can be told."""
CLIP = 4.0
"""Robust standard deviations from which a pixel is no noise."""


class Noise(NamedTuple):
    """Noise of one image in units of what its noise map says."""

    scale: float
    """Standard deviation: below 1 where the map says too much."""
    correlation: Float[np.ndarray, "v u"]
    """Between pixels by their distance, 1 in the middle."""

    def draw(self, rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
        """Return fields of it, float32."""
        like = np.empty(shape, dtype=np.float32)
        return self.scale * correlated_field(like, self.correlation, rng)


def noise_of_residual(residual: Pixels, blank: Mask) -> Noise:
    """Measure noise where nothing but noise is left.

    Parameters
    ----------
    residual : (y, x)
        Image minus model, in units of the noise map.
    blank
        Where neither arcs nor much lens light were.

    Returns
    -------
    Noise
        White, and as large as the map says, where fewer than `LEAST_BLANK` pixels are blank.

    Notes
    -----
    A correlation function of noise that is stationary in units of the map: the mean product of two
    pixels that are both blank, a distance apart, over the mean square.
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
