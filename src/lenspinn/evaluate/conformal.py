"""Prediction sets that hold the true class as often as was asked for.

Split conformal prediction: where calibration images and new ones are exchangeable (drawn alike, in
any order), the set of a new image holds its true class with at least the probability asked for,
whatever the network is worth. A bad network gets large sets.
"""

import math

import numpy as np
from jaxtyping import Bool, Float, Int

from lenspinn.errors import DataError

__all__ = ["check_coverage", "p_values", "prediction_sets", "set_thresholds"]

Probabilities = Float[np.ndarray, "images classes"]


def check_coverage(coverage: float) -> None:
    """Raise DataError if the coverage asked for is not between 0 and 1."""
    if not 0 < coverage < 1:
        raise DataError(f"coverage is {coverage}; it must lie between 0 and 1")


def set_thresholds(
    chance_of_truth: Float[np.ndarray, " images"],
    labels: Int[np.ndarray, " images"],
    num_classes: int,
    coverage: float,
) -> Float[np.ndarray, " classes"]:
    """Return the smallest probability with which each class is in a prediction set.

    Parameters
    ----------
    chance_of_truth : (images,)
        Probability that each calibration image gives its true class.
    labels : (images,)
        True class of each calibration image.
    num_classes
    coverage
        Share of sets that shall hold the true class, between 0 and 1.

    Returns
    -------
    (classes,)
        Of the n images of a class the k-th smallest value, k = floor((1 - coverage)(n + 1)). With
        too few images for the coverage, k = 0 and the threshold is 0: the class is in every set.

    Raises
    ------
    DataError
        The coverage is not between 0 and 1.

    Notes
    -----
    A new image of any one class is covered with a probability of at least `coverage` and, where no
    two values are equal, at most coverage + 1/(n + 1). So the coverage holds whatever the
    frequencies of the classes among new images, which are unknown; thresholds common to all
    classes would cover easy ones too often and hard ones too seldom.

    References
    ----------
    Sadinle, Lei & Wasserman (2019), arXiv:1609.00451 (least ambiguous sets with coverage class by
    class); the finite-sample quantile as in Angelopoulos & Bates (2021), arXiv:2107.07511.
    """
    check_coverage(coverage)
    thresholds = np.zeros(num_classes)
    for index in range(num_classes):
        of_class = np.sort(chance_of_truth[labels == index])
        # floor((1 - coverage)(n + 1)), where 0.1 * 10 may be 0.9999999999999998.
        rank = math.floor((1 - coverage) * (len(of_class) + 1) + 1e-9)
        if rank > 0:
            thresholds[index] = of_class[rank - 1]
    return thresholds


def prediction_sets(
    probabilities: Probabilities, thresholds: Float[np.ndarray, " classes"]
) -> Bool[np.ndarray, "images classes"]:
    """Tell which classes are in the set of each image: all at least as probable as their threshold.

    The most probable class is always in, so no set is empty. That can only add to the coverage:
    it is at least the accuracy of the network, however little was asked for.
    """
    sets: np.ndarray = probabilities >= thresholds
    sets[np.arange(len(sets)), probabilities.argmax(axis=1)] = True
    return sets


def p_values(
    calibration: Float[np.ndarray, " images"], scores: Float[np.ndarray, " new"]
) -> Float[np.ndarray, " new"]:
    """Rank scores among those of calibration images: the share that is as high, or higher.

    Parameters
    ----------
    calibration : (images,)
        Scores of calibration images, in any order.
    scores : (new,)
        Scores of new images; NaN counts as higher than all.

    Returns
    -------
    (new,)
        ``(1 + number of calibration scores >= score) / (1 + images)``. For an image that is
        exchangeable with the calibration images, P(p <= a) <= a for any a.

    References
    ----------
    Vovk, Gammerman & Shafer (2005), "Algorithmic Learning in a Random World", section 2.2.
    """
    number = len(calibration)
    lower = np.searchsorted(np.sort(calibration), scores, side="left")
    result: np.ndarray = (1 + number - lower) / (1 + number)
    return result
