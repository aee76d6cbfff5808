import numpy as np
import pytest

from lenspinn.errors import DataError
from lenspinn.sensitivity.curves import (
    curve_points,
    detection_score,
    detection_threshold,
    ideal_rate,
    mean_rate,
    share_rate,
)


def test_scores_are_log_odds_without_ties():
    without = np.array([0.9, 0.5, 0.1, 1e-20, 1e-30, 0.0])
    rest = 1 - without
    score = detection_score(np.stack([0.3 * rest, 0.7 * rest, without], axis=1), 2)
    np.testing.assert_allclose(score[:3], np.log([1 / 9, 1, 9]), rtol=1e-12, atol=1e-12)
    assert (np.diff(score) > 0).all()
    nearly_certain = detection_score(np.array([[1e-30, 1.0], [1e-20, 1.0]]), 1)
    assert nearly_certain[0] < nearly_certain[1]


@pytest.mark.parametrize(("num", "above"), [(19, 0), (20, 0), (39, 1), (199, 9), (1000, 49)])
def test_so_many_of_the_scores_are_above_their_threshold(num, above):
    scores = np.random.default_rng(0).permutation(num).astype(float)
    assert (scores > detection_threshold(scores)).sum() == above


def test_one_in_twenty_new_images_without_substructure_is_a_detection():
    rng = np.random.default_rng(1)
    rates = [1 - detection_threshold(rng.random(199)) for _ in range(2000)]
    error = np.std(rates) / len(rates) ** 0.5
    assert np.mean(rates) == pytest.approx(0.05, abs=4 * error)
    # What the docstring says of one choice.
    assert np.std(rates) == pytest.approx((0.05 * 0.95 / 199) ** 0.5, rel=0.1)


def test_too_few_images_without_substructure_are_refused():
    with pytest.raises(DataError, match=r"18 images .* at least 19"):
        detection_threshold(np.zeros(18))


def test_the_ideal_observer_does_what_a_matched_filter_does():
    rng = np.random.default_rng(2)
    for significance in (0.0, 1.0, 2.5):
        signal = rng.standard_normal(30)
        signal *= significance / np.linalg.norm(signal)
        template = signal / significance if significance else np.eye(30)[0]
        noise = rng.standard_normal((2, 40_000, 30))
        threshold = np.quantile(noise[0] @ template, 0.95)
        found = (noise[1] + signal) @ template > threshold
        assert ideal_rate(np.array([significance]))[0] == pytest.approx(found.mean(), abs=0.01)


def test_shares_have_wilson_intervals():
    # Wilson (1927), eq. for p, with 8 of 10 and z = 1.95996.
    assert share_rate(np.array([True] * 8 + [False] * 2)) == pytest.approx(
        (0.8, 0.4902, 0.9433), abs=1e-4
    )
    assert share_rate(np.ones(10, dtype=bool))[1:] == pytest.approx((0.7225, 1.0), abs=1e-4)


def test_the_mean_rate_lies_in_its_interval():
    mean, low, high = mean_rate(np.array([0.05, 0.3, 0.9, 1.0]))
    assert mean == pytest.approx(0.5625)
    assert 0.05 < low < mean < high < 1


def test_masses_are_binned_by_half_decades():
    mass = np.array([0.0] * 6 + [2e8] * 5 + [4e8] * 4 + [1e9] * 5 + [3e9] * 2)
    found = mass == 3e9
    low, high = curve_points(found, share_rate, mass)
    assert (low["mass_low"], low["mass_high"], low["mass_median"]) == (1e8, 3.16228e8, 2e8)
    assert (high["mass_low"], high["mass_high"], high["mass_median"]) == (1e9, 3.16228e9, 1e9)
    assert (low["n"], low["rate"]) == (5, 0.0)
    assert (high["n"], high["rate"]) == (7, pytest.approx(2 / 7, abs=1e-6))


def test_without_masses_there_is_one_point():
    (point,) = curve_points(np.array([True, False]), share_rate)
    assert point["mass_low"] is point["mass_high"] is point["mass_median"] is None
    assert (point["n"], point["rate"]) == (2, 0.5)
