"""By how much models of lens light and source are wrong, told by what they leave of an image.

A source is no Sersic profile and a galaxy no sum of ellipses. Beside their errors noise is nothing
in a bright arc, and a fit that believes the noise bends the lens until it explains clumps of the
source. What is left says how wrong models are: on circles around a galaxy, and how alike neighbours
are in the arcs, for a misfit of many pixels is one piece of evidence.
"""

import numpy as np
from jaxtyping import Bool, Float
from scipy import ndimage

from lenspinn.measure.noise_map import SIGMA_PER_MAD

__all__ = ["noise_factor"]

Pixels = Float[np.ndarray, "y x"]

CIRCLE = 2
"""Pixels: width of the circles on which the scatter of what is left is told."""
BLOCK = 5
"""Pixels: side of the squares over which what is left of arcs is averaged."""
MOST = 30.0
"""Of chi^2, by which it is divided because neighbours are alike."""
SEEN = 1.0
"""Of the noise: the faintest lensed source that belongs to the arcs."""
LEAST_SHARE = 0.1
"""Of the pixels of a square that count."""


def noise_factor(left: Pixels, source: Pixels, used: Bool[np.ndarray, "y x"]) -> Pixels:
    """Return the factor by which the noise is to be raised in each pixel, 1 and more.

    Parameters
    ----------
    left : (y, x)
        Image minus models, in units of the noise.
    source : (y, x)
        The lensed source, likewise.
    used : (y, x)
        Pixels that count.

    Notes
    -----
    Where what is left is noise, the mean of n pixels has n times less variance than one. The
    factor is the root of how much more it has in the arcs, so that chi^2 counts pieces of evidence.
    """
    on_circles = _on_circles(left, used)
    arcs = ndimage.binary_dilation(source > SEEN, iterations=2) & used
    if not arcs.any():
        return on_circles
    share = ndimage.uniform_filter(used.astype(np.float64), BLOCK)
    total = ndimage.uniform_filter(np.where(used, left / on_circles, 0), BLOCK)
    mean = total / np.maximum(share, LEAST_SHARE)
    alike = float(np.mean((mean**2 * share)[arcs])) * BLOCK**2
    return on_circles * np.sqrt(np.clip(alike, 1, MOST))


def _on_circles(left: Pixels, used: Bool[np.ndarray, "y x"]) -> Pixels:
    """Return the scatter around the middle, robust against arcs, 1 and more."""
    y, x = np.indices(left.shape) - len(left) // 2
    circle = (np.hypot(x, y) / CIRCLE).astype(int)
    sizes = [np.abs(left[used & (circle == at)]) for at in range(int(circle.max()) + 1)]
    scatter = [SIGMA_PER_MAD * float(np.median(size)) if size.size else 1.0 for size in sizes]
    return np.maximum(scatter, 1.0)[circle]
