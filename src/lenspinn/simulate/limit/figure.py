"""The limit of a recipe as a picture."""

from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from lenspinn.data.limit import accuracies, draw_accuracies
from lenspinn.data.style import INK, class_colors, clean_axes

__all__ = ["limit_figure"]

FAINTEST = 0.1
"""Lower end of the logarithmic axis of significance, sigma."""

Records = Sequence[Mapping[str, Any]]


def limit_figure(records: Records, *, num_classes: int) -> Figure:
    """Draw significance and the best accuracies against the magnitude of the source.

    Parameters
    ----------
    records
        Records of `detection_limit`, sorted by magnitude.
    num_classes
        Number of classes between which the classifiers choose.
    """
    figure = Figure(figsize=(6.4, 6.4), layout="constrained")
    upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=(3, 2))
    _draw_significance(upper, records)
    _draw_accuracy(lower, records, num_classes)
    first = records[0]
    figure.suptitle(
        f"{first['recipe']} · {first['instrument']} · {first['n']} lenses", fontsize=10, color=INK
    )
    return figure


def _draw_significance(axes: Axes, records: Records) -> None:
    classes = sorted({record["class"] for record in records})
    for name, color in class_colors(classes).items():
        of_class = [record for record in records if record["class"] == name]
        magnitude, median, low, high = (
            [record[key] for record in of_class]
            for key in ("magnitude", "significance_median", "significance_p10", "significance_p90")
        )
        if max(high) == 0:  # a class without substructure
            continue
        axes.plot(magnitude, median, "o-", ms=4, lw=1.6, color=color, label=f"{name}: median")
        axes.fill_between(magnitude, low, high, color=color, alpha=0.15, lw=0, label="10 to 90 %")
    for sigma in (3, 5):
        axes.axhline(sigma, color=INK, lw=0.8, ls=":")
        axes.annotate(
            rf"${sigma}\sigma$", (1, sigma), xycoords=("axes fraction", "data"), fontsize=8
        )
    axes.set_yscale("log")
    axes.set_ylim(FAINTEST, None)
    axes.set_ylabel(r"significance $\sqrt{\Delta\chi^2}$ of substructure")
    axes.legend(fontsize=8, frameon=False)
    clean_axes(axes)


def _draw_accuracy(axes: Axes, records: Records, num_classes: int) -> None:
    draw_accuracies(axes, {record["magnitude"]: accuracies(record) for record in records})
    axes.axhline(1 / num_classes, color="0.6", lw=0.8, ls="--", label="guessing")
    axes.set(xlabel="magnitude of the unlensed source (AB)", ylabel="accuracy", ylim=(0.3, 1.01))
    axes.legend(fontsize=8, frameon=False, loc="lower left")
    clean_axes(axes)
