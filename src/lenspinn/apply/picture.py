"""The picture of one answer: the image as delivered, what the model saw, what to make of it."""

import textwrap

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from lenspinn.apply.answer import Answer
from lenspinn.evaluate.trust import FALSE_ALARMS
from lenspinn.explain.panels import (
    BARS_WIDTH,
    draw_cam,
    draw_critical_curve,
    draw_image,
    draw_map,
    draw_preprocessed,
    draw_probabilities,
    draw_source,
    stretch,
)
from lenspinn.explain.view import Pixels, View

WIDTH, PANELS_HEIGHT = 13.0, 3.1
"""Inches."""
LINE_HEIGHT = 0.19
"""Inches of a line of text below the panels."""
LINE_LENGTH = 165
"""Characters."""
VERDICT_LENGTH = 140
"""Characters of a line in bold."""
TITLE_LENGTH = 28
"""Characters of a name that are shown: its end, which tells images apart."""
SURROUNDINGS = 1.5
"""Half width of the first panel in units of the model's field: what lies around it counts too."""
GOOD, BAD, INK = "#00664a", "#b3261e", "#333333"


def answer_figure(answer: Answer, view: View, delivered: Pixels) -> Figure:
    """Draw an answer.

    Parameters
    ----------
    answer
        What the model says.
    view
        What it saw.
    delivered : (y, x)
        The image before it was resampled and cut, at `answer.pixel_scale`.
    """
    lines = _text(answer, view)
    text_height = LINE_HEIGHT * (len(lines) + 0.5)
    figure = Figure(figsize=(WIDTH, PANELS_HEIGHT + text_height), layout="constrained")
    parts = figure.subfigures(2, 1, height_ratios=(PANELS_HEIGHT, text_height), squeeze=False)
    upper, lower = parts.flat
    as_delivered, preprocessed, cam, source, probabilities = upper.subplots(
        1, 5, width_ratios=(1, 1, 1, 1, BARS_WIDTH)
    )
    _draw_delivered(as_delivered, answer, view, delivered)
    draw_preprocessed(preprocessed, view)
    preprocessed.set_title("preprocessed", fontsize=10)
    draw_cam(cam, view)
    cam.set_title(f"evidence for {view.prediction} (Grad-CAM)", fontsize=10)
    draw_source(source, view)
    source.set_title("reconstructed source", fontsize=10)
    draw_probabilities(probabilities, view, answer.label)
    probabilities.set_title(_probabilities_title(answer), fontsize=10)
    for axes in (as_delivered, preprocessed, cam, source):
        axes.set_xlabel("arcsec", fontsize=8)
    for row, (line, color, weight) in enumerate(lines):
        height = 1 - (row + 0.5) * LINE_HEIGHT / text_height
        lower.text(0.012, height, line, color=color, weight=weight, fontsize=9, va="center")
    return figure


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
    if answer.uncertainty is None:
        return "probability (not calibrated)"
    return "probability, untrusted" if answer.refused else "calibrated probability"


def _text(answer: Answer, view: View) -> list[tuple[str, str, str]]:
    """Lines below the panels: text, colour and weight."""
    color = GOOD if answer.trusted else BAD
    lines = [(line, color, "bold") for line in textwrap.wrap(answer.verdict, VERDICT_LENGTH)]
    for mismatch in answer.mismatches:
        text = f"{mismatch.kind}: {mismatch.message}"
        wrapped = textwrap.wrap(text, LINE_LENGTH, subsequent_indent="    ")
        lines += [(line, BAD if mismatch.serious else INK, "normal") for line in wrapped]
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
        lines.append((_about_theta_E(view), INK, "normal"))
    return lines


def _about_theta_E(view: View) -> str:
    if view.theta_E_error is None:
        return (
            "Circles have radius theta_E. The network learns theta_E from the classes alone: "
            "it is what its lens layer works with, not a measurement."
        )
    return (
        f'Circles have radius theta_E, {view.theta_E:.4f} +- {view.theta_E_error:.4f}" of the '
        "fitted smooth lens: the error is that of noise, if lens and source are as modelled."
    )
