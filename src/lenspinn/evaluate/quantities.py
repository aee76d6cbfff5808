"""Errors of predicted quantities, such as the axion mass, and the calibration of their sigmas."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from matplotlib.figure import Figure

from lenspinn.data.datamodule import truth_tensors
from lenspinn.data.store import ImageStore
from lenspinn.data.style import INK, class_colors, clean_axes
from lenspinn.evaluate.lens import EinsteinRadii
from lenspinn.evaluate.metrics import (
    N_BOOTSTRAP,
    Labels,
    Scores,
    Weights,
    mean_of,
    median_of,
    with_intervals,
)
from lenspinn.evaluate.predict import Chosen, Outputs
from lenspinn.models import Classifier
from lenspinn.models.quantities import Quantity, defined_truth, targets

__all__ = [
    "SCORES",
    "Predicted",
    "predicted_quantities",
    "quantities_figure",
    "quantity_lines",
    "quantity_metrics",
]

SCORES = (
    "rms_error",
    "rms_of_mean",
    "median_error",
    "bias",
    "correlation",
    "within_1_sigma",
    "within_2_sigma",
)
"""Names of the scores; a record has them as ``<name>_<score>``."""

PerImage = Float[np.ndarray, " images"]


@dataclass(frozen=True, kw_only=True, eq=False)
class Predicted:
    """Predictions of one quantity for many images, and the true values."""

    name: str
    """Name in a record: ``predicted_log10_axion_mass_eV``, or ``fitted_theta_E``."""
    of_class: str | None
    """Class whose images have the quantity; None if all have it."""
    mean: PerImage
    sigma: PerImage
    truth: PerImage
    """True value; NaN where an image has none."""


def predicted_quantities(
    model: Classifier,
    outputs: Outputs,
    store: ImageStore,
    indices: Chosen,
    radii: EinsteinRadii | None = None,
) -> list[Predicted]:
    """Return the predictions of a network, without quantities whose truth is unknown.

    Parameters
    ----------
    model
        Network.
    outputs
        Outputs of the network for the images `indices` of the dataset `store`.
    radii
        Einstein radii of the network's fit: they are listed before the network's own ``theta_E``,
        so that the gain of its correction is visible.
    """
    asked = [q for q in model.quantities if store.read_truth(q.name) is not None]
    if not asked:
        return []
    truth = _truth(asked, model.classes, store, indices)
    found = []
    for quantity in asked:
        place = model.quantities.index(quantity)
        predicted = Predicted(
            name=f"predicted_{quantity.column}",
            of_class=quantity.of_class,
            mean=outputs.quantity_means[:, place],
            sigma=outputs.quantity_sigmas[:, place],
            truth=truth[quantity.name],
        )
        sigma = None if radii is None else radii.standard_error
        if quantity.name == "theta_E" and radii is not None and sigma is not None:
            mean = radii.theta_E
            found.append(replace(predicted, name="fitted_theta_E", mean=mean, sigma=sigma))
        found.append(predicted)
    return found


def quantity_metrics(
    found: Sequence[Predicted], labels: Labels, classes: Sequence[str], *, seed: int = 0
) -> dict[str, Any]:
    """Score predictions and their sigmas against the truth.

    Returns
    -------
    dict
        Scores by name: ``<name>_images``, the number of images; ``<name>_rms_error``, beside
        ``<name>_rms_of_mean``, the error of always answering with the mean of these images;
        ``<name>_median_error``, of ``|prediction - truth|``; ``<name>_bias``, the mean of
        ``prediction - truth``; ``<name>_correlation``, Pearson's; ``<name>_within_1_sigma`` and
        ``_within_2_sigma``, shares. Quantities of all classes have them for each class too, as
        ``<name>_<score>_<class>``. All but the number with a 95 % interval as in
        `lenspinn.evaluate.metrics.classification_metrics`.
    """
    score: dict[str, Callable[[Weights], Scores]] = {}
    numbers = {}
    for one in found:
        known = np.isfinite(one.truth)
        groups = {"": known}
        if one.of_class is None:
            groups |= {f"_{name}": known & (labels == i) for i, name in enumerate(classes)}
        for suffix, among in groups.items():
            numbers[f"{one.name}_images{suffix}"] = int(among.sum())
            for name, function in _scores(one, among).items():
                score[f"{one.name}_{name}{suffix}"] = function
    return numbers | with_intervals(score, len(labels), N_BOOTSTRAP, seed)


def quantity_lines(
    record: dict[str, Any], cells: Callable[[str], str], classes: Sequence[str]
) -> list[str]:
    """Return the lines of a report on predicted quantities.

    Parameters
    ----------
    record
        Record with `quantity_metrics`, and the names of the quantities as ``quantities``.
    cells
        Function that gives a score with its interval, as text.
    classes
        Classes of the network.
    """
    rows = []
    for name in record["quantities"]:
        of_classes = [c for c in classes if f"{name}_images_{c}" in record]
        for suffix, images in {"": "", **{f"_{c}": f", {c}" for c in of_classes}}.items():
            number = record[f"{name}_images{suffix}"]
            scores = " | ".join(cells(f"{name}_{score}{suffix}") for score in SCORES)
            rows.append(f"| {name}{images} | {number} | {scores} |")
    return [
        "## Quantities",
        "",
        "| quantity | images | RMS error | RMS of always saying their mean | median error | bias "
        "| correlation | within 1 sigma | within 2 sigma |",
        "|---|---|---|---|---|---|---|---|---|",
        *rows,
        "",
        "Each is predicted as a Gaussian, of which 0.683 and 0.954 lie within 1 and 2 sigma; those "
        "of one class are asked for in images of that class alone, whatever the network takes them "
        "for. Errors of logarithms are in dex, of theta_E in arcsec; `fitted_theta_E` is what the "
        "fit of a smooth lens says, before the network's correction.",
        "",
        "![quantities](quantities.png)",
        "",
    ]


def quantities_figure(found: Sequence[Predicted], labels: Labels, classes: Sequence[str]) -> Figure:
    """Draw predictions, and below them their errors, against the truth."""
    figure = Figure(figsize=(3.4 * len(found), 5.4), layout="constrained")
    panels = figure.subplots(2, len(found), sharex="col", height_ratios=(2, 1), squeeze=False)
    colors = class_colors(classes)
    for (upper, lower), one in zip(panels.T, found, strict=True):
        for index, name in enumerate(classes):
            among = np.isfinite(one.truth) & (labels == index)
            if not among.any():
                continue
            truth, mean = one.truth[among], one.mean[among]
            style: dict[str, Any] = {"ls": "", "marker": ".", "ms": 3, "alpha": 0.4, "mew": 0}
            style["color"] = colors[name]
            upper.plot(truth, mean, label=name, **style)
            lower.plot(truth, mean - truth, **style)
        upper.axline((np.nanmean(one.truth),) * 2, slope=1, color=INK, lw=0.8)
        lower.axhline(0, color=INK, lw=0.8)
        upper.set_title(one.name, fontsize=8)
        upper.legend(fontsize=8, frameon=False, markerscale=3)
        lower.set(xlabel="truth")
        clean_axes(upper)
        clean_axes(lower)
    panels[0, 0].set_ylabel("prediction")
    panels[1, 0].set_ylabel("prediction - truth")
    return figure


def _truth(
    quantities: Sequence[Quantity], classes: Sequence[str], store: ImageStore, indices: Chosen
) -> dict[str, PerImage]:
    """Return the true values to be predicted, by name; NaN where an image has none."""
    columns = {quantity.name: store.read_truth(quantity.name) for quantity in quantities}
    label = torch.from_numpy(store.labels[indices])
    known = defined_truth(quantities, truth_tensors(columns, indices), label, classes)
    values = targets(quantities, known).double().numpy()
    return {quantity.name: values[:, place] for place, quantity in enumerate(quantities)}


def _scores(one: Predicted, among: np.ndarray) -> dict[str, Callable[[Weights], Scores]]:
    """Return each of `SCORES` over some images."""
    error = np.where(among, one.mean - one.truth, 0.0)
    size = np.abs(error)
    # Measured from their means: a spread is then no small difference of large numbers.
    truth, mean = (
        np.where(among, values - values[among].mean(), 0.0) if among.any() else np.zeros_like(error)
        for values in (one.truth, one.mean)
    )

    def scatter(values: PerImage, weights: Weights) -> Scores:
        return np.sqrt(np.maximum(_covariance(values, values, among, weights), 0.0))

    def correlation(weights: Weights) -> Scores:
        both = _covariance(truth, mean, among, weights)
        scale = scatter(truth, weights) * scatter(mean, weights)
        return np.divide(both, scale, out=np.full_like(both, np.nan), where=scale > 0)

    return {
        "rms_error": lambda weights: np.sqrt(mean_of(error**2, among)(weights)),
        "rms_of_mean": lambda weights: scatter(truth, weights),
        "median_error": median_of(size, among),
        "bias": mean_of(error, among),
        "correlation": correlation,
        "within_1_sigma": mean_of(size <= one.sigma, among),
        "within_2_sigma": mean_of(size <= 2 * one.sigma, among),
    }


def _covariance(one: PerImage, other: PerImage, among: np.ndarray, weights: Weights) -> Scores:
    """Return the weighted covariance of two numbers over images; of one with itself, variance."""
    apart = mean_of(one, among)(weights) * mean_of(other, among)(weights)
    return np.asarray(mean_of(one * other, among)(weights) - apart)
