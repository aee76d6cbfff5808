"""Errors of a network's Einstein radii, and the calibration of its standard errors."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import NormalDist
from typing import Any

import numpy as np
from jaxtyping import Float

from lenspinn.data.store import ImageStore
from lenspinn.evaluate.metrics import (
    N_BOOTSTRAP,
    Labels,
    mean_of,
    median_of,
    with_intervals,
)
from lenspinn.evaluate.predict import Chosen, Outputs

__all__ = [
    "OF_AN_ENCODER",
    "OF_A_FIT",
    "OF_CLASSES_ALONE",
    "SCORES",
    "EinsteinRadii",
    "einstein_radii",
    "lens_lines",
    "lens_metrics",
]

OUTLIER = 0.05
"""A relative error of the Einstein radius above this counts as an outlier."""
COVERAGES = (0.68, 0.95)
SCORES = (
    "theta_E_error",
    "theta_E_outliers",
    *(f"theta_E_coverage_{round(100 * share)}" for share in COVERAGES),
)
"""Names of the scores; ``<name>_<class>`` is that of one class."""
HEADS = dict(
    zip(
        SCORES,
        (
            "median error / theta_E",
            f"above {OUTLIER:.0%}",
            "68 % intervals hold the truth",
            "95 % intervals",
        ),
        strict=True,
    )
)
OF_A_FIT = (
    "Intervals of theta_E are those of the noise, for a smooth lens. Where substructure bends the "
    "light too, theta_E takes some of its part, and the intervals do not allow for that."
)
OF_AN_ENCODER = (
    "theta_E is what an encoder reads off the image, trained with its truth or with the image's "
    "agreement with itself; it comes without an error."
)
OF_CLASSES_ALONE = (
    "theta_E is what the network's lens layer works with. It was trained by the classes alone, so "
    "it is no measurement, and these errors say how far it is from one."
)
"""Notes for `lens_lines`."""

PerImage = Float[np.ndarray, " images"]


@dataclass(frozen=True, kw_only=True, eq=False)
class EinsteinRadii:
    """Einstein radii of images by a network, and their true values, arcsec."""

    theta_E: PerImage
    standard_error: PerImage | None
    """Standard error, arcsec; None for a network that predicts radii without a fit of the lens."""
    truth: PerImage


def einstein_radii(outputs: Outputs, store: ImageStore, indices: Chosen) -> EinsteinRadii | None:
    """Return the radii by a network; None if it gives none, or where the truth is unknown.

    Parameters
    ----------
    outputs
        Outputs for the images `indices` of the dataset.
    """
    truth = store.read_truth("theta_E")
    if truth is None or outputs.theta_E is None:
        return None
    error = outputs.theta_E_error
    return EinsteinRadii(
        theta_E=outputs.theta_E.astype(np.float64),
        standard_error=None if error is None else error.astype(np.float64),
        truth=truth[indices],
    )


def lens_metrics(
    radii: EinsteinRadii, labels: Labels, classes: Sequence[str], *, seed: int = 0
) -> dict[str, Any]:
    """Score Einstein radii and their intervals against the truth.

    Returns
    -------
    dict
        Over all images and for each class: ``theta_E_error``, the median of ``|error| / theta_E``;
        ``theta_E_outliers``, the share of images with more than `OUTLIER`; and
        ``theta_E_coverage_68`` and ``_95``, the share whose interval of so many per cent (Gaussian,
        from the standard error) holds the truth; not for radii without errors. Each with its 95 %
        interval as in `lenspinn.evaluate.metrics.classification_metrics`.
    """
    error = np.abs(radii.theta_E - radii.truth)
    relative = error / radii.truth
    groups = {"": np.ones(len(labels), dtype=bool)}
    groups |= {f"_{name}": labels == index for index, name in enumerate(classes)}
    score = {}
    for suffix, among in groups.items():
        score[f"{SCORES[0]}{suffix}"] = median_of(relative, among)
        score[f"{SCORES[1]}{suffix}"] = mean_of(relative > OUTLIER, among)
        for name, share in zip(SCORES[2:], COVERAGES, strict=True):
            if radii.standard_error is None:
                break
            width = NormalDist().inv_cdf((1 + share) / 2)
            score[name + suffix] = mean_of(error <= width * radii.standard_error, among)
    return with_intervals(score, len(labels), N_BOOTSTRAP, seed)


def lens_lines(
    cells: Callable[[str], str], classes: Sequence[str], scores: Sequence[str], note: str
) -> list[str]:
    """Return the lines of a report on Einstein radii.

    Parameters
    ----------
    cells
        Function that gives a score with its interval, as text.
    classes
    scores
        Names in `SCORES` that were measured.
    note
        Sentence on the meaning of this network's radii.
    """
    rows = {"all": "", **{name: f"_{name}" for name in classes}}
    heads = [HEADS[name] for name in scores]
    return [
        "## Einstein radius",
        "",
        f"| images | {' | '.join(heads)} |",
        "|---" * (1 + len(heads)) + "|",
        *(
            f"| {name} | " + " | ".join(cells(score + suffix) for score in scores) + " |"
            for name, suffix in rows.items()
        ),
        "",
        note,
        "",
    ]
