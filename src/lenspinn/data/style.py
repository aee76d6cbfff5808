"""How figures look, whichever room draws them."""

from matplotlib.axes import Axes

__all__ = ["COLORS", "INK", "clean_axes"]

COLORS = ("#D55E00", "#0072B2", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
"""Of Okabe & Ito (2008): distinguishable with every common form of colour blindness."""

INK = "#333333"


def clean_axes(axes: Axes) -> None:
    """Leave two spines and a faint grid behind the data."""
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(color="0.92", lw=0.8, zorder=-1)
    axes.set_axisbelow(True)
