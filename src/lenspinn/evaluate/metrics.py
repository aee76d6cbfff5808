"""Scores of a classifier's probabilities, their calibration and their intervals.

Every score is written for *weighted* images. Weights of one give the score itself; the
multiplicities of a bootstrap resample give the score of that resample, so a thousand resamples
are one vectorised call of the same formula.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Int

from lenspinn.errors import DataError
from lenspinn.evaluate.chance import chance_metrics

CONFIDENCE = 0.95
"""Coverage of the bootstrap intervals."""

_TAILS = ((1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2)

N_BOOTSTRAP = 1000
"""Number of bootstrap resamples of the images."""

NUM_CALIBRATION_BINS = 15
"""Equal-width bins of confidence used for the expected calibration error."""

SUM_TOLERANCE = 1e-5
"""Largest deviation of the sum of a row of probabilities from 1: float32 softmax errs by 1e-7."""

MAX_WEIGHTS = 1_000_000
"""Bootstrap weights held in memory at a time (8 MB as float64)."""

Probabilities = Float[np.ndarray, "images classes"]
Labels = Int[np.ndarray, " images"]
Weights = Float[np.ndarray, "resamples images"]
Scores = Float[np.ndarray, " resamples"]


def classification_metrics(
    probabilities: Probabilities,
    labels: Labels,
    classes: Sequence[str],
    *,
    seed: int = 0,
    n_bootstrap: int = N_BOOTSTRAP,
) -> dict[str, Any]:
    """Score class probabilities against the true classes.

    Parameters
    ----------
    probabilities : (images, classes)
        Rows sum to 1.
    labels : (images,)
        Index of each image's true class.
    classes
        Names of the classes, in the order of the columns.
    seed
        Of the bootstrap resamples.
    n_bootstrap
        Number of resamples.

    Returns
    -------
    dict
        Ready for JSON. For each of ``accuracy``, ``micro_f1``, ``macro_f1``, ``f1_<class>``,
        ``auc_<class>`` (one class versus the rest), ``auc_micro`` and ``ece``: the score under its
        name, and its 95 % percentile interval under ``<name>_low`` and ``<name>_high`` (None
        where it is undefined: the AUC of a class that does not occur). ``confusion`` counts
        images, rows are true classes; ``n_test`` is the number of images. ``chance_accuracy`` is
        the share of the largest class, ``above_chance`` whether ``accuracy_low`` is above it.

    Raises
    ------
    DataError
        The scores are not probabilities, or the labels do not fit them.

    Notes
    -----
    Where each image has exactly one class, micro-averaged F1 equals accuracy; it is reported
    because the literature does. A bootstrap interval of a perfect score has no width: with no
    error in n images the error rate may still be up to 3/n at 95 %. Resampling adds noise to each
    bin of the ECE and never takes any away, so its interval lies high and need not hold the ECE.
    """
    _check(probabilities, labels, classes)
    score = _score_functions(probabilities, labels, classes)
    metrics = with_intervals(score, len(labels), n_bootstrap, seed)
    confusion = weighted_confusion(probabilities, labels, np.ones((1, len(labels))))[0]
    metrics["confusion"] = confusion.astype(int).tolist()
    metrics["n_test"] = len(labels)
    return metrics | chance_metrics(metrics["confusion"], metrics["accuracy_low"])


def paired_difference(
    correct: Scores, reference: Scores, *, seed: int = 0, n_bootstrap: int = N_BOOTSTRAP
) -> tuple[float, float, float]:
    """Compare the accuracies of two classifiers on the same images.

    Parameters
    ----------
    correct, reference : (images,)
        1 where an image is classified rightly, 0 where not; for several trainings of a classifier
        the mean over them.
    seed
        Of the bootstrap resamples.
    n_bootstrap
        Number of resamples.

    Returns
    -------
    difference, low, high
        Mean of ``correct - reference``, and its 95 % percentile interval over resampled images.
        Images that both find easy cancel: it is narrower than the intervals of the two accuracies.
    """
    difference = (correct - reference).astype(np.float64)

    def mean(weights: Weights) -> Scores:
        return weights @ difference / weights.sum(axis=1)

    resampled = _bootstrap({"mean": mean}, len(difference), n_bootstrap, seed)["mean"]
    low, high = np.quantile(resampled, _TAILS)
    return float(difference.mean()), float(low), float(high)


def trust_metrics(
    probabilities: Probabilities,
    possible: Bool[np.ndarray, "images classes"],
    refused: Bool[np.ndarray, " images"],
    labels: Labels,
    classes: Sequence[str],
    *,
    seed: int = 0,
) -> dict[str, Any]:
    """Score calibrated probabilities, prediction sets and refusals against the true classes.

    Parameters
    ----------
    probabilities : (images, classes)
        Calibrated.
    possible : (images, classes)
        Whether the class is in the prediction set.
    refused : (images,)
        Whether no answer is given.
    labels, classes, seed
        As for `classification_metrics`.

    Returns
    -------
    dict
        ``ece_calibrated``, ``set_coverage`` (share of sets with the true class; of one class as
        ``set_coverage_<class>``), ``set_size`` (mean number of classes in a set) and ``refused``
        (share of images), each with its 95 % interval as in `classification_metrics`.
    """
    _check(probabilities, labels, classes)
    covered = possible[np.arange(len(labels)), labels]
    score = {
        "ece_calibrated": lambda weights: weighted_ece(probabilities, labels, weights),
        "set_coverage": mean_of(covered),
        "set_size": mean_of(possible.sum(axis=1)),
        "refused": mean_of(refused),
    }
    for index, name in enumerate(classes):
        score[f"set_coverage_{name}"] = mean_of(covered, among=labels == index)
    return with_intervals(score, len(labels), N_BOOTSTRAP, seed)


def weighted_confusion(
    probabilities: Probabilities, labels: Labels, weights: Weights
) -> Float[np.ndarray, "resamples classes classes"]:
    """Count images by true class (rows) and most probable class (columns)."""
    num_classes = probabilities.shape[1]
    cell = labels * num_classes + probabilities.argmax(axis=1)
    counts = weights @ _one_hot(cell, num_classes**2)
    return counts.reshape(-1, num_classes, num_classes)


def weighted_auc(
    scores: Float[np.ndarray, " images"], positive: np.ndarray, weights: Weights
) -> Scores:
    """Area under the ROC curve: the chance that a positive outscores a negative, ties half.

    Parameters
    ----------
    scores : (images,)
    positive : (images,) bool
    weights : (resamples, images)

    Returns
    -------
    (resamples,)
        NaN where positives or negatives are missing.

    References
    ----------
    Fawcett (2006), Pattern Recognition Letters 27, 861, section 7.
    """
    order = np.argsort(scores, kind="stable")
    starts = np.flatnonzero(np.diff(scores[order], prepend=-np.inf))
    ordered = weights[:, order]
    positives = np.add.reduceat(ordered * positive[order], starts, axis=1)
    negatives = np.add.reduceat(ordered * ~positive[order], starts, axis=1)
    below = np.cumsum(negatives, axis=1) - negatives
    wins = (positives * (below + 0.5 * negatives)).sum(axis=1)
    pairs = positives.sum(axis=1) * negatives.sum(axis=1)
    return np.divide(wins, pairs, out=np.full_like(wins, np.nan), where=pairs > 0)


def roc_curve(
    scores: Float[np.ndarray, " images"], positive: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Trace the false and true positive rates as the threshold falls from the highest score.

    Images of equal score enter together, so the trapezoids under the curve add up to
    `weighted_auc`.

    Returns
    -------
    false_positive_rate, true_positive_rate : (distinct scores + 1,)
        From (0, 0) to (1, 1); NaN where negatives or positives are missing.
    """
    order = np.argsort(-scores, kind="stable")
    ends = np.flatnonzero(np.diff(scores[order], append=-np.inf))
    hits = np.concatenate([[0], np.cumsum(positive[order])[ends]])
    alarms = np.concatenate([[0], ends + 1]) - hits
    with np.errstate(invalid="ignore"):
        return alarms / alarms[-1:], hits / hits[-1:]


