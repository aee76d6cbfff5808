"""The picture of a measured lens: data, models of lens light and source, and residual."""

import textwrap

import numpy as np
from matplotlib.figure import Figure

from lenspinn.data.map_panels import draw_map, draw_residual, stretch
from lenspinn.data.style import BAD, GOOD
from lenspinn.explain.panels import draw_lines, draw_sersic_source
from lenspinn.measure.lens_measurement import LensMeasurement

SIZE = (12.5, 8.8)
"""Size of the picture, inches."""
LINE_LENGTH = 150
"""Characters in a line of the heading."""
LIGHT_TITLES = {
    "model": "lens light, modelled",
    "mask": "sky; lens light is masked",
    "none": "no lens light",
}


def measurement_figure(measured: LensMeasurement, name: str | None = None) -> Figure:
    """Draw a measurement: six panels and its verdict.

    Parameters
    ----------
    measured
        Result of `lenspinn.measure.measure_lens`.
    name
        Name of the lens, for the heading.
    """
    figure = Figure(figsize=SIZE, layout="constrained")
    data, light, arcs, source_image, residual, source = figure.subplots(2, 3).flat
    scale = measured.pixel_scale
    draw_map(data, stretch(measured.image), scale)
    data.set_title("data")
    draw_map(light, stretch(measured.lens_light, like=measured.image), scale)
    light.images[0].set_clim(*data.images[0].get_clim())
    light.set_title(LIGHT_TITLES[measured.light_mode])
    draw_map(arcs, measured.image - measured.lens_light, scale)
    arcs.set_title("data minus lens light, critical curve")
    draw_map(source_image, measured.source_image, scale)
    brightest = float(measured.source_image.max())
    for axes in (arcs, source_image):
        axes.images[0].set_clim(-0.1 * brightest, brightest)
        draw_lines(axes, measured.critical_curves())
    source_image.set_title("lensed source, modelled")
    left = np.where(np.isfinite(measured.sigma), measured.residual, np.nan)
    draw_residual(residual, left, scale)
    residual.set_title("residual in sigma; grey is left out")
    draw_sersic_source(source, measured.smooth_parameters, len(measured.image), scale)
    source.set_title("source (square root), caustic and cut")
    for axes in (data, light, arcs, source_image, residual, source):
        axes.set_xlabel("arcsec", fontsize=8, labelpad=1)
    color = GOOD if measured.trusted else BAD
    heading = measured.verdict if name is None else f"{name}: {measured.verdict}"
    text = textwrap.fill(heading, LINE_LENGTH)
    figure.suptitle(text, color=color, weight="bold", fontsize=10)
    return figure
