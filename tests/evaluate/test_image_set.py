import dataclasses
import json
import shutil
import warnings
from pathlib import Path

import numpy as np
import pytest

from lenspinn.data.store import ImageStore
from lenspinn.errors import DataError
from lenspinn.evaluate.image_set import (
    all_images,
    calibration_for,
    how_to_calibrate,
    own_test_images,
)
from lenspinn.evaluate.judgement import calibrate, load_calibration
from lenspinn.evaluate.predict import network_outputs
from lenspinn.evaluate.report import evaluate_run
from lenspinn.simulate import SimulateConfig, simulate
from lenspinn.train import Run, StreamConfig, load_run


def record(report: Path) -> dict:
    (found,) = json.loads((report.parent / "evaluation.json").read_text())["records"]
    return found


def others(run: Run, num: int, seed: int, folder: Path) -> Path:
    """Images like those of the run."""
    config = SimulateConfig(
        recipe="deeplense/model_3",
        num=num,
        seed=seed,
        out=folder / f"seed_{seed}.zarr",
        overrides={"num_pix": 40, "instrument.pixel_scale": run.data_info.pixel_scale},
    )
    return simulate(config, progress=False)


@pytest.fixture
def copied(calibrated_run: Path, tmp_path: Path) -> Run:
    """The calibrated run, in a folder that may be written to."""
    return load_run(Path(shutil.copytree(calibrated_run, tmp_path / "run")))


def test_calibration_is_fitted_on_validation_images_alone(calibrated_run):
    run, store = load_run(calibrated_run), ImageStore.open(load_run(calibrated_run).data)
    rows = run.split["validation"]
    expected = calibrate(
        network_outputs(run.model, store, rows),
        store.labels[rows],
        run.model.classes,
        coverage=0.9,
        seed=run.config.seed,
    )
    found = load_calibration(calibrated_run)
    assert found.temperature == expected.temperature
    np.testing.assert_array_equal(found.chance_of_truth, expected.chance_of_truth)
    for name, ranked in expected.reference.ranked.items():
        np.testing.assert_array_equal(found.reference.ranked[name], ranked)


def test_another_dataset_is_judged_by_the_calibration_of_the_run(calibrated_run, tmp_path):
    before = (calibrated_run / "calibration" / "calibration.json").read_bytes()
    other = others(load_run(calibrated_run), 30, 4, tmp_path)
    out = tmp_path / "out"
    found = record(evaluate_run(calibrated_run, data=other, out=out, coverage=0.99, progress=False))
    assert (found["calibrated"], found["coverage"]) == (True, 0.99)
    assert (calibrated_run / "calibration" / "calibration.json").read_bytes() == before


def test_a_run_is_calibrated_on_the_dataset_that_is_asked_for(copied, tmp_path):
    more, test = others(copied, 270, 5, tmp_path), others(copied, 30, 4, tmp_path)
    report = evaluate_run(
        copied.folder, data=test, calibrate_on=more, out=tmp_path / "out", progress=False
    )
    assert record(report)["n_calibration"] == 270
    assert load_calibration(copied.folder).num_images == 270
    text = report.read_text()
    assert f"--calibrate_on {more.name}" in text
    assert "fitted to 270 images that chose nothing else" in text
    assert "also chose the epoch" not in text
    # What is measured later with the same calibration says so too.
    again = evaluate_run(copied.folder, data=test, out=tmp_path / "again", progress=False)
    assert "fitted to 270 images that chose nothing else" in again.read_text()


def test_the_images_that_are_measured_and_too_few_cannot_calibrate(copied, tmp_path):
    test = others(copied, 30, 4, tmp_path)
    measured = all_images(copied, test)
    with pytest.raises(DataError, match="holds the images that are measured"):
        calibration_for(copied, measured, test, 0.9)
    with pytest.raises(DataError, match="30 images are too few to calibrate with"):
        calibration_for(copied, own_test_images(copied), test, 0.9)
    with pytest.raises(DataError, match=r"holds images the run .* was trained on"):
        calibration_for(copied, measured, copied.data, 0.9)


def test_mismatch_of_recipe_and_seed_is_warned_of(run, noisy_store, tmp_path):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        evaluate_run(run, data=noisy_store, out=tmp_path, progress=False)
    messages = " / ".join(str(warning.message) for warning in caught)
    assert "recipe is survey/hst in" in messages
    assert "noise_sigma is" in messages
    assert "drawn from seed 0 as the training images" in messages
    assert "background noise is" in (tmp_path / "report.md").read_text()


def test_training_images_are_refused_as_a_test_set(run, store, folder):
    copy = shutil.copytree(store, folder / "copy.zarr")
    for data in (store, copy):
        with pytest.raises(DataError, match=r"holds images the run .* was trained on"):
            evaluate_run(run, data=data, progress=False)


def test_a_run_with_enough_validation_images_needs_an_evaluation_alone(run):
    trained = load_run(run)
    many = dataclasses.replace(trained, split=trained.split | {"validation": np.arange(300)})
    text = how_to_calibrate(many)
    assert text.startswith(f"the folder holds no calibration: `lenspinn evaluate {run}` makes one")


def test_a_streamed_run_is_told_the_option_that_draws_more_validation_images(run):
    trained = load_run(run)
    config = dataclasses.replace(
        trained.config, data=Path("stream"), stream=StreamConfig(recipe="survey/hst")
    )
    text = how_to_calibrate(dataclasses.replace(trained, config=config))
    assert "24 validation images, 216 too few" in text
    assert "--stream.num_validation 240" in text
