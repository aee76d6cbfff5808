"""Figures of a benchmark, drawn from finished cells alone: no weights, no images."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from lenspinn.benchmark.cell import CHOSEN, GREY_LEVELS, decode_map
from lenspinn.benchmark.table import Line
from lenspinn.data.style import COLORS, INK, clean_axes
from lenspinn.explain.panels import draw_overlay

SMALLEST_CORNER = 0.05
"""Smallest range of false positive rates of the ROC panel; perfect curves would leave it empty."""
_COLORS = (*COLORS, INK)
_DASHES = ("-", (0, (5, 2)), (0, (1, 1.2)), (0, (5, 1.5, 1, 1.5)), (0, (8, 3)))


def comparison_figure(lines: Sequence[Line]) -> Figure:
    """Draw micro-F1 and loss against epochs, and the micro-averaged ROC: Fig. 2 of the paper.

    Parameters
    ----------
    lines
        Lines of the table; those without finished cells are left out. Several seeds are drawn as
        their mean, and a band from the lowest to the highest.
    """
    figure = Figure(figsize=(12.6, 3.9), layout="constrained")
    panels = figure.subplots(1, 3)
    run = [line for line in lines if line.cells]
    for index, line in enumerate(run):
        color = _COLORS[index % len(_COLORS)]
        dashes = _DASHES[index // len(_COLORS) % len(_DASHES)]
        for axes, score in zip(panels, ("val_micro_f1", "train_loss"), strict=False):
            _draw_history(axes, line, score, color=color, dashes=dashes)
        x, y = _mean_roc(line)
        panels[2].plot(x, y, lw=1.5, color=color, ls=dashes)
    for axes, label in zip(panels, ("micro F1 (validation)", "training loss"), strict=False):
        axes.set(xlabel=_epochs(run)[1], ylabel=label, xlim=(0, None))
        axes.xaxis.set_major_locator(MaxNLocator(6))
    panels[0].set_ylim(None, 1.0)
    panels[1].set_ylim(0, None)
    corner = _corner(run)
    panels[2].set(xlim=(0, corner), ylim=(1 - corner, 1 + corner / 100))
    panels[2].set(xlabel="false positive rate", ylabel="true positive rate (micro-average)")
    for axes in panels:
        clean_axes(axes)
    handles, labels = panels[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside right center", fontsize=9, frameon=False)
    return figure


def cam_figure(lines: Sequence[Line]) -> Figure:
    """Draw Grad-CAM of each network over preprocessed images: Fig. 3 of the paper.

    Parameters
    ----------
    lines
        Lines of the table, each a column; those without finished cells are left out. Of several
        seeds
        shown.
    """
    shown = [(line, line.cells[min(line.cells)]["cam"]) for line in lines if line.cells]
    num_classes = len(shown[0][1])
    size = (1.75 * len(shown) + 0.7, 1.95 * num_classes + 0.5)
    figure = Figure(figsize=size, layout="constrained")
    grid = figure.subplots(num_classes, len(shown), squeeze=False)
    for column, (line, cams) in zip(grid.T, shown, strict=True):
        column[0].set_title(line.row.title, fontsize=9)
        for axes, cam in zip(column, cams, strict=True):
            background, evidence = (
                decode_map(cam[name]) / GREY_LEVELS for name in ("preprocessed", "cam")
            )
            draw_overlay(axes, background, evidence, cam["pixel_scale"])
            right = cam["prediction"] == cam["label"]
            axes.set_xlabel(
                f"{cam['prediction']} {cam['probability']:.2f}",
                fontsize=8,
                color=INK if right else COLORS[0],
                fontweight="normal" if right else "bold",
            )
            axes.set_xticks([])
            axes.set_yticks([])
    for axes, cam in zip(grid[:, 0], shown[0][1], strict=True):
        axes.set_ylabel(cam["label"], fontsize=10, fontweight="bold")
    return figure


def _epochs(lines: Sequence[Line]) -> tuple[str, str]:
    """Key and label of the x axis: epochs, or images where there is one pass over fresh ones."""
    histories = [cell["history"] for line in lines for cell in line.cells.values()]
    if all(history[-1]["epoch"] <= 1 for history in histories):
        return "images_seen", "fresh training images seen"
    return "epoch", "epochs"


def _draw_history(axes: Axes, line: Line, score: str, *, color: str, dashes: object) -> None:
    key = _epochs([line])[0]
    histories = [cell["history"] for cell in line.cells.values()]
    length = min(map(len, histories))
    x = [row[key] for row in histories[0][:length]]
    y = np.array([[row[score] for row in history[:length]] for history in histories])
    marker = "o" if length < 2 else None
    style = {"lw": 1.5, "color": color, "ls": dashes, "marker": marker, "ms": 4}
    axes.plot(x, y.mean(axis=0), label=line.row.title, **style)  # type: ignore[arg-type]
    if len(histories) > 1:
        axes.fill_between(x, y.min(axis=0), y.max(axis=0), color=color, alpha=0.15, lw=0)


def _mean_roc(line: Line) -> tuple[np.ndarray, np.ndarray]:
    x = np.linspace(0, 1, 2001)
    curves = [cell["roc"][CHOSEN]["micro"] for cell in line.cells.values()]
    return x, np.mean([np.interp(x, *curve) for curve in curves], axis=0)


def _corner(lines: Sequence[Line]) -> float:
    """Size of the upper left corner in which every ROC curve shows its bend."""
    bends = [x[np.argmax(y >= 1 - x)] for x, y in map(_mean_roc, lines)]
    steps = np.ceil(2 * max(bends) / SMALLEST_CORNER)
    return float(np.clip(steps * SMALLEST_CORNER, SMALLEST_CORNER, 1))
