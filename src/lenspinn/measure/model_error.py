"""Errors of the models of lens light and source, measured from the residual.

A source is no Sersic profile and a galaxy no sum of ellipses. In a bright arc the errors of these
models are much larger than the noise, and a fit weighted with the noise alone distorts the lens
until it explains clumps of the source. The residual shows these errors: by its scatter on circles
around the galaxy, and by the correlation of neighbouring pixels in the arcs, because a misfit over
many pixels is one piece of evidence.
"""

import numpy as np
from jaxtyping import Bool, Float
from scipy import ndimage

from lenspinn.measure.noise_map import SIGMA_PER_MAD

__all__ = ["noise_factor"]

Pixels = Float[np.ndarray, "y x"]

CIRCLE = 2
"""Width of the circles on which the scatter of the residual is measured, pixels."""
BLOCK = 5
"""Side of the squares over which the residual of arcs is averaged, pixels."""
MOST = 30.0
"""Largest factor by which chi^2 is divided because residuals of neighbouring pixels are
correlated."""
SEEN = 1.0
"""Least brightness of the lensed source in the arcs, in units of the noise."""
LEAST_SHARE = 0.1
"""Least share of counting pixels that the mean of a square is normalised by."""


def noise_factor(left: Pixels, source: Pixels, used: Bool[np.ndarray, "y x"]) -> Pixels:
    """Return the factor by which the noise is to be raised in each pixel, 1 and more.

    Parameters
    ----------
    left : (y, x)
        Image minus models, in units of the noise.
    source : (y, x)
        Lensed source, in units of the noise.
    used : (y, x)
        Mask of the pixels that count.

    Notes
    -----
    Where the residual is noise, the mean of n pixels has 1 / n of the variance of one pixel. In the
    arcs the variance of the mean is larger: the factor is the square root of that ratio, so that
    chi^2 counts independent pieces of evidence.
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
    """Return the scatter on the circle of each pixel, robust against arcs, 1 and more."""
    y, x = np.indices(left.shape) - len(left) // 2
    circle = (np.hypot(x, y) / CIRCLE).astype(int)
    sizes = [np.abs(left[used & (circle == at)]) for at in range(int(circle.max()) + 1)]
    scatter = [SIGMA_PER_MAD * float(np.median(size)) if size.size else 1.0 for size in sizes]
    return np.maximum(scatter, 1.0)[circle]
