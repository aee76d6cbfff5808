"""The picture of a measured lens: what was seen, what explains it, and what is left."""

import math
import textwrap

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from lenspinn.apply.lens_fit import LensMeasurement
from lenspinn.apply.picture import BAD, GOOD
from lenspinn.explain.panels import draw_map, stretch
from lenspinn.lensing.grid import pixel_grid
from lenspinn.lensing.light import sersic

SIZE = (12.5, 8.8)
"""Inches."""
MOST_SIGMAS = 5.0
"""At which the colours of the residual end."""
SOURCE_PIXELS = 101
LINE_LENGTH = 150
"""Characters."""


def measurement_figure(measured: LensMeasurement, name: str) -> Figure:
    """Draw a measurement: six panels and its verdict.

    Parameters
    ----------
    measured
        What `lenspinn.apply.fit_lens` returned.
    name
        Of the lens.
    """
    figure = Figure(figsize=SIZE, layout="constrained")
    data, light, arcs, source_image, residual, source = figure.subplots(2, 3).flat
    scale = measured.pixel_scale
    draw_map(data, stretch(measured.image), scale)
    data.set_title("data")
    draw_map(light, stretch(measured.lens_light), scale)
    light.set_title("lens light, modelled")
    draw_map(arcs, measured.image - measured.lens_light, scale)
    arcs.set_title("data minus lens light, critical curve")
    draw_map(source_image, measured.source_image, scale)
    brightest = float(measured.source_image.max())
    for axes in (arcs, source_image):
        axes.images[0].set_clim(-0.1 * brightest, brightest)
        _draw_lines(axes, measured.critical_curves())
    source_image.set_title("lensed source, modelled")
    left = np.where(np.isfinite(measured.sigma), measured.residual, np.nan)
    draw_map(residual, left, scale, colors="RdBu_r")
    residual.images[0].set_clim(-MOST_SIGMAS, MOST_SIGMAS)
    residual.set_facecolor("0.7")
    figure.colorbar(residual.images[0], ax=residual, shrink=0.8)
    residual.set_title("residual in sigma; grey is left out")
    _draw_source(source, measured)
    color = GOOD if measured.trusted else BAD
    text = textwrap.fill(f"{name}: {measured.verdict}", LINE_LENGTH)
    figure.suptitle(text, color=color, weight="bold", fontsize=10)
    return figure


def _draw_lines(axes: Axes, lines: list[np.ndarray]) -> None:
    for line in lines:
        axes.plot(*line.T, color="white", lw=0.9, ls="--")


def _draw_source(axes: Axes, measured: LensMeasurement) -> None:
    """Draw the fitted Sersic source around the caustic."""
    caustics = measured.caustics()
    p = measured.parameters
    reach = [float(np.abs(line).max()) for line in caustics]
    position = max(abs(p["source_x"]), abs(p["source_y"]))
    half = 1.2 * max([*reach, position, 0.3 * measured.theta_E])
    scale = 2 * half / SOURCE_PIXELS
    x, y = pixel_grid(SOURCE_PIXELS, scale)
    brightness = sersic(
        x,
        y,
        amplitude=math.exp(p["log_amplitude"]),
        R_sersic=math.exp(p["log_R_sersic"]),
        n_sersic=math.exp(p["log_n_sersic"]),
        e1=p["source_e1"],
        e2=p["source_e2"],
        center_x=p["source_x"],
        center_y=p["source_y"],
    )
    draw_map(axes, np.sqrt(brightness.numpy()), scale)
    _draw_lines(axes, caustics)
    axes.set(xlim=(-half, half), ylim=(-half, half))
    axes.set_title("source (square root), caustic and cut")
