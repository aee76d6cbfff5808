import csv
import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest

from lenspinn.apply import TableAnswer, apply_model
from lenspinn.apply.answer import LACKING
from lenspinn.apply.dataset import answer_table
from lenspinn.apply.grounds import Judge
from lenspinn.apply.inputs import ImageTable
from lenspinn.apply.picture import answer_figure
from lenspinn.data.store import ImageStore
from lenspinn.evaluate import predict
from lenspinn.evaluate.judgement import Calibration, calibrate, load_calibration
from lenspinn.evaluate.predict import network_outputs
from lenspinn.evaluate.temperature import scaled_probabilities
from lenspinn.models import create_model
from lenspinn.simulate import SimulateConfig, simulate
from lenspinn.train import load_run

FLOAT32 = 1e-5  # probabilities of one image alone and in a batch


def apply_table(path: Path, run: Path, out: Path) -> TableAnswer:
    (answer,) = apply_model([path], model=run, out=out, progress=False)
    assert isinstance(answer, TableAnswer)
    return answer


@pytest.fixture
def few_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lenspinn.apply.dataset.TABLE_PICTURES", 2)


def test_a_dataset_gets_a_table_a_summary_and_some_pictures(
    dataset: Path, run_folder: Path, tmp_path: Path, few_pictures: None
) -> None:
    answer = apply_table(dataset, run_folder, tmp_path)
    assert {mismatch.kind for mismatch in answer.mismatches} <= LACKING.keys()
    with open(tmp_path / "model_3.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    store, model = ImageStore.open(dataset), load_run(run_folder).model
    expected = predict(model, store)
    found = np.array([[float(row[f"p_{name}"]) for name in model.classes] for row in rows])
    np.testing.assert_allclose(found, expected, atol=FLOAT32)
    summary = json.loads((tmp_path / "model_3.json").read_text())
    assert summary["accuracy"] == pytest.approx((expected.argmax(axis=1) == store.labels).mean())
    pictures = sorted(path.name for path in tmp_path.glob("*.png"))
    assert pictures == [f"model_3_{row:05d}.png" for row in range(2)]
    assert pictures == summary["pictures"]
    first = json.loads((tmp_path / "model_3_00000.json").read_text())
    assert first["label"] == "axion"


def test_a_dataset_of_another_recipe_is_resampled_and_not_trusted(
    run_folder: Path, tmp_path: Path, few_pictures: None
) -> None:
    config = SimulateConfig(
        recipe="deeplense/model_2", num=4, out=tmp_path / "euclid.zarr", num_workers=1
    )
    path = simulate(config, progress=False)
    answer = apply_table(path, run_folder, tmp_path / "out")
    kinds = {mismatch.kind for mismatch in answer.mismatches}
    assert {"pixel scale", "instrument", "recipe"} <= kinds
    assert not answer.trusted
    assert answer.probabilities.shape == (4, 3)


def test_a_calibrated_run_gives_calibrated_probabilities_and_sets(
    calibrated_run: Path, tmp_path: Path, few_pictures: None
) -> None:
    run, calibration = load_run(calibrated_run), load_calibration(calibrated_run)
    assert calibration is not None
    answer = apply_table(run.data, calibrated_run, tmp_path)
    outputs = network_outputs(run.model, ImageStore.open(run.data))
    expected = scaled_probabilities(outputs.logits, calibration.temperature)
    np.testing.assert_allclose(answer.probabilities, expected, atol=FLOAT32)
    first = answer.answers[0]
    assert first.uncertainty is not None
    assert list(first.probabilities.values()) == pytest.approx(expected[0], abs=FLOAT32)
    assert first.most_probable in first.uncertainty.possible
    # Most of these images are the calibration images themselves.
    assert answer.judgement is not None
    assert answer.judgement.refused.mean() < 0.1


def test_a_network_with_quantities_that_is_not_calibrated_gives_none(
    quantities_run: Path, tmp_path: Path, few_pictures: None, solved: list[int]
) -> None:
    apply_table(quantities_run.parent / "data.zarr", quantities_run, tmp_path)
    with open(tmp_path / "data.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert {row["predicted_theta_E"] for row in rows} == {""}
    assert {row["predicted_log10_axion_mass_eV_sigma"] for row in rows} == {""}
    assert json.loads((tmp_path / "data_00000.json").read_text())["estimates"] == []
    assert sum(solved) == len(rows)  # each image once, those with a picture too


def test_a_network_of_classes_of_its_own_answers_with_them(
    dataset: Path, run_folder: Path, tmp_path: Path, few_pictures: None
) -> None:
    """Nothing knows the three classes of the paper by name."""
    own = ("sphere", "vortex")
    model = create_model("lenspinn_small", num_pix=64, pixel_scale=0.08, classes=own).eval()
    run = dataclasses.replace(load_run(run_folder), model=model)
    table = ImageTable(name="mine", path=dataset, store=ImageStore.open(dataset))
    judge = Judge(run=run, calibration=calibration_of_two(), lacking=())
    answer = answer_table(table, judge, tmp_path, progress=False)
    assert list(answer.counts) == [*own, "not answered", "cannot tell"]
    assert sum(answer.counts.values()) == 48
    assert answer.accuracy is None
    assert "p_sphere" in answer.to_csv().splitlines()[0]
    assert len(answer.answers) == 2
    first = answer.answers[0]
    assert list(first.probabilities) == list(own)
    assert [text.get_text() for text in answer_figure(first).axes[-1].get_yticklabels()] == [*own]


def calibration_of_two() -> Calibration:
    """Of random images of the network's own size."""
    model = create_model("lenspinn_small", num_pix=64, pixel_scale=0.08, classes=("a", "b")).eval()
    images = np.random.default_rng(1).random((240, 1, 64, 64), dtype=np.float32)
    outputs = network_outputs(model, images)
    return calibrate(outputs, np.arange(240) % 2, model.classes, coverage=0.9, seed=0)
