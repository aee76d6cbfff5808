import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lenspinn.apply.grounds import Judge
from lenspinn.errors import DataError, ImageError
from lenspinn.train.manifest import write_manifest

SURE = {"accuracy": 0.8, "accuracy_low": 0.7, "accuracy_high": 0.9}


def lacking(folder: Path) -> list[str]:
    return [mismatch.kind for mismatch in Judge.of(folder).lacking]


@pytest.fixture
def run(calibrated_run: Path, tmp_path: Path) -> Path:
    """A calibrated run in a place of its own, whose evaluation says that it is good."""
    folder = shutil.copytree(calibrated_run, tmp_path / "run")
    record(folder, **SURE)
    return folder


def record(folder: Path, **changes: Any) -> None:
    """Change what the evaluation says."""
    path = folder / "evaluation" / "evaluation.json"
    content = json.loads(path.read_text())
    content["records"][0] |= changes
    path.write_text(json.dumps(content))
    write_manifest(folder)


def test_a_run_calibrated_evaluated_and_above_chance_lacks_nothing(run: Path) -> None:
    assert lacking(run) == []


def test_a_fresh_run_lacks_everything(run_folder: Path) -> None:
    found = Judge.of(run_folder).lacking
    assert [mismatch.kind for mismatch in found] == ["calibration", "evaluation"]
    assert all(mismatch.serious for mismatch in found)
    assert all(f"`lenspinn evaluate {run_folder}" in mismatch.message for mismatch in found)
    assert "too few" in found[0].message


def test_an_interval_that_holds_chance_is_no_better_than_chance(run: Path) -> None:
    record(run, accuracy=0.367, accuracy_low=0.33, accuracy_high=0.40)
    (found,) = Judge.of(run).lacking
    assert (found.kind, found.serious) == ("chance", True)
    assert "accuracy 0.367 (0.330 to 0.400)" in found.message
    assert "guessing reaches 0.333" in found.message


def test_chance_is_the_share_of_the_largest_class(run: Path) -> None:
    confusion = [[90, 0, 0], [5, 0, 0], [5, 0, 0]]
    record(run, confusion=confusion, chance_accuracy=0.9)
    assert lacking(run) == ["chance"]


def test_chance_is_counted_where_the_evaluation_does_not_say_it(run: Path) -> None:
    path = run / "evaluation" / "evaluation.json"
    content = json.loads(path.read_text())
    content["records"][0].pop("chance_accuracy", None)
    path.write_text(json.dumps(content))
    record(run, confusion=[[90, 0, 0], [5, 0, 0], [5, 0, 0]])
    assert lacking(run) == ["chance"]


def test_an_evaluation_on_other_images_is_none(run: Path) -> None:
    record(run, recipe="survey/euclid")
    assert lacking(run) == ["evaluation"]


def test_a_run_that_nothing_vouches_for_lacks_that(run: Path) -> None:
    (run / "manifest.json").unlink()
    assert lacking(run) == ["verification"]


def test_a_copy_without_calibration_is_not_calibrated(run: Path) -> None:
    shutil.rmtree(run / "calibration")
    (run / "manifest.json").unlink()
    write_manifest(run)
    assert lacking(run) == ["calibration"]


RECORD = '{"accuracy": 1, "accuracy_low": 1, "accuracy_high": 1, "n_test": %s, "recipe": "x"%s}'


@pytest.mark.parametrize(
    "text",
    [
        *("", "{}", '{"records": []}', '{"records": [{"accuracy": 1}]}', "[" * 100_000),
        '{"records": [%s]}' % (RECORD % ("1e400", "")),
        '{"records": [%s]}' % (RECORD % ("1", ', "confusion": [[0]]')),
        '{"records": [%s]}' % (RECORD % ("1", f', "chance_accuracy": {"9" * 400}')),
    ],
)
def test_a_damaged_evaluation_is_named(text: str, run: Path) -> None:
    (run / "evaluation" / "evaluation.json").write_text(text)
    write_manifest(run)
    with pytest.raises(DataError, match=r"evaluation\.json is damaged"):
        Judge.of(run)


def test_images_too_small_for_the_network_are_refused_by_name(run: Path) -> None:
    with pytest.raises(ImageError, match=r"lens\.npy cannot be used with this model"):
        Judge.of(run).on_its_grid(np.ones((1, 1, 9, 9), dtype=np.float32), 0.05, "lens.npy")
