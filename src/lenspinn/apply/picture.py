"""Picture of one answer: the image as delivered, the image of the network, and the verdict."""

import textwrap
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure
from matplotlib.patches import Rectangle

from lenspinn.apply.answer import Answer, Shown
from lenspinn.data.map_panels import draw_map, draw_residual, stretch
from lenspinn.data.style import BAD, GOOD, INK
from lenspinn.evaluate.judgement import FALSE_ALARMS
from lenspinn.explain.panels import (
    BARS_WIDTH,
    draw_cam,
    draw_critical_curve,
    draw_image,
    draw_preprocessed,
    draw_probabilities,
    draw_source,
)
from lenspinn.explain.view import FitView, Pixels, View

WIDTH, PANELS_HEIGHT = 13.0, 3.1
"""Width of the picture and height of a row of panels, inches."""
LINE_HEIGHT = 0.19
"""Height of a line of text below the panels, inches."""
LINE_LENGTH = 165
"""Length of a line of text, characters."""
VERDICT_LENGTH = 140
"""Length of a line in bold, characters."""
TITLE_LENGTH = 28
"""Number of characters of a name that are shown: its end, which tells images apart."""
SURROUNDINGS = 1.5
"""Width of the first panel in units of the model's field, to show the surroundings too."""
LIGHT_DONE = {
    "model": "lens light modelled and subtracted",
    "mask": "lens light masked",
    "none": "no lens light taken away",
}


def answer_figure(answer: Answer) -> Figure:
    """Draw an answer: one row of panels, two for a network that fits the lens, and its verdict.

    Raises
    ------
    ValueError
        The answer holds nothing to show.
    """
    shown = answer.shown
    if shown is None:
        raise ValueError(f"the answer for {answer.name} has nothing to show: draw that of an image")
    view = shown.view
    lines = _text(answer, view)
    text_height = LINE_HEIGHT * (len(lines) + 0.5)
    height = PANELS_HEIGHT * (1 if view.fit is None else 2)
    figure = Figure(figsize=(WIDTH, height + text_height), layout="constrained")
    parts = figure.subfigures(2, 1, height_ratios=(height, text_height), squeeze=False)
    upper, lower = parts.flat
    if view.fit is None:
        _draw_row(upper, answer, view, shown.delivered)
    else:
        _draw_fit(upper, answer, shown, view.fit)
    for row, (line, color, weight) in enumerate(lines):
        place = 1 - (row + 0.5) * LINE_HEIGHT / text_height
        lower.text(0.012, place, line, color=color, weight=weight, fontsize=9, va="center")
    return figure


def _draw_row(figure: SubFigure, answer: Answer, view: View, delivered: Pixels) -> None:
    """Draw image, Grad-CAM and, for a network that has one, the source."""
    as_delivered, preprocessed, cam, source, probabilities = figure.subplots(
        1, 5, width_ratios=(1, 1, 1, 1, BARS_WIDTH)
    )
    _draw_delivered(as_delivered, answer, view, delivered)
    draw_preprocessed(preprocessed, view)
    preprocessed.set_title("preprocessed", fontsize=10)
    draw_source(source, view)
    source.set_title("reconstructed source", fontsize=10)
    _draw_evidence(cam, probabilities, answer, view)
    for axes in (as_delivered, preprocessed, cam, source):
        axes.set_xlabel("arcsec", fontsize=8)


def _draw_fit(figure: SubFigure, answer: Answer, shown: Shown, fit: FitView) -> None:
    """Draw data, lens light, model, residual, source and the classification."""
    view = shown.view
    upper, lower = figure.subplots(2, 4)
    data, light, seen, model = upper
    residual, source, cam, probabilities = lower
    _draw_data(data, light, answer, shown)
    brightest = float(fit.model.max())
    for axes, values, title in (
        (seen, view.image, "seen by the network, critical curve"),
        (model, fit.model, "model"),
    ):
        draw_map(axes, values, view.pixel_scale)
        axes.images[0].set_clim(float(np.median(view.image)) - 0.1 * brightest, brightest)
        axes.set_title(title, fontsize=10)
    draw_critical_curve(seen, view)
    draw_residual(residual, fit.residual, view.pixel_scale)
    residual.set_title("residual in sigma; grey: left out", fontsize=10)
    draw_source(source, view)
    source.set_title("source, caustic and cut", fontsize=10)
    _draw_evidence(cam, probabilities, answer, view)
    for axes in (data, light, seen, model, residual, source, cam):
        axes.set_xlabel("arcsec", fontsize=8)


