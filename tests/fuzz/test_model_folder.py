"""A run folder that anybody may have made or damaged is read, or refused in one sentence."""

import shutil
from pathlib import Path

import numpy as np
import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lenspinn.cli import main
from lenspinn.errors import LenspinnError
from lenspinn.train import load_run

from .damage import DAMAGES, Damage, check_sentence, damaged

SETTINGS = {
    "derandomize": True,
    "deadline": None,
    "database": None,
    "suppress_health_check": [HealthCheck.too_slow],
}
A_LIST = st.lists(DAMAGES, min_size=1, max_size=2)


@pytest.fixture(scope="module")
def folder(run_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run as others get it, but with nothing that vouches for its files."""
    unneeded = shutil.ignore_patterns("checkpoints", "model_last", "tensorboard", "manifest.json")
    return shutil.copytree(run_folder, tmp_path_factory.mktemp("fuzz") / "run", ignore=unneeded)


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("image") / "image.npy"
    y, x = np.mgrid[-32:32, -32:32] * 0.08
    np.save(path, np.exp(-((np.hypot(x, y) - 1.2) ** 2) / 0.05).astype(np.float32) + 0.01)
    return path


def load_or_refuse(path: Path) -> None:
    try:
        run = load_run(path)
    except LenspinnError as error:
        check_sentence(error)
        return
    assert not run.verified
    assert run.model.classes == run.data_info.classes


@settings(max_examples=25, **SETTINGS)
@given(damages=A_LIST)
def test_a_damaged_run_is_read_or_refused(folder: Path, damages: list[Damage]) -> None:
    load_or_refuse(damaged(folder, folder.with_name("damaged"), damages))


@pytest.mark.slow
@settings(max_examples=1500, **SETTINGS)
@given(damages=A_LIST)
def test_many_damaged_runs_are_read_or_refused(folder: Path, damages: list[Damage]) -> None:
    load_or_refuse(damaged(folder, folder.with_name("damaged"), damages))


@settings(max_examples=5, **SETTINGS)
@given(damages=A_LIST)
def test_apply_takes_a_damaged_run_or_says_what_is_wrong(
    folder: Path, image: Path, damages: list[Damage]
) -> None:
    path, out = damaged(folder, folder.with_name("applied"), damages), folder.with_name("answers")
    shutil.rmtree(out, ignore_errors=True)
    words = ["apply", str(image), "--model", str(path), "--out", str(out), "--pixel_scale", "0.08"]
    status = main(words)
    assert status in (0, 2)
    assert status == 0 or not out.exists()


def replace_text(path: Path, text: str) -> None:
    path.unlink()  # it is a link to the file of the undamaged folder
    path.write_text(text)


@pytest.mark.parametrize("key", ["model.options.num_pix", "stream.overrides.recipe", "out", "lr"])
def test_nothing_in_a_run_is_executed(folder: Path, tmp_path: Path, key: str) -> None:
    path, canary = damaged(folder, tmp_path / "evil", []), tmp_path / "canary"
    call = {"class_path": "os.system", "init_args": {"command": f"touch {canary}"}}
    settings_ = yaml.safe_load((path / "config.yaml").read_text())
    *parents, last = key.split(".")
    inner = settings_
    for parent in parents:
        inner = inner[parent]
    inner[last] = call
    replace_text(path / "config.yaml", yaml.safe_dump(settings_, sort_keys=False))
    load_or_refuse(path)
    assert not canary.exists()


def test_a_tag_of_python_in_a_run_is_not_executed(folder: Path, tmp_path: Path) -> None:
    path, canary = damaged(folder, tmp_path / "evil", []), tmp_path / "canary"
    tag = f"!!python/object/apply:os.system ['touch {canary}']"
    text = (path / "config.yaml").read_text()
    replace_text(path / "config.yaml", text.replace("seed: 0", f"seed: {tag}"))
    load_or_refuse(path)
    assert not canary.exists()
