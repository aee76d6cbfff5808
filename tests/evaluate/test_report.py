import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest

from lenspinn.data.store import ImageStore
from lenspinn.errors import ConfigError, DataError
from lenspinn.evaluate.metrics import classification_metrics
from lenspinn.evaluate.predict import network_outputs, predict
from lenspinn.evaluate.report import evaluate_run
from lenspinn.train import load_run

FIGURES = ("roc.png", "confusion.png", "learning.png", "reliability.png")
# design §9: the fields of a learning record.
LEARNING_RECORD = {
    *("model", "input", "protocol", "recipe", "seed", "n_train", "n_test", "images_seen"),
    *("parameters", "accuracy", "accuracy_low", "accuracy_high", "micro_f1", "macro_f1"),
    *("auc_axion", "auc_cdm", "auc_no_sub", "auc_micro", "ece", "seconds"),
}


@pytest.fixture(scope="module")
def report(run):
    return evaluate_run(run, progress=False)


def read(report):
    return json.loads((report.parent / "evaluation.json").read_text())


def record(report):
    return read(report)["records"][0]


def test_result_says_what_made_it(report, run):
    result = read(report)
    assert result["schema"] == 1
    assert result["command"] == f"lenspinn evaluate {run.name}"
    assert result["config"]["model"]["name"] == "lenspinn_small"
    assert result.keys() >= {"git", "versions", "hardware", "date", "trained_with"}
    assert record(report).keys() >= LEARNING_RECORD


def test_record_counts_the_images(report):
    found = record(report)
    assert (found["n_train"], found["n_test"]) == (48, 24)
    assert found["images_seen"] in (24, 48)
    assert found["recipe"] == "deeplense/model_3"
    assert found["input"] == "noise_safe"


def test_the_report_says_what_theta_E_of_a_network_of_classes_is_worth(report):
    assert 0 < record(report)["theta_E_error_no_sub"] < 1
    text = report.read_text()
    assert "| images | median error / theta_E | above 5% |" in text
    assert "trained by the classes alone, so it is no measurement" in text
    assert "intervals hold the truth" not in text


def test_scores_are_those_of_the_runs_own_test_images(report, run, store):
    trained, opened = load_run(run), ImageStore.open(store)
    rows = trained.split["test"]
    expected = classification_metrics(
        predict(trained.model, opened, rows), opened.labels[rows], trained.model.classes, seed=0
    )
    assert record(report).items() >= expected.items()


def test_evaluating_twice_gives_identical_numbers(report, run, tmp_path):
    again = evaluate_run(run, out=tmp_path, progress=False)
    first, second = read(report), read(again)
    first.pop("date"), second.pop("date")
    assert first == second
    assert again.read_text() == report.read_text()
    for name in FIGURES:
        assert (tmp_path / name).read_bytes() == (report.parent / name).read_bytes()


def test_report_states_recipe_images_seen_and_how_the_weights_were_chosen(report):
    text, found = report.read_text(), record(report)
    for statement in (
        "24 images of `deeplense/model_3`",
        "noise-free",
        "48 images of `deeplense/model_3`, one pass: a short run (48 images seen",
        f"after {found['images_seen']} images seen",
        "scored best on 24 validation images; the test images chose nothing",
        f"| accuracy | {found['accuracy']:.4f} | ({found['accuracy_low']:.4f} to",
    ):
        assert statement in text


def test_report_shows_all_figures(report):
    text = report.read_text()
    for name in FIGURES:
        assert f"]({name})" in text
        assert (report.parent / name).read_bytes().startswith(b"\x89PNG")


def test_a_run_with_few_validation_images_is_not_calibrated_and_says_so(report, run):
    assert record(report)["calibrated"] is False
    assert "calibration takes 240 images that training did not see" in report.read_text()
    assert "24 validation images, 216 too few" in report.read_text()
    assert "train with 960 images in the place of 96" in report.read_text()
    assert f"`lenspinn evaluate {run.name} --calibrate_on OTHER.zarr`" in report.read_text()
    assert not (run / "calibration").exists()


def test_a_run_that_is_not_calibrated_warns_how_to_calibrate_it(run, tmp_path):
    with pytest.warns(UserWarning, match=r"not calibrated: .* 216 too few.* --calibrate_on OTHER"):
        evaluate_run(run, out=tmp_path, progress=False)


def test_a_network_that_guesses_is_said_to_guess(report, run, tmp_path, monkeypatch):
    found = record(report)
    assert found["chance_accuracy"] == pytest.approx(1 / 3)
    assert found["above_chance"] == (found["accuracy_low"] > found["chance_accuracy"])
    assert "Against guessing: the accuracy" in report.read_text()

    def guess(run, store, rows, **_):
        outputs = network_outputs(run.model, store, rows, progress=False)
        return dataclasses.replace(outputs, logits=np.zeros_like(outputs.logits))

    monkeypatch.setattr("lenspinn.evaluate.report.run_outputs", guess)
    with pytest.warns(UserWarning, match=r"accuracy 0\.333 .* is not above chance .*; train on"):
        guessed = evaluate_run(run, out=tmp_path, progress=False)
    assert record(guessed)["above_chance"] is False
    assert "is not above chance" in guessed.read_text()


def test_uncertainties_are_reported_beside_the_scores(calibrated_run):
    found = record(calibrated_run / "evaluation" / "report.md")
    assert found["calibrated"]
    assert found["n_calibration"] == 252
    for name in ("ece_calibrated", "set_coverage", "set_coverage_cdm", "set_size", "refused"):
        assert found[f"{name}_low"] <= found[f"{name}_high"]
    assert 1 <= found["set_size"] <= 3
    text = (calibrated_run / "evaluation" / "report.md").read_text()
    assert "fitted to 252 validation images" in text
    assert "also chose the epoch of the weights" in text
    assert f"| set_coverage | {found['set_coverage']:.4f} |" in text


def test_an_impossible_coverage_is_refused(run):
    with pytest.raises(DataError, match="coverage is 90"):
        evaluate_run(run, coverage=90.0, progress=False)


def test_another_dataset_is_evaluated_as_a_whole_into_a_folder_of_its_own(run, other_store):
    report = evaluate_run(run, data=other_store, progress=False)
    assert report == run / "evaluation_other" / "report.md"
    found = record(report)
    assert found["n_test"] == 30
    assert np.sum(found["confusion"]) == 30
    assert found["protocol"] == "another dataset, all of it"
    assert f"--data {other_store.name}" in read(report)["command"]


def test_of_a_network_given_by_name_nothing_is_written_where_it_lies(
    run, store, other_store, tmp_path, monkeypatch, published
):
    published("someone/small", run)
    monkeypatch.chdir(tmp_path)
    report = evaluate_run("someone/small", data=other_store, progress=False)
    assert report == Path("evaluation_other/report.md")
    assert "lenspinn evaluate someone/small --data" in read(report)["command"]
    with pytest.raises(ConfigError, match=r"of someone/small is not replaced .* give the copy"):
        evaluate_run("someone/small", data=other_store, calibrate_on=store, progress=False)


def test_folder_without_a_run_is_refused(tmp_path):
    with pytest.raises(ConfigError, match="is not a run folder"):
        evaluate_run(tmp_path, progress=False)
