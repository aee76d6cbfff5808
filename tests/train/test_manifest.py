import json
import shutil
from pathlib import Path

import pytest

from lenspinn.errors import ModelError
from lenspinn.evaluate import evaluate_run
from lenspinn.train import load_run
from lenspinn.train.manifest import MANIFEST, check_manifest, write_manifest


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Files of a run, as far as a manifest looks at them."""
    for name in ("config.yaml", "model/config.json", "calibration/calibration.json"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(name)
    (tmp_path / "checkpoints").mkdir()
    (tmp_path / "checkpoints" / "last.ckpt").write_text("not listed")
    return tmp_path


def test_a_folder_is_vouched_for_once_it_is_listed(folder: Path) -> None:
    assert not check_manifest(folder)
    write_manifest(folder)
    assert check_manifest(folder)


@pytest.mark.parametrize("name", ["config.yaml", "calibration/calibration.json"])
def test_a_missing_file_is_named(folder: Path, name: str) -> None:
    write_manifest(folder)
    (folder / name).unlink()
    with pytest.raises(ModelError, match=f"{name} is missing"):
        check_manifest(folder)


def test_an_altered_file_is_named(folder: Path) -> None:
    write_manifest(folder)
    (folder / "model" / "config.json").write_text("else")
    with pytest.raises(ModelError, match=r"model/config.json is not the file that the run wrote"):
        check_manifest(folder)


def test_a_huge_file_is_refused_before_its_hash_is_taken(folder: Path) -> None:
    write_manifest(folder)
    with (folder / "config.yaml").open("r+b") as file:
        file.truncate(10**12)
    with pytest.raises(ModelError, match=r"has 1000000000000 bytes.*copy the whole run folder"):
        check_manifest(folder)


def test_nothing_vouches_for_an_evaluation_that_is_being_replaced(folder: Path) -> None:
    write_manifest(folder, measured=False)
    assert not check_manifest(folder)
    (folder / "calibration" / "calibration.json").write_text("half of it")
    assert not check_manifest(folder)  # and no error: it can be evaluated again


@pytest.mark.parametrize(
    "content",
    [
        "",
        "[]",
        "{}",
        '{"sha256": 3}',
        '{"sha256": ["config.yaml"]}',
        '{"sha256": {"../secret": "0"}}',
        '{"sha256": {"/x": "0"}}',
        json.dumps({"sha256": {f"model{i * '/'}config.json": "0" for i in range(1, 70)}}),
    ],
)
def test_a_damaged_manifest_is_refused(folder: Path, content: str) -> None:
    (folder / MANIFEST).write_text(content)
    with pytest.raises(ModelError, match=r"manifest\.json .*: copy (its|the run) folder again"):
        check_manifest(folder)


def test_a_run_is_listed_by_training_and_by_evaluation(run_folder: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    shutil.copytree(run_folder, run)
    assert load_run(run).verified
    evaluate_run(run, progress=False)
    assert load_run(run).verified
    listed = json.loads((run / MANIFEST).read_text())["sha256"]
    assert {"model/model.safetensors", "split.npz", "evaluation/evaluation.json"} <= listed.keys()
