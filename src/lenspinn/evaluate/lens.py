"""How well a network that fits the lens knows its Einstein radius, and how well it knows that."""

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

__all__ = ["SCORES", "EinsteinRadii", "einstein_radii", "lens_lines", "lens_metrics"]

OUTLIER = 0.05
"""A relative error of the Einstein radius above this counts as an outlier."""
COVERAGES = (0.68, 0.95)
SCORES = (
    "theta_E_error",
    "theta_E_outliers",
    *(f"theta_E_coverage_{round(100 * share)}" for share in COVERAGES),
)
"""Names of the scores; ``<name>_<class>`` is that of one class."""

PerImage = Float[np.ndarray, " images"]


@dataclass(frozen=True, kw_only=True, eq=False)
class EinsteinRadii:
    """What a network says of the Einstein radii of images, and the truth; arcsec."""

    theta_E: PerImage
    standard_error: PerImage
    truth: PerImage


def einstein_radii(outputs: Outputs, store: ImageStore, indices: Chosen) -> EinsteinRadii | None:
    """Return those of a network that measures them; None for others, or where truth is unknown.

    Parameters
    ----------
    outputs
        Of the images `indices` of the dataset.
    """
    truth = store.read_truth("theta_E")
    if truth is None or outputs.theta_E is None or outputs.theta_E_error is None:
        return None
    return EinsteinRadii(
        theta_E=outputs.theta_E.astype(np.float64),
        standard_error=outputs.theta_E_error.astype(np.float64),
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
        from the standard error) holds the truth. Each with its 95 % interval as in
        `lenspinn.evaluate.metrics.classification_metrics`.
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
            width = NormalDist().inv_cdf((1 + share) / 2)
            score[name + suffix] = mean_of(error <= width * radii.standard_error, among)
    return with_intervals(score, len(labels), N_BOOTSTRAP, seed)


def lens_lines(cells: Callable[[str], str], classes: Sequence[str]) -> list[str]:
    """Lines of a report on Einstein radii; `cells` gives a score with its interval."""
    rows = {"all": "", **{name: f"_{name}" for name in classes}}
    return [
        "## Einstein radius",
        "",
        f"| images | median error / theta_E | above {OUTLIER:.0%} | 68 % intervals hold the truth "
        "| 95 % intervals |",
        "|---|---|---|---|---|",
        *(
            f"| {name} | " + " | ".join(cells(score + suffix) for score in SCORES) + " |"
            for name, suffix in rows.items()
        ),
        "",
        "Intervals of theta_E are those of the noise, for a smooth lens. Where substructure bends "
        "the light too, theta_E takes some of its part, and the intervals do not allow for that.",
        "",
    ]