def calibration_bins(
    probabilities: Probabilities, labels: Labels
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Bin images by confidence, the probability of the most probable class.

    Bin m of M = 15 holds confidences in ((m - 1)/M, m/M].

    Returns
    -------
    bin_index, confidence, correct : (images,)
    """
    confidence = probabilities.max(axis=1)
    edges = np.linspace(0, 1, NUM_CALIBRATION_BINS + 1)
    bin_index = np.clip(np.searchsorted(edges, confidence) - 1, 0, NUM_CALIBRATION_BINS - 1)
    return bin_index, confidence, probabilities.argmax(axis=1) == labels


def weighted_ece(probabilities: Probabilities, labels: Labels, weights: Weights) -> Scores:
    """Mean over images of |accuracy - confidence| of their bin: expected calibration error.

    References
    ----------
    Guo et al. (2017), arXiv:1706.04599, eq. 5, with M = 15 equal-width bins.
    """
    bin_index, confidence, correct = calibration_bins(probabilities, labels)
    excess = (correct - confidence)[:, None] * _one_hot(bin_index, NUM_CALIBRATION_BINS)
    return np.abs(weights @ excess).sum(axis=1) / weights.sum(axis=1)


def _score_functions(
    probabilities: Probabilities, labels: Labels, classes: Sequence[str]
) -> dict[str, Callable[[Weights], Scores]]:
    def accuracy(weights: Weights) -> Scores:
        confusion = weighted_confusion(probabilities, labels, weights)
        return np.trace(confusion, axis1=1, axis2=2) / confusion.sum(axis=(1, 2))

    def f1(weights: Weights) -> Float[np.ndarray, "resamples classes"]:
        confusion = weighted_confusion(probabilities, labels, weights)
        true_or_predicted = confusion.sum(axis=1) + confusion.sum(axis=2)
        hits = 2 * np.diagonal(confusion, axis1=1, axis2=2)
        return np.divide(hits, true_or_predicted, out=np.zeros_like(hits), where=hits > 0)

    def micro_auc(weights: Weights) -> Scores:
        positive = _one_hot(labels, len(classes)).astype(bool)
        return weighted_auc(
            probabilities.ravel(), positive.ravel(), np.repeat(weights, len(classes), axis=1)
        )

    score: dict[str, Callable[[Weights], Scores]] = {
        "accuracy": accuracy,
        "micro_f1": accuracy,
        "macro_f1": lambda weights: f1(weights).mean(axis=1),
    }
    for index, name in enumerate(classes):
        score[f"f1_{name}"] = lambda weights, i=index: f1(weights)[:, i]  # type: ignore[misc]
        score[f"auc_{name}"] = lambda weights, i=index: weighted_auc(  # type: ignore[misc]
            probabilities[:, i], labels == i, weights
        )
    score["auc_micro"] = micro_auc
    score["ece"] = lambda weights: weighted_ece(probabilities, labels, weights)
    return score


def mean_of(values: np.ndarray, among: np.ndarray | None = None) -> Callable[[Weights], Scores]:
    """Mean of a number an image has, over all images or some; NaN where a resample has none."""
    counted = np.ones(len(values)) if among is None else among.astype(np.float64)

    def mean(weights: Weights) -> Scores:
        total = weights @ counted
        sums = weights @ (values * counted)
        return np.divide(sums, total, out=np.full_like(total, np.nan), where=total > 0)

    return mean


def median_of(values: np.ndarray, among: np.ndarray) -> Callable[[Weights], Scores]:
    """Lower median over some images; NaN where a resample has none."""
    order = np.flatnonzero(among)[np.argsort(values[among], kind="stable")]

    def median(weights: Weights) -> Scores:
        total = weights[:, order].cumsum(axis=1)
        if not len(order):
            return np.full(len(weights), np.nan)
        half = (total >= total[:, -1:] / 2).argmax(axis=1)
        return np.where(total[:, -1] > 0, values[order[half]], np.nan)

    return median


def with_intervals(
    score: dict[str, Callable[[Weights], Scores]], num_images: int, n_bootstrap: int, seed: int
) -> dict[str, Any]:
    """Each score of all images, and its percentile interval over resamples."""
    metrics: dict[str, Any] = {}
    resampled = _bootstrap(score, num_images, n_bootstrap, seed)
    for name, function in score.items():
        metrics[name] = _json_number(function(np.ones((1, num_images)))[0])
        defined = resampled[name][np.isfinite(resampled[name])]
        low, high = np.quantile(defined, _TAILS) if defined.size else (np.nan, np.nan)
        metrics[f"{name}_low"] = _json_number(low)
        metrics[f"{name}_high"] = _json_number(high)
    return metrics


def _bootstrap(
    score: dict[str, Callable[[Weights], Scores]], num_images: int, n_bootstrap: int, seed: int
) -> dict[str, Scores]:
    generator = np.random.default_rng(seed)
    chunk = max(1, MAX_WEIGHTS // num_images)
    parts: dict[str, list[Scores]] = {name: [] for name in score}
    for start in range(0, n_bootstrap, chunk):
        size = min(chunk, n_bootstrap - start)
        equal = np.full(num_images, 1 / num_images)
        weights = generator.multinomial(num_images, equal, size=size).astype(np.float64)
        for name, function in score.items():
            parts[name].append(function(weights))
    return {name: np.concatenate(part) for name, part in parts.items()}


def _one_hot(index: np.ndarray, size: int) -> Float[np.ndarray, "images size"]:
    return np.eye(size)[index]


def _json_number(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None


def _check(probabilities: Probabilities, labels: Labels, classes: Sequence[str]) -> None:
    if probabilities.shape != (len(labels), len(classes)) or len(labels) == 0:
        raise DataError(
            f"probabilities of shape {probabilities.shape} do not fit {len(labels)} labels and "
            f"{len(classes)} classes: one row an image and one column a class are needed"
        )
    sums = probabilities.sum(axis=1)
    if not (np.abs(sums - 1) <= SUM_TOLERANCE).all() or probabilities.min() < 0:
        worst = int(np.nanargmax(np.where(np.isnan(sums), np.inf, np.abs(sums - 1))))
        raise DataError(
            f"row {worst} of the scores sums to {sums[worst]:.6g} and its least entry is "
            f"{probabilities[worst].min():.6g}: probabilities >= 0 that sum to 1 are needed"
        )
    if labels.min() < 0 or labels.max() >= len(classes):
        raise DataError(
            f"labels {labels.min()} to {labels.max()} do not fit the {len(classes)} classes "
            f"{', '.join(classes)}: indices from 0 are needed"
        )
