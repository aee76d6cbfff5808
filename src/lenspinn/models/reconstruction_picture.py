"""Picture of reconstructed lenses: source, deflection and residual."""

import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Circle

from lenspinn.data.map_panels import draw_map, draw_residual
from lenspinn.models.reconstruction import FittedReconstruction, Reconstruction

__all__ = ["reconstruction_figure"]

PANEL = 2.6
"""Side of a panel, inches."""
MOST_ROWS = 6
"""Largest number of images that are drawn."""
UNKNOWN = "0.35"
"""Grey of source pixels on which no image pixel fell."""


def reconstruction_figure(found: Reconstruction) -> Figure:
    """Draw a row an image: source, size of the deflection, and residual.

    Parameters
    ----------
    found
        Reconstruction of a batch, whose first `MOST_ROWS` images are drawn.
    """
    rows = min(MOST_ROWS, len(found.theta_E))
    figure = Figure(figsize=(3.4 * PANEL, rows * PANEL + 0.3), layout="constrained")
    grid = figure.subplots(rows, 3, squeeze=False)
    scale = found.pixel_scale
    names = ("source", "residual", "coverage", "theta_E")
    maps = {name: getattr(found, name).detach().cpu().numpy() for name in names}
    deflection = found.alpha_x.hypot(found.alpha_y).detach().cpu().numpy()
    for row, (source, alpha, residual) in enumerate(grid):
        draw_map(source, np.where(maps["coverage"][row] > 0, maps["source"][row], np.nan), scale)
        source.set_facecolor(UNKNOWN)
        theta_E = float(maps["theta_E"][row])
        source.set_title(f'source; theta_E {theta_E:.3f}"', fontsize=9)
        draw_map(alpha, deflection[row], scale)
        alpha.add_patch(Circle((0, 0), theta_E, fill=False, color="white", lw=0.9, ls="--"))
        alpha.set_title("deflection, arcsec", fontsize=9)
        figure.colorbar(alpha.images[0], ax=alpha, shrink=0.8)
        if isinstance(found, FittedReconstruction):
            draw_residual(residual, maps["residual"][row], scale)
            residual.set_title("residual in sigma", fontsize=9)
        else:
            draw_map(residual, maps["residual"][row], scale, colors="RdBu_r")
            most = float(np.abs(maps["residual"][row]).max()) or 1.0
            residual.images[0].set_clim(-most, most)
            figure.colorbar(residual.images[0], ax=residual, shrink=0.8)
            residual.set_title("source lensed again, minus image", fontsize=9)
    for axes in grid[-1]:
        axes.set_xlabel("arcsec", fontsize=8)
    return figure
