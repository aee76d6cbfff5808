import json
from pathlib import Path

import numpy as np
import pytest

from lenspinn.data.store import ImageStore
from lenspinn.evaluate import evaluate_run
from lenspinn.evaluate.lens import einstein_radii
from lenspinn.evaluate.predict import network_outputs
from lenspinn.evaluate.quantities import (
    SCORES,
    Predicted,
    predicted_quantities,
    quantities_figure,
    quantity_lines,
    quantity_metrics,
)
from lenspinn.models import create_model
from lenspinn.train import load_run

CLASSES = ("axion", "cdm", "no_sub")
NUM = 6000
LABELS = np.arange(NUM) % 3
# Three standard errors of a share, and of a mean in units of its scatter, in NUM / 3 images.
SHARE, MEAN = 0.032, 0.067


def predicted(*, error: float, sigma: float, bias: float = 0.0) -> Predicted:
    """Axion masses with Gaussian errors, about a truth of scatter 0.5."""
    rng = np.random.default_rng(0)
    truth = np.where(LABELS == 0, -23 + 0.5 * rng.standard_normal(NUM), np.nan)
    mean = np.where(LABELS == 0, truth + bias + error * rng.standard_normal(NUM), -30.0)
    return Predicted(
        name="mass", of_class="axion", mean=mean, sigma=np.full(NUM, sigma), truth=truth
    )


@pytest.fixture(scope="module")
def metrics():
    found = predicted(error=0.2, sigma=0.2, bias=0.1)
    return quantity_metrics([found], LABELS, CLASSES)


def test_only_images_of_the_class_count(metrics):
    assert metrics["mass_images"] == NUM / 3
    assert metrics["mass_bias"] == pytest.approx(0.1, abs=0.2 * MEAN)
    assert metrics["mass_rms_error"] == pytest.approx(np.hypot(0.1, 0.2), abs=0.02)
    assert "mass_bias_axion" not in metrics


def test_the_error_stands_beside_that_of_saying_the_mean(metrics):
    assert metrics["mass_rms_of_mean"] == pytest.approx(0.5, abs=0.03)
    # of a signal of 0.5 and noise of 0.2
    assert metrics["mass_correlation"] == pytest.approx(0.5 / np.hypot(0.5, 0.2), abs=0.02)


def test_intervals_surround_their_score(metrics):
    for score in SCORES:
        value = metrics[f"mass_{score}"]
        assert metrics[f"mass_{score}_low"] < value < metrics[f"mass_{score}_high"]


def test_a_right_sigma_holds_the_truth_as_often_as_a_gaussian_does():
    right = quantity_metrics([predicted(error=0.2, sigma=0.2)], LABELS, CLASSES)
    assert right["mass_within_1_sigma"] == pytest.approx(0.683, abs=SHARE)
    assert right["mass_within_2_sigma"] == pytest.approx(0.954, abs=SHARE)
    assert right["mass_median_error"] == pytest.approx(0.6745 * 0.2, abs=0.01)
    small = quantity_metrics([predicted(error=0.2, sigma=0.1)], LABELS, CLASSES)
    assert small["mass_within_1_sigma"] == pytest.approx(0.383, abs=SHARE)


def test_a_constant_prediction_has_no_correlation():
    constant = Predicted(
        name="radius", of_class=None, mean=np.ones(3), sigma=np.ones(3), truth=np.arange(3.0)
    )
    found = quantity_metrics([constant], np.arange(3), CLASSES)
    assert found["radius_correlation"] is None
    assert found["radius_bias"] == 0
    assert found["radius_bias_axion"] == 1
    assert [found[f"radius_images_{name}"] for name in CLASSES] == [1, 1, 1]