def _draw_data(data: Axes, light: Axes, answer: Answer, shown: Shown) -> None:
    """Draw the image as delivered around its lens, and the lens light beside it."""
    delivered, prepared = shown.delivered, shown.prepared
    _draw_delivered(data, answer, shown.view, delivered)
    if prepared is not None:
        x, y = prepared.middle
        left, right, low, high = data.images[0].get_extent()
        data.images[0].set_extent((left - x, right - x, low - y, high - y))
    if prepared is None or prepared.light is None:
        masked = prepared is not None and prepared.light_mode == "mask"
        done = LIGHT_DONE["mask" if masked else "none"]
        light.set_axis_off()
        light.text(0.5, 0.5, done, ha="center", va="center", transform=light.transAxes)
    else:
        draw_map(light, stretch(prepared.light, like=delivered), answer.pixel_scale)
        light.images[0].set_clim(data.images[0].get_clim())
        light.set(xlim=data.get_xlim(), ylim=data.get_ylim(), facecolor="black")
        light.set_title("lens light, modelled", fontsize=10)


def _draw_evidence(cam: Axes, probabilities: Axes, answer: Answer, view: View) -> None:
    draw_cam(cam, view)
    doubt = "" if answer.trusted else "untrusted "
    cam.set_title(f"{doubt}evidence for {view.prediction} (Grad-CAM)", fontsize=10)
    draw_probabilities(probabilities, view, answer.label)
    probabilities.set_title(_probabilities_title(answer), fontsize=10)


def _draw_delivered(axes: Axes, answer: Answer, view: View, delivered: Pixels) -> None:
    """Draw the image as delivered, and on it the part the model was shown."""
    field = len(view.image) * view.pixel_scale
    if answer.pixel_scale == view.pixel_scale and delivered.shape == view.image.shape:
        draw_image(axes, view)
    else:
        draw_map(axes, stretch(delivered), answer.pixel_scale)
        half = min(SURROUNDINGS * field, min(delivered.shape) * answer.pixel_scale) / 2
        axes.set(xlim=(-half, half), ylim=(-half, half))
        corner = (-field / 2, -field / 2)
        axes.add_patch(Rectangle(corner, field, field, fill=False, color="white", lw=0.9))
        draw_critical_curve(axes, view)
    long = len(answer.name) > TITLE_LENGTH
    axes.set_title(f"…{answer.name[-TITLE_LENGTH:]}" if long else answer.name, fontsize=10)


def _probabilities_title(answer: Answer) -> str:
    return "calibrated probability" if answer.trusted else "probability, untrusted"


def _text(answer: Answer, view: View) -> list[tuple[str, str, str]]:
    """Return the lines below the panels: text, colour and weight."""
    color = GOOD if answer.trusted else BAD
    lines = [(line, color, "bold") for line in textwrap.wrap(answer.verdict, VERDICT_LENGTH)]
    for mismatch in answer.mismatches:
        text = f"{mismatch.kind}: {mismatch.message}"
        wrapped = textwrap.wrap(text, LINE_LENGTH, subsequent_indent="    ")
        lines += [(line, BAD if mismatch.serious else INK, "normal") for line in wrapped]
    if answer.preparation is not None:
        about = textwrap.wrap(_about_preparation(answer.preparation), LINE_LENGTH)
        lines += [(line, INK, "normal") for line in about]
    if answer.uncertainty is not None:
        scores = ", ".join(f"{name} {p:.3f}" for name, p in answer.uncertainty.by_score.items())
        text = (
            f"Like the calibration images: p = {answer.uncertainty.shift:.3f} ({scores} before the "
            f"correction for their number); not answered up to {FALSE_ALARMS:g}."
        )
        lines.append((text, INK, "normal"))
    if answer.estimates:
        text = f"Predicted by the network: {'; '.join(map(str, answer.estimates))}."
        lines.append((text, INK, "normal"))
    if view.theta_E is not None:
        lines.append((_about_theta_E(view, answer.trusted), INK, "normal"))
    return lines


def _about_theta_E(view: View, trusted: bool) -> str:
    if view.theta_E_error is None and view.measures_theta_E:
        return (
            "Circles have radius theta_E, which the network was trained to read off the image: it "
            "comes without an error."
        )
    if view.theta_E_error is None:
        return (
            "Circles have radius theta_E. The network learns theta_E from the classes alone: "
            "it is what its lens layer works with, not a measurement."
        )
    if not trusted:
        return f'The fitted smooth lens has theta_E {view.theta_E:.2f}": untrusted, as all above.'
    return (
        f'The fitted smooth lens has theta_E {view.theta_E:.4f} +- {view.theta_E_error:.4f}": the '
        "error is that of noise, if lens and source are as modelled."
    )


def _about_preparation(done: dict[str, Any]) -> str:
    theta_E, error = (done["lens_fit"][key] for key in ("theta_E_arcsec", "theta_E_error_arcsec"))
    return (
        f"Prepared: {LIGHT_DONE[done['lens_light']]}; noise: {done['noise']}; PSF: "
        f"{done['psf']}; chi^2 per degree of freedom {done['chi2']:.2f}; before resampling: "
        f'theta_E {theta_E:.3f} +- {error:.3f}".'
    )
