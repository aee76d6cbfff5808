"""Pictures of an evaluation, drawn on `Figure` objects: no window, no global state."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import Int
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from lenspinn.data.limit import Limit, draw_accuracies
from lenspinn.data.style import COLORS, INK, class_colors, clean_axes
from lenspinn.evaluate.metrics import (
    NUM_CALIBRATION_BINS,
    Labels,
    Probabilities,
    calibration_bins,
    roc_curve,
    weighted_auc,
    weighted_ece,
)

ROC_INSET_ABOVE = 0.95
"""AUC of all classes above which the ROC curves crowd the upper left corner, and an inset enlarges
it."""


def roc_figure(probabilities: Probabilities, labels: Labels, classes: Sequence[str]) -> Figure:
    """Draw the ROC curve of each class against the rest, and their micro-average.

    Parameters
    ----------
    probabilities : (images, classes)
    labels : (images,)
    classes
        Names in the order of the columns.
    """
    figure = Figure(figsize=(5.4, 5.2), layout="constrained")
    axes = figure.add_subplot()
    positive = np.eye(len(classes), dtype=bool)[labels]
    colors = class_colors(classes)
    curves = [
        (name, colors[name], probabilities[:, index], positive[:, index])
        for index, name in enumerate(classes)
    ]
    curves.append(("micro-average", INK, probabilities.ravel(), positive.ravel()))
    auc = [weighted_auc(s, truth, np.ones((1, len(s))))[0] for _, _, s, truth in curves]
    panels = [axes]
    if min(auc) > ROC_INSET_ABOVE:
        panels.append(axes.inset_axes((0.44, 0.36, 0.5, 0.5), xlim=(0, 0.2), ylim=(0.8, 1.004)))
        panels[1].set_title("upper left corner", fontsize=8)
        panels[1].tick_params(labelsize=7)
        panels[1].locator_params(nbins=4)
    for (name, color, scores, truth), area in zip(curves, auc, strict=True):
        line = (0, (4, 2)) if color == INK else "-"
        for panel in panels:
            x, y = roc_curve(scores, truth)
            panel.plot(x, y, lw=1.6, ls=line, color=color, label=f"{name}: AUC {area:.4f}")
    axes.plot([0, 1], [0, 1], color="0.75", lw=1, zorder=0)
    axes.set(xlabel="false positive rate", ylabel="true positive rate", xlim=(0, 1), ylim=(0, 1.01))
    axes.set_title(f"ROC curves, one class against the rest, {len(labels)} images", fontsize=10)
    axes.legend(loc="lower right", fontsize=8, frameon=False)
    clean_axes(axes)
    return figure


def confusion_figure(
    confusion: Int[np.ndarray, "classes classes"], classes: Sequence[str]
) -> Figure:
    """Draw a confusion matrix: rows are true classes, columns the most probable class.

    Parameters
    ----------
    confusion : (classes, classes)
        Numbers of images.
    classes
        Names in the order of rows and columns.
    """
    share = confusion / np.maximum(confusion.sum(axis=1, keepdims=True), 1)
    side = 1.6 + 0.9 * len(classes)
    figure = Figure(figsize=(side, side), layout="constrained")
    axes = figure.add_subplot()
    axes.imshow(share, cmap="Blues", vmin=0, vmax=1)
    for row, column in np.ndindex(*confusion.shape):
        axes.text(
            column,
            row,
            f"{confusion[row, column]}\n{share[row, column]:.1%}",
            ha="center",
            va="center",
            fontsize=9,
            color="white" if share[row, column] > 0.5 else INK,
        )
    ticks = range(len(classes))
    axes.set_xticks(ticks, classes)
    axes.set_yticks(ticks, classes, rotation=90, va="center")
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    axes.set(xlabel="most probable class", ylabel="true class")
    accuracy = np.trace(confusion) / max(confusion.sum(), 1)
    axes.set_title(f"accuracy {accuracy:.4f} on {confusion.sum()} images", fontsize=10)
    return figure


def learning_figure(
    history: Sequence[Mapping[str, float]], chosen: Mapping[str, float] | None = None
) -> Figure:
    """Draw micro-F1 and loss against epochs, or against images seen if there was one epoch.

    Parameters
    ----------
    history
        Rows of a run's ``metrics.csv``.
    chosen
        Row whose weights were kept; marked by a line.
    """
    one_pass = history[-1]["epoch"] <= 1
    key, label = ("images_seen", "training images seen") if one_pass else ("epoch", "epochs")
    x = [row[key] for row in history]
    figure = Figure(figsize=(8.4, 3.4), layout="constrained")
    panels = figure.subplots(1, 2)
    curves = (
        ("micro F1 (= accuracy)", ("train_accuracy", "val_micro_f1")),
        ("loss", ("train_loss", "val_loss")),
    )
    names = ("training", "validation")
    for axes, (title, keys) in zip(panels, curves, strict=True):
        for name, color, column in zip(names, COLORS[1::-1], keys, strict=True):
            y = [row[column] for row in history]
            axes.plot(x, y, "o-", ms=3, lw=1.4, color=color, label=name)
        if chosen is not None:
            axes.axvline(chosen[key], color=INK, lw=1, ls=":", label="chosen on validation")
        axes.set(xlabel=label, ylabel=title, xlim=(0, None))
        axes.xaxis.set_major_locator(MaxNLocator(6, integer=not one_pass))
        clean_axes(axes)
    panels[1].set_ylim(0, None)
    panels[1].legend(fontsize=8, frameon=False, loc="upper right")
    return figure


def limit_figure(limit: Limit, record: Mapping[str, Any]) -> Figure:
    """Draw the best accuracies against magnitude, and that of a network.

    Parameters
    ----------
    limit
        Limit of the dataset on which the network was measured.
    record
        The network's ``model``, ``recipe`` and ``accuracy`` with its interval.
    """
    figure = Figure(figsize=(5.4, 3.8), layout="constrained")
    axes = figure.add_subplot()
    draw_accuracies(axes, limit.accuracy)
    accuracy = record["accuracy"]
    interval = [[accuracy - record["accuracy_low"]], [record["accuracy_high"] - accuracy]]
    axes.errorbar(
        [limit.at], [accuracy], interval, fmt="s", ms=5, color=COLORS[0], label=record["model"]
    )
    axes.set(xlabel="magnitude of the unlensed source (AB)", ylabel="accuracy", ylim=(0, 1.02))
    axes.set_title(f"{record['recipe']}, with 95 % intervals", fontsize=10)
    axes.legend(loc="lower left", fontsize=8, frameon=False)
    clean_axes(axes)
    return figure


def reliability_figure(
    probabilities: Probabilities, labels: Labels, calibrated: Probabilities | None = None
) -> Figure:
    """Draw accuracy against confidence in 15 equal bins, above the number of images in each.

    Parameters
    ----------
    probabilities : (images, classes)
        Probabilities as the network gives them.
    labels : (images,)
    calibrated : (images, classes), optional
        Probabilities after temperature scaling.
    """
    figure = Figure(figsize=(4.6, 5.2), layout="constrained")
    upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=(3, 1))
    upper.plot([0, 1], [0, 1], color="0.75", lw=1, zorder=0, label="perfectly calibrated")
    if calibrated is None:
        _draw_reliability(upper, lower, probabilities, labels, "this model", COLORS[1])
    else:
        _draw_reliability(upper, lower, probabilities, labels, "as it is", COLORS[0])
        _draw_reliability(upper, lower, calibrated, labels, "calibrated", COLORS[1])
    upper.set_title(f"reliability on {len(labels)} images, with standard errors", fontsize=10)
    upper.set(ylabel="accuracy", xlim=(1 / probabilities.shape[1], 1.01), ylim=(0, 1.02))
    upper.legend(fontsize=8, frameon=False, loc="lower right")
    lower.set_yscale("log")
    lower.set(xlabel="confidence (highest probability)", ylabel="images", ylim=(0.7, None))
    clean_axes(upper)
    clean_axes(lower)
    return figure


def _draw_reliability(
    upper: Axes, lower: Axes, probabilities: Probabilities, labels: Labels, name: str, color: str
) -> None:
    bin_index, confidence, correct = calibration_bins(probabilities, labels)
    counts = np.bincount(bin_index, minlength=NUM_CALIBRATION_BINS)
    filled = np.flatnonzero(counts)
    accuracy = np.bincount(bin_index, correct, NUM_CALIBRATION_BINS)[filled] / counts[filled]
    total_confidence = np.bincount(bin_index, confidence, NUM_CALIBRATION_BINS)[filled]
    standard_error = np.sqrt(accuracy * (1 - accuracy) / counts[filled])
    ece = weighted_ece(probabilities, labels, np.ones((1, len(labels))))[0]
    upper.errorbar(
        total_confidence / counts[filled],
        accuracy,
        standard_error,
        fmt="o-",
        ms=4,
        lw=1.2,
        color=color,
        label=f"{name}: ECE {ece:.4f}",
    )
    centres = (np.arange(NUM_CALIBRATION_BINS) + 0.5) / NUM_CALIBRATION_BINS
    lower.bar(centres, counts, 0.9 / NUM_CALIBRATION_BINS, color=color, alpha=0.5)