def test_a_class_that_does_not_occur_has_no_scores():
    found = quantity_metrics([predicted(error=0.2, sigma=0.2)], LABELS, CLASSES)
    nothing = Predicted(
        name="mass", of_class="axion", mean=np.ones(3), sigma=np.ones(3), truth=np.full(3, np.nan)
    )
    assert quantity_metrics([nothing], np.ones(3, int), CLASSES).keys() == found.keys()
    assert quantity_metrics([nothing], np.ones(3, int), CLASSES)["mass_rms_error"] is None


def test_the_report_has_a_row_for_each_quantity_and_class():
    rows = {"quantities": ["mass", "radius"], "mass_images": 2, "radius_images": 6}
    record = rows | {f"radius_images_{name}": 2 for name in CLASSES}
    lines = quantity_lines(record, lambda name: f"<{name}>", CLASSES)
    table = [line.split(" | ") for line in lines if line.startswith("| ")][1:]
    assert [row[0] for row in table] == [
        *("| mass", "| radius", "| radius, axion", "| radius, cdm", "| radius, no_sub")
    ]
    assert [row[1] for row in table] == ["2", "6", "2", "2", "2"]
    assert table[2][2] == "<radius_rms_error_axion>"


def test_the_figure_shows_the_images_that_have_the_quantity():
    one = predicted(error=0.2, sigma=0.2)
    upper, lower = quantities_figure([one], LABELS, CLASSES).axes
    (points,) = [line for line in upper.lines if line.get_label() == "axion"]
    np.testing.assert_array_equal(points.get_xdata(), one.truth[LABELS == 0])
    np.testing.assert_array_equal(points.get_ydata(), one.mean[LABELS == 0])
    assert np.abs(lower.lines[0].get_ydata()).max() < 1.0


@pytest.fixture
def eager(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lenspinn.models.lens_fit.compiled_or_eager", lambda function: function)


def test_a_network_is_asked_for_what_the_dataset_knows(noisy_store: Path, eager: None):
    names = ["theta_E", "substructure_fraction"]
    model = create_model("lenspinn_fit", steps=1, quantities=names)
    store, rows = ImageStore.open(noisy_store), np.array([4, 1, 3])
    outputs = network_outputs(model, store, rows)
    radii = einstein_radii(outputs, store, rows)
    fitted, radius, fraction = predicted_quantities(model, outputs, store, rows, radii)
    assert (fitted.name, radius.name) == ("fitted_theta_E", "predicted_theta_E")
    np.testing.assert_array_equal(fitted.mean, radii.theta_E)
    np.testing.assert_allclose(radius.mean, radii.theta_E, rtol=1e-5)  # an untrained head
    np.testing.assert_allclose(radius.truth, store.read_truth("theta_E")[rows], rtol=1e-6)
    known = np.log10(store.read_truth("substructure_fraction")[[4, 1]])
    np.testing.assert_allclose(fraction.truth, [*known, np.nan], rtol=1e-6)


def test_a_network_without_quantities_is_not_asked(noisy_store: Path):
    store, rows, model = ImageStore.open(noisy_store), np.arange(2), create_model("lenspinn_small")
    outputs = network_outputs(model, store, rows)
    assert predicted_quantities(model, outputs, store, rows) == []


def test_an_evaluation_has_the_quantities_in_report_record_and_picture(
    quantities_run: Path, eager: None, tmp_path: Path
):
    report = evaluate_run(quantities_run, out=tmp_path, progress=False)
    (record,) = json.loads((tmp_path / "evaluation.json").read_text())["records"]
    assert record["quantities"] == [
        *("predicted_log10_axion_mass_eV", "predicted_log10_substructure_fraction"),
        *("fitted_theta_E", "predicted_theta_E"),
    ]
    labels = load_run(quantities_run).split["test"] % 3
    assert record["predicted_log10_axion_mass_eV_images"] == (labels == 0).sum()
    text = report.read_text()
    assert "| predicted_theta_E, no_sub | " in text
    assert "![quantities](quantities.png)" in text
    assert (tmp_path / "quantities.png").is_file()
