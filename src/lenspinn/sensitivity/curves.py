"""Rates of detection at a fixed rate of false positives, and their curves.

An image counts as a detection of substructure, of any class, where its score is above a threshold
that a share `FALSE_POSITIVES` of the images without substructure pass.
"""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from jaxtyping import Bool, Float
from scipy.special import ndtr, ndtri
from scipy.stats import binomtest

from lenspinn.errors import DataError
from lenspinn.simulate.limit.classifier import mean_interval

__all__ = [
    "FALSE_POSITIVES",
    "FEWEST_WITHOUT",
    "curve_points",
    "detection_score",
    "detection_threshold",
    "ideal_rate",
    "mean_rate",
    "share_rate",
]

FALSE_POSITIVES = 0.05
"""Share of images without substructure that count as detections."""
FEWEST_WITHOUT = math.ceil(1 / FALSE_POSITIVES) - 1
"""Least number of images without substructure; with fewer no threshold keeps the rate of false
positives."""
BINS_PER_DECADE = 2
"""Number of bins per decade of mass."""
FEWEST = 5
"""Least number of images in a bin; bins with fewer are left out."""
CONFIDENCE = 0.95
"""Coverage of the intervals."""

PerImage = Float[np.ndarray, " images"]
Rate = tuple[float, float, float]
"""Share, and the lower and upper end of its interval."""


def detection_score(
    probabilities: Float[np.ndarray, "images classes"], no_substructure: int
) -> PerImage:
    """Return the log-odds of any substructure.

    Parameters
    ----------
    probabilities : (images, classes)
        float64, as `lenspinn.evaluate.predict` gives them.
    no_substructure
        Column of the class without substructure.

    Returns
    -------
    (images,)
        ``log((1 - P) / P)`` for the probability P of no substructure: in the order of ``1 - P``,
        but without ties where ``1 - P`` rounds to 0 or 1.
    """
    tiny = np.finfo(np.float64).tiny
    substructure = np.delete(probabilities, no_substructure, axis=1).sum(axis=1)
    odds = np.log(substructure.clip(tiny)) - np.log(probabilities[:, no_substructure].clip(tiny))
    return np.asarray(odds)


def detection_threshold(scores: PerImage) -> float:
    """Return the score above which an image counts as a detection.

    Parameters
    ----------
    scores : (images,)
        Scores of images without substructure, otherwise drawn as the images that are searched.

    Returns
    -------
    float
        The ceil(0.95 (n + 1))-th lowest of n scores. A new image without substructure has a higher
        score with a probability of at most 5 %, whatever the distribution of scores, averaged over
        the choice of the n images; the rate for one choice scatters by sqrt(0.05 * 0.95 / n).

    Raises
    ------
    DataError
        If there are fewer than `FEWEST_WITHOUT` scores.
    """
    if len(scores) < FEWEST_WITHOUT:
        raise DataError(
            f"{len(scores)} images without substructure: at least {FEWEST_WITHOUT} are needed for "
            f"{FALSE_POSITIVES:.0%} false positives"
        )
    # The rounding keeps 0.95 * 20 = 19.000000000000004 from becoming the 20th of 19.
    rank = math.ceil(round((1 - FALSE_POSITIVES) * (len(scores) + 1), 9))
    return float(np.sort(scores)[rank - 1])


def ideal_rate(significance: PerImage) -> PerImage:
    """Return the rate at which an observer that is told the substructure would find it.

    Parameters
    ----------
    significance : (images,)
        Significance sqrt(delta chi^2) of the substructure against the best smooth model.

    Returns
    -------
    (images,)
        ``Phi(significance - 1.645)`` at 5 % false positives.

    Notes
    -----
    This observer knows what substructure there would be and where, and only has to say whether it
    is there: its test statistic, the projection of the image on the signal, is normal with variance
    1, of mean 0 without the substructure and of mean ``significance`` with it. A blind search must
    look everywhere and cannot reach this rate. Like the significance, the rate takes the smooth
    lens and source as unknown; an observer with priors on them would do a little better.

    References
    ----------
    Neyman & Pearson (1933), Phil. Trans. R. Soc. A 231, 289.
    """
    return np.asarray(ndtr(significance - ndtri(1 - FALSE_POSITIVES)))


def share_rate(found: Bool[np.ndarray, " images"]) -> Rate:
    """Return the share of images that are detections, with its 95 % Wilson interval.

    The interval does not include the scatter of the threshold.
    """
    interval = binomtest(int(found.sum()), len(found)).proportion_ci(CONFIDENCE, "wilson")
    return float(found.mean()), float(interval.low), float(interval.high)


def mean_rate(rates: PerImage) -> Rate:
    """Return the mean of `ideal_rate` with its 95 % interval under resampling of the lenses."""
    return mean_interval(rates, seed=0)


def curve_points(
    values: np.ndarray, rate: Callable[[np.ndarray], Rate], mass: PerImage | None = None
) -> list[dict[str, Any]]:
    """Return the rate in each half-decade of mass, or of all images.

    Parameters
    ----------
    values : (images,)
        Values that `rate` takes.
    rate
        `share_rate` or `mean_rate`.
    mass : (images,), optional
        Mass of the substructure, solar masses; images with 0, without substructure, are in no bin.
        By default there is one point, for all images.

    Returns
    -------
    list of dict
        ``mass_low`` and ``mass_high`` (edges of the bin) and ``mass_median``, solar masses, None
        without bins; ``n``; ``rate``, ``rate_low``, ``rate_high``. Bins with fewer than `FEWEST`
        images are left out.
    """
    if mass is None:
        return [_point(rate(values), len(values), (None, None, None))]
    rows = np.flatnonzero(mass > 0)
    bin_of = np.floor(BINS_PER_DECADE * np.log10(mass[rows])).astype(int)
    points = []
    for number in np.unique(bin_of):
        inside = rows[bin_of == number]
        if len(inside) >= FEWEST:
            low, high = (10 ** (edge / BINS_PER_DECADE) for edge in (number, number + 1))
            place = (float(low), float(high), float(np.median(mass[inside])))
            points.append(_point(rate(values[inside]), len(inside), place))
    return points


def _point(rate: Rate, num: int, place: tuple[float | None, ...]) -> dict[str, Any]:
    keys = ("mass_low", "mass_high", "mass_median", "rate", "rate_low", "rate_high")
    values = dict(zip(keys, (*place, *rate), strict=True))
    # Six digits: the rest depends on the machine and the number of threads.
    rounded = {key: None if v is None else float(f"{v:.6g}") for key, v in values.items()}
    return {"n": num, **rounded}
