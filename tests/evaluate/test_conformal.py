import numpy as np
import pytest
from scipy.stats import beta, kstest

from lenspinn.errors import DataError
from lenspinn.evaluate.conformal import p_values, prediction_sets, set_thresholds
from lenspinn.evaluate.temperature import scaled_probabilities

IMPROBABLE = 1e-4  # two-sided chance of a coverage outside the interval that is asserted


def draw(num: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Probabilities of a classifier that is far too sure, and the classes, unequally frequent."""
    labels = rng.choice(3, num, p=[0.6, 0.3, 0.1])
    logits = rng.normal(0, 2, (num, 3)) + np.eye(3)[labels] * [3.0, 1.0, 0.5]
    return scaled_probabilities(logits, 0.3), labels


@pytest.mark.parametrize("coverage", [0.8, 0.9])
def test_sets_of_each_class_cover_what_was_asked_for(coverage):
    rng = np.random.default_rng(5)
    probabilities, labels = draw(3000, rng)
    chances = probabilities[np.arange(3000), labels]
    thresholds = set_thresholds(chances, labels, 3, coverage)
    new, truth = draw(100_000, rng)
    covered = (new >= thresholds)[np.arange(len(truth)), truth]
    for index in range(3):
        # Given the calibration images, coverage is Beta(n + 1 - k, k) distributed (Vovk 2012).
        number = (labels == index).sum()
        rank = int((1 - coverage) * (number + 1))
        low, high = beta(number + 1 - rank, rank).interval(1 - IMPROBABLE)
        assert low <= covered[truth == index].mean() <= high


def test_the_threshold_is_the_order_statistic_of_the_finite_sample():
    chances = np.arange(1, 20) / 20  # n = 19: k = floor(0.1 * 20) = 2
    labels = np.zeros(19, dtype=int)
    assert set_thresholds(chances[::-1].copy(), labels, 1, 0.9)[0] == chances[1]


def test_nine_images_are_enough_for_nine_in_ten_and_eight_are_not():
    chances = np.linspace(0.1, 0.9, 9)
    labels = np.zeros(9, dtype=int)
    assert set_thresholds(chances, labels, 1, 0.9)[0] == chances[0]
    assert set_thresholds(chances[:8], labels[:8], 1, 0.9)[0] == 0


def test_a_class_without_calibration_images_is_in_every_set():
    thresholds = set_thresholds(np.full(50, 0.5), np.zeros(50, dtype=int), 2, 0.9)
    assert prediction_sets(np.array([[0.999, 0.001]]), thresholds).tolist() == [[True, True]]


def test_no_set_is_empty():
    sets = prediction_sets(np.array([[0.4, 0.35, 0.25]]), np.full(3, 0.9))
    assert sets.tolist() == [[True, False, False]]


@pytest.mark.parametrize("coverage", [0.0, 1.0, 90.0])
def test_an_impossible_coverage_is_refused(coverage):
    with pytest.raises(DataError, match="must lie between 0 and 1"):
        set_thresholds(np.ones(5), np.zeros(5, dtype=int), 1, coverage)


def test_p_values_of_exchangeable_scores_are_uniform():
    rng = np.random.default_rng(6)
    found = p_values(rng.normal(size=20_000), rng.normal(size=2000))
    assert kstest(found, "uniform").pvalue > IMPROBABLE


def test_p_values_count_the_scores_that_are_as_high():
    found = p_values(np.array([3.0, 1.0, 2.0]), np.array([0.0, 2.0, 9.0, np.nan]))
    np.testing.assert_array_equal(found, [1.0, 0.75, 0.25, 0.25])
