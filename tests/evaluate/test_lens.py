import numpy as np
import pytest

from lenspinn.data.store import ImageStore
from lenspinn.evaluate.lens import (
    SCORES,
    EinsteinRadii,
    einstein_radii,
    lens_lines,
    lens_metrics,
)
from lenspinn.evaluate.predict import network_outputs
from lenspinn.models import create_model

CLASSES = ("axion", "cdm", "no_sub")
NUM = 6000
# Three standard errors of a share of 0.68 in NUM or NUM / 3 images.
SHARE, SHARE_OF_CLASS = 0.018, 0.032


@pytest.fixture(scope="module")
def radii():
    """Errors as large as they are said to be, but three times so for the first class."""
    rng = np.random.default_rng(0)
    truth = rng.uniform(0.6, 1.5, NUM)
    standard_error = rng.uniform(0.005, 0.02, NUM)
    scale = np.where(np.arange(NUM) % 3 == 0, 3.0, 1.0)
    error = scale * standard_error * rng.standard_normal(NUM)
    return EinsteinRadii(theta_E=truth + error, standard_error=standard_error, truth=truth)


@pytest.fixture(scope="module")
def metrics(radii):
    return lens_metrics(radii, np.arange(NUM) % 3, CLASSES)


def test_intervals_of_right_errors_hold_the_truth_as_often_as_they_say(metrics):
    for name in ("cdm", "no_sub"):
        assert metrics[f"theta_E_coverage_68_{name}"] == pytest.approx(0.68, abs=SHARE_OF_CLASS)
        assert metrics[f"theta_E_coverage_95_{name}"] == pytest.approx(0.95, abs=SHARE_OF_CLASS)


def test_intervals_that_are_too_narrow_are_found_out(metrics):
    # erf(0.9945 / 3 / sqrt(2)): the chance of less than a third of the 68 % interval.
    assert metrics["theta_E_coverage_68_axion"] == pytest.approx(0.26, abs=SHARE_OF_CLASS)
    whole = (0.26 + 2 * 0.68) / 3
    assert metrics["theta_E_coverage_68"] == pytest.approx(whole, abs=SHARE)


def test_the_error_is_the_median_of_the_relative_ones(radii, metrics):
    relative = np.abs(radii.theta_E - radii.truth) / radii.truth
    assert metrics["theta_E_error"] == pytest.approx(np.median(relative), rel=1e-3)
    assert metrics["theta_E_outliers"] == pytest.approx(np.mean(relative > 0.05))
    for name in SCORES:
        assert metrics[f"{name}_low"] <= metrics[name] <= metrics[f"{name}_high"]
        assert metrics[f"{name}_low"] < metrics[f"{name}_high"]


def test_a_class_without_images_has_no_scores(radii):
    metrics = lens_metrics(radii, np.zeros(NUM, dtype=np.int64), CLASSES)
    assert metrics["theta_E_error_cdm"] is None
    assert metrics["theta_E_coverage_68_cdm"] is None


def test_the_report_has_a_row_for_all_images_and_for_each_class():
    lines = lens_lines(lambda name: f"<{name}>", CLASSES, SCORES, "a note")
    rows = [line for line in lines if line.startswith("| ")][1:]
    assert [row.split(" | ")[0] for row in rows] == ["| all", "| axion", "| cdm", "| no_sub"]
    assert all(f"<{name}_cdm>" in rows[2] for name in SCORES)
    assert "a note" in lines


def test_radii_without_errors_are_scored_without_coverage(radii):
    bare = EinsteinRadii(theta_E=radii.theta_E, standard_error=None, truth=radii.truth)
    labels = np.arange(NUM) % 3
    found, whole = (lens_metrics(given, labels, CLASSES) for given in (bare, radii))
    assert found["theta_E_error_cdm"] == whole["theta_E_error_cdm"]
    assert not any("coverage" in name for name in found)


def test_a_network_that_fits_the_lens_is_asked_for_its_radii(noisy_store, monkeypatch):
    monkeypatch.setattr("lenspinn.models.lens_fit.compiled_or_eager", lambda function: function)
    store, rows = ImageStore.open(noisy_store), np.array([4, 1])
    outputs = network_outputs(create_model("lenspinn_fit", steps=1), store, rows)
    found = einstein_radii(outputs, store, rows)
    np.testing.assert_array_equal(found.truth, store.read_truth("theta_E")[rows])
    assert (found.standard_error > 0).all()
    assert found.theta_E.shape == (2,)


def test_an_encoder_is_asked_for_its_radii_without_errors(noisy_store):
    store, rows = ImageStore.open(noisy_store), np.array([4, 1])
    outputs = network_outputs(create_model("lenspinn_small"), store, rows)
    found = einstein_radii(outputs, store, rows)
    np.testing.assert_array_equal(found.truth, store.read_truth("theta_E")[rows])
    assert found.standard_error is None


def test_a_network_without_a_lens_is_not_asked(noisy_store):
    store = ImageStore.open(noisy_store)
    rows = np.arange(2)
    outputs = network_outputs(create_model("mobilenetv3"), store, rows)
    assert einstein_radii(outputs, store, rows) is None
