"""Maps as every picture draws them: one panel a function.

Axes are in arcsec with the lens at (0, 0), x to the right and y up.
"""

import numpy as np
import torch
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from lenspinn.data.background import background_sigma
from lenspinn.data.style import INK

__all__ = ["draw_map", "draw_residual", "extent", "stretch"]

Pixels = Float[np.ndarray, "y x"]

MAP_COLORS = "inferno"
FAINT = 0.1
"""Brightness, relative to the peak, at which the stretch turns from linear to logarithmic."""
FAINT_SIGMAS = 5.0
"""Brightness in background sigmas at which the stretch turns, where that is fainter than `FAINT`:
arcs under a bright lens galaxy show."""
FAINTEST = 0.05
"""Share of the pixels that are drawn black."""
MOST_SIGMAS = 5.0
"""Residual at which the colours end, in units of the noise."""
LEFT_OUT = "0.7"
"""Grey of pixels that were left out."""


def draw_map(axes: Axes, values: Pixels, pixel_scale: float, *, colors: str = MAP_COLORS) -> None:
    """Draw a map from its lowest to its highest value.

    Parameters
    ----------
    axes
        The panel.
    values : (y, x)
        Pixels that are NaN show the face of the panel.
    pixel_scale
        Pixel scale, arcsec per pixel.
    colors
        A colour map of matplotlib.
    """
    axes.imshow(values, origin="lower", extent=extent(values, pixel_scale), cmap=colors)
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_locator(MaxNLocator(4, steps=[1, 2, 5, 10]))
    axes.tick_params(labelsize=8, color=INK, length=2.5)


def stretch(
    image: Float[np.ndarray, "y x"], *, like: Float[np.ndarray, "v u"] | None = None
) -> Pixels:
    """Compress the brightness of an image so that faint arcs show beside a bright centre.

    Parameters
    ----------
    image : (y, x), any unit
    like : (v, u)
        An image in the same unit, beside which this one is drawn; by default itself.
    """
    like = image if like is None else like
    like = np.where(np.isfinite(like), like, np.median(like[np.isfinite(like)]))
    black = np.quantile(like, FAINTEST)
    peak = max(like.max() - black, np.finfo(like.dtype).tiny)
    sigma = background_sigma(torch.from_numpy(like)[None, None]).item()
    faint = min(FAINT_SIGMAS * sigma, FAINT * peak) if sigma > 0 else FAINT * peak
    return np.arcsinh(np.clip(image - black, 0, None) / faint)


def draw_residual(axes: Axes, residual: Pixels, pixel_scale: float) -> None:
    """Draw a residual in units of the noise, and its scale; pixels left out are NaN."""
    draw_map(axes, residual, pixel_scale, colors="RdBu_r")
    axes.images[0].set_clim(-MOST_SIGMAS, MOST_SIGMAS)
    axes.set_facecolor(LEFT_OUT)
    axes.figure.colorbar(axes.images[0], ax=axes, shrink=0.8)


def extent(values: Pixels, pixel_scale: float) -> tuple[float, float, float, float]:
    """Return left, right, lower and upper edge of a map whose centre is (0, 0), arcsec."""
    half_y, half_x = (size * pixel_scale / 2 for size in values.shape)
    return (-half_x, half_x, -half_y, half_y)
