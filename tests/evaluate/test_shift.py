import numpy as np
import pytest
from scipy.stats import kstest

from lenspinn.evaluate.predict import Outputs
from lenspinn.evaluate.shift import combined, fit_reference

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
    )


@pytest.fixture(scope="module")
def reference():
    return fit_reference(outputs(600, 0), np.arange(600) % 3, outputs(5000, 1))


def test_p_values_of_images_like_those_of_calibration_are_uniform(reference):
    for found in reference.p_values(outputs(2000, 2)).values():
        assert kstest(found, "uniform").pvalue > IMPROBABLE


def test_features_that_moved_are_seen_in_the_features_alone(reference):
    found = reference.p_values(outputs(200, 3, moved=5.0))
    assert found["features"].max() < 0.01
    assert found["pixels"].mean() > 0.4


def test_a_score_of_the_model_is_ranked_like_the_others():
    reference = fit_reference(
        outputs(300, 4, chi2=True), np.arange(300) % 3, outputs(300, 5, chi2=True)
    )
    new = outputs(2, 6, chi2=True)
    new.scores["chi2"][:] = [1e6, 0.0]
    found = reference.p_values(new)["chi2"]
    assert (found[0], found[1]) == (1 / 301, 1.0)


def test_the_combination_is_bonferronis():
    found = combined({"a": np.array([0.01, 0.9]), "b": np.array([0.5, 0.8])})
    np.testing.assert_allclose(found, [0.02, 1.0])


def test_false_alarms_of_the_combination_stay_below_what_is_allowed(reference):
    refused = combined(reference.p_values(outputs(4000, 7))) <= 0.05
    assert refused.mean() <= 0.05 + 4 * np.sqrt(0.05 * 0.95 / 4000)
