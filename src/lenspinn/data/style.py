"""Style of figures, the same in all rooms of the package."""

from collections.abc import Iterable, Sequence
from itertools import cycle

from matplotlib.axes import Axes

__all__ = [
    "BAD",
    "CLASS_COLORS",
    "COLORS",
    "GOOD",
    "INK",
    "class_colors",
    "clean_axes",
    "draw_band",
]

COLORS = ("#D55E00", "#0072B2", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
"""Colours of Okabe & Ito (2008), distinguishable with every common form of colour blindness."""

CLASS_COLORS = dict(zip(("axion", "cdm", "no_sub"), COLORS, strict=False))
"""Colours of the paper's classes, the same in every figure."""

GOOD, BAD, INK = "#00664a", "#b3261e", "#333333"
"""Colours of a trusted answer, of an untrusted one, and of text."""


def class_colors(classes: Iterable[str]) -> dict[str, str]:
    """Return the color of each class: from `CLASS_COLORS`, for other classes one of the rest."""
    rest = cycle(COLORS[len(CLASS_COLORS) :])
    return {name: CLASS_COLORS.get(name) or next(rest) for name in classes}


def clean_axes(axes: Axes) -> None:
    """Leave two spines and a faint grid behind the data."""
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(color="0.92", lw=0.8, zorder=-1)
    axes.set_axisbelow(True)


def draw_band(
    axes: Axes,
    x: Sequence[float],
    value: Sequence[float],
    low: Sequence[float],
    high: Sequence[float],
    *,
    label: str,
    color: str,
) -> None:
    """Draw a line with its points, and a faint band from low to high behind it."""
    axes.fill_between(x, low, high, color=color, alpha=0.15, lw=0)
    axes.plot(x, value, "o-", ms=4, lw=1.6, color=color, label=label)
