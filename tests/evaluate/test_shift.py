from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import kstest

from lenspinn.evaluate.predict import Outputs
from lenspinn.evaluate.shift import fit_reference
from lenspinn.fitting.smooth import SMOOTH_PARAMETERS

IMPROBABLE = 1e-4  # p-value of the test of uniformity


def outputs(num: int, seed: int, *, moved: float = 0.0, chi2: bool = False) -> Outputs:
    rng = np.random.default_rng(seed)
    labels = np.arange(num) % 3
    features = rng.normal(size=(num, 40)) + 3 * np.eye(40)[labels] + moved
    return Outputs(
        logits=np.zeros((num, 3)),
        features=features.astype(np.float32),
        pixels=rng.normal(size=(num, 6)),
        scores={"chi2": rng.chisquare(4, num)} if chi2 else {},
        quantity_means=np.empty((num, 0)),
        quantity_sigmas=np.empty((num, 0)),
    )


@pytest.fixture(scope="module")
def reference():
    return fit_reference(outputs(600, 0), np.arange(600) % 3, outputs(5000, 1))


def test_p_values_of_images_like_those_of_calibration_are_uniform(reference):
    together, by_score = reference.p_values(outputs(2000, 2))
    for found in (together, *by_score.values()):
        assert kstest(found, "uniform").pvalue > IMPROBABLE


def test_features_that_moved_are_seen_in_the_features_alone(reference):
    _, found = reference.p_values(outputs(200, 3, moved=5.0))
    assert found["features"].max() < 0.01
    assert found["pixels"].mean() > 0.4


def test_a_score_of_the_model_is_ranked_like_the_others():
    reference = fit_reference(
        outputs(300, 4, chi2=True), np.arange(300) % 3, outputs(300, 5, chi2=True)
    )
    new = outputs(2, 6, chi2=True)
    new.scores["chi2"][:] = [1e6, 0.0]
    _, found = reference.p_values(new)
    assert tuple(found["chi2"]) == (1 / 301, 1.0)


def test_one_score_that_is_far_out_is_enough():
    reference = fit_reference(
        outputs(300, 4, chi2=True), np.arange(300) % 3, outputs(300, 5, chi2=True)
    )
    new = outputs(1, 6, chi2=True)
    new.scores["chi2"][:] = np.nan
    together, _ = reference.p_values(new)
    # Above all others in one score; so is, at most, one image to rank among for each of the three.
    assert 1 / 301 <= together[0] <= 4 / 301


def test_scores_that_agree_ask_for_no_more_than_one_does():
    """Where Bonferroni's correction would ask for twice as much."""
    fitted, ranked, new = outputs(300, 4), outputs(300, 5), outputs(100, 6)
    reference = fit_reference(fitted, np.arange(300) % 3, ranked)
    twice = {"once": reference.ranked["pixels"], "again": reference.ranked["pixels"]}
    for given in (ranked, new):
        distance = reference.pixels.distance(given.pixels)
        given.scores.update(once=distance, again=distance)
    together, by_score = replace(reference, ranked=twice).p_values(new)
    # An image may count as many others with its own rank as there are scores, but no more.
    np.testing.assert_allclose(together, by_score["once"], atol=1.5 / 301)


def test_false_alarms_of_all_scores_together_are_what_is_allowed(reference):
    together, _ = reference.p_values(outputs(4000, 7))
    assert abs((together <= 0.05).mean() - 0.05) <= 4 * np.sqrt(0.05 * 0.95 * (1 / 4000 + 1 / 5000))


def lensed(num: int, seed: int) -> Outputs:
    """With lenses near the middle."""
    rng = np.random.default_rng(seed + 50)
    fitted = {name: rng.normal(0, 0.05, num) for name in SMOOTH_PARAMETERS}
    fitted["signal_to_noise"] = rng.lognormal(4, 0.3, num)
    return replace(outputs(num, seed), fitted=fitted)


def test_a_lens_beside_the_middle_is_seen_in_the_lens_alone():
    reference = fit_reference(lensed(600, 0), np.arange(600) % 3, lensed(1000, 1))
    new = lensed(100, 2)
    for name in ("center_y", "source_y"):
        new.fitted[name] += 0.4
    together, found = reference.p_values(new)
    assert found["lens"].max() < 0.01
    assert together.max() < 0.05
    assert found["pixels"].mean() > 0.4


def test_a_fit_that_failed_does_not_spoil_the_reference():
    fitted = lensed(600, 3)
    fitted.fitted["theta_E"][5] = np.nan
    reference = fit_reference(fitted, np.arange(600) % 3, lensed(1000, 4))
    together, _ = reference.p_values(lensed(1000, 5))
    assert abs((together <= 0.05).mean() - 0.05) <= 4 * np.sqrt(0.05 * 0.95 * 2 / 1000)
    new = lensed(1, 6)
    new.fitted["theta_E"][:] = np.nan
    assert reference.p_values(new)[1]["lens"] == 1 / 1001
