"""One panel a function: the pieces that every picture of a `View` is made of.

Axes are in arcsec with the lens at (0, 0), x to the right and y up.
"""

import math

import numpy as np
import torch
from jaxtyping import Float
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.patches import Circle

from lenspinn.data.map_panels import draw_map, extent, stretch
from lenspinn.data.style import INK, class_colors
from lenspinn.explain.view import Pixels, View
from lenspinn.fitting.critical import caustics, critical_curves
from lenspinn.fitting.smooth import by_name
from lenspinn.lensing.grid import pixel_grid
from lenspinn.lensing.light import sersic

CAM_COLORS = "viridis"
CAM_OPACITY = 0.75
"""Opacity of the overlay where Grad-CAM is 1; it fades with the map, so that the image stays
visible."""
UNKNOWN = "0.35"
"""Grey of source pixels on which no image pixel fell."""
BARS_WIDTH = 0.75
"""Width of the panel of probabilities, in units of that of a map."""
SOURCE_PIXELS = 101
"""Number of points along a side of a drawn Sersic profile."""
SOURCE_MARGIN = 1.35
"""Half width of the source panel in Einstein radii; at least a quarter of the field."""


def draw_image(axes: Axes, view: View) -> None:
    """Draw the image and the critical curve of the predicted lens."""
    draw_map(axes, stretch(view.image), view.pixel_scale)
    draw_critical_curve(axes, view)


def draw_preprocessed(axes: Axes, view: View) -> None:
    """Draw the image after the model's transform."""
    draw_map(axes, view.preprocessed, view.pixel_scale)


def draw_cam(axes: Axes, view: View, *, preprocessed: bool = False) -> None:
    """Lay Grad-CAM over the image, or over the preprocessed image, in grey."""
    background = view.preprocessed if preprocessed else stretch(view.image)
    draw_overlay(axes, background, view.cam, view.pixel_scale)
    draw_critical_curve(axes, view)


def draw_overlay(axes: Axes, background: Pixels, cam: Pixels, pixel_scale: float) -> None:
    """Lay a map of evidence, 0..1, over another map in grey."""
    draw_map(axes, background, pixel_scale, colors="gray")
    overlay = colormaps[CAM_COLORS](cam)
    overlay[..., 3] = CAM_OPACITY * cam
    axes.imshow(overlay, origin="lower", extent=extent(cam, pixel_scale))


def draw_lines(axes: Axes, lines: list[np.ndarray]) -> None:
    """Draw critical curves or caustics."""
    for line in lines:
        axes.plot(*line.T, color="white", lw=0.9, ls="--")


def draw_sersic_source(
    axes: Axes, parameters: Float[torch.Tensor, "1 parameters"], num_pix: int, pixel_scale: float
) -> None:
    """Draw a fitted Sersic source around the caustic of its lens.

    Parameters
    ----------
    axes
        The panel.
    parameters : (1, parameters)
        Parameters of the lens in the order of `lenspinn.fitting.SMOOTH_PARAMETERS`.
    num_pix, pixel_scale
        Pixels a side, and arcsec per pixel, of the image in which the critical curves lie.
    """
    lines = caustics(parameters, critical_curves(parameters, num_pix, pixel_scale))
    p = {name: float(value) for name, value in by_name(parameters).items()}
    reach = [float(np.abs(line).max()) for line in lines]
    position = max(abs(p["source_x"]), abs(p["source_y"]))
    half = 1.2 * max([*reach, position, 0.3 * p["theta_E"]])
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
    draw_lines(axes, lines)
    axes.set(xlim=(-half, half), ylim=(-half, half))


def draw_source(axes: Axes, view: View) -> None:
    """Draw the source, and the line inside which a point of it has several images.

    For a network that fits the lens these are its Sersic profile and the caustic; for another the
    reconstructed image, and a circle of radius theta_E.
    """
    if view.fit is not None:
        parameters = torch.from_numpy(view.fit.parameters)
        draw_sersic_source(axes, parameters, len(view.image), view.pixel_scale)
        return
    if view.source is None or view.coverage is None or view.theta_E is None:
        axes.set_axis_off()
        axes.text(0.5, 0.5, "no lens model", ha="center", va="center", transform=axes.transAxes)
        return
    known = np.where(view.coverage > 0, view.source, np.nan)
    draw_map(axes, known, view.pixel_scale)
    axes.set_facecolor(UNKNOWN)
    axes.add_patch(Circle((0, 0), view.theta_E, fill=False, color="white", lw=0.9, ls=":"))
    widest = extent(known, view.pixel_scale)[1]
    half = float(np.clip(SOURCE_MARGIN * view.theta_E, widest / 4, widest))
    axes.set(xlim=(-half, half), ylim=(-half, half))
    axes.text(
        0.05,
        0.05,
        f'theta_E {view.theta_E:.2f}"',
        color="white",
        fontsize=8,
        transform=axes.transAxes,
        bbox={"facecolor": "black", "alpha": 0.5, "linewidth": 0, "pad": 1.5},
    )


def draw_critical_curve(axes: Axes, view: View) -> None:
    """Draw the critical curve of the model's lens.

    The curve is that of the fit for a network that fits the lens; for another it is a circle of
    radius theta_E, as its lens is an isothermal sphere.
    """
    if view.fit is not None:
        parameters = torch.from_numpy(view.fit.parameters)
        draw_lines(axes, critical_curves(parameters, len(view.image), view.pixel_scale))
    elif view.theta_E is not None:
        axes.add_patch(Circle((0, 0), view.theta_E, fill=False, color="white", lw=0.9, ls="--"))


def draw_probabilities(axes: Axes, view: View, label: str | None = None) -> None:
    """Draw the probability of each class as a bar; the name of the true class is bold."""
    rows = range(len(view.classes))
    axes.barh(
        rows, view.probabilities, height=0.62, color=list(class_colors(view.classes).values())
    )
    for row, probability in zip(rows, view.probabilities, strict=True):
        inside = probability > 0.6
        axes.text(
            probability + (-0.03 if inside else 0.03),
            row,
            f"{probability:.3f}",
            ha="right" if inside else "left",
            va="center",
            color="white" if inside else INK,
            fontsize=8,
        )
    axes.set_yticks(rows, view.classes, fontsize=9)
    for text in axes.get_yticklabels():
        text.set_fontweight("bold" if text.get_text() == label else "normal")
    axes.set(xlim=(0, 1), ylim=(len(rows) - 0.4, -0.6))
    axes.set_xticks([0, 0.5, 1], ["0", "0.5", "1"], fontsize=8)
    axes.spines[["top", "right"]].set_visible(False)
    axes.tick_params(axis="y", length=0)
    axes.set_box_aspect(1 / BARS_WIDTH)
