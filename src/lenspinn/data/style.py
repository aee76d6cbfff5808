"""How figures look, whichever room draws them."""

from collections.abc import Sequence

from matplotlib.axes import Axes

__all__ = ["BAD", "COLORS", "GOOD", "INK", "clean_axes", "draw_band"]

COLORS = ("#D55E00", "#0072B2", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
"""Of Okabe & Ito (2008): distinguishable with every common form of colour blindness."""

GOOD, BAD, INK = "#00664a", "#b3261e", "#333333"
"""Of a trusted answer, of one that is not, and of text."""


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
