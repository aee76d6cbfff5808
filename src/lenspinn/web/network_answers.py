"""Answers of the trained networks that come with lenspinn for a played lens."""

import functools
from collections.abc import Sequence
from dataclasses import dataclass

from matplotlib.figure import Figure

from lenspinn.apply import Answer, answer_image
from lenspinn.apply.grounds import Judge
from lenspinn.data.figure_html import figure_png
from lenspinn.data.style import BAD, GOOD
from lenspinn.errors import ImageError
from lenspinn.explain.panels import draw_probabilities
from lenspinn.models import LensFit
from lenspinn.models.trained import list_trained
from lenspinn.web.played_lens import PlayedLens

__all__ = ["NetworkAnswer", "answers_figure", "ask_networks", "judge_of", "telescope_networks"]

SIZE = (3.6, 2.9)
"""Size of the picture of each network, inches."""


@dataclass(frozen=True, kw_only=True)
class NetworkAnswer:
    """Answer of one network."""

    name: str
    answer: Answer | None
    """Answer; None where the network cannot take the image."""
    sentence: str


@functools.cache
def judge_of(name: str) -> Judge:
    """Return a trained network, read once."""
    return Judge.of(name)


@functools.cache
def telescope_networks() -> tuple[str, ...]:
    """Names of the trained networks that come with lenspinn and take a telescope's image.

    They are those that fit the lens: others know neither noise nor PSF.
    """
    return tuple(name for name in list_trained() if isinstance(judge_of(name).model, LensFit))


def ask_networks(lens: PlayedLens) -> list[NetworkAnswer]:
    """Ask the networks of `telescope_networks`.

    Parameters
    ----------
    lens
        Lens whose image is given without preparation, with instrument and unit, as
        `lenspinn.answer_image` takes an image that is like the training images.
    """
    return [_ask(name, lens) for name in telescope_networks()]


def _ask(name: str, lens: PlayedLens) -> NetworkAnswer:
    try:
        answer = answer_image(
            lens.image,
            judge_of(name),
            pixel_scale=lens.pixel_scale,
            instrument=lens.recipe.instrument.name,
            unit=lens.recipe.unit,
            telescope=False,
        )
    except ImageError as error:
        return NetworkAnswer(name=name, answer=None, sentence=f"{name}: {error}")
    reasons = [f"{each.kind}: {each.message}" for each in answer.mismatches if each.serious]
    text = " ".join([f"{name}: {answer.verdict}.", *(f"{reason}." for reason in reasons)])
    return NetworkAnswer(name=name, answer=answer, sentence=text)


def answers_figure(answers: Sequence[NetworkAnswer]) -> bytes | None:
    """Return a PNG of the probabilities that networks give, None where there are none."""
    shown = [(each.name, each.answer) for each in answers if each.answer is not None]
    if not shown:
        return None
    figure = Figure(figsize=(SIZE[0] * len(shown), SIZE[1]), layout="constrained")
    panels = figure.subplots(1, len(shown), squeeze=False).flat
    for axes, (name, answer) in zip(panels, shown, strict=True):
        assert answer.shown is not None  # `answer_image` gives it
        draw_probabilities(axes, answer.shown.view)
        trust = "calibrated probability" if answer.trusted else "probability, untrusted"
        axes.set_title(f"{name}\n{trust}", fontsize=9, color=GOOD if answer.trusted else BAD)
    return figure_png(figure, resolution=90)
