"""The whole main job through the command line, at a size of seconds."""

import json
from pathlib import Path

import numpy as np
import pytest

from lenspinn.cli import main

NUM_IMAGES = 96


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A dataset and a run trained on it for one epoch, made as a user makes them."""
    folder = tmp_path_factory.mktemp("main_job")
    data, run = str(folder / "data.zarr"), str(folder / "run")
    recipe = "configs/simulate/deeplense_model_3.yaml"
    assert main(["simulate", recipe, "--num", str(NUM_IMAGES), "--out", data]) == 0
    recipe = "configs/train/lenspinn_small_demo.yaml"
    words = ["--data", data, "--out", run, "--split", "[0.5, 0.2, 0.3]", "--batch_size", "16"]
    assert main(["train", recipe, *words]) == 0
    return folder


def test_inspect_draws_the_dataset(folder: Path) -> None:
    assert main(["inspect", str(folder / "data.zarr")]) == 0
    assert (folder / "data.png").read_bytes().startswith(b"\x89PNG")


def test_evaluate_reports_on_images_that_training_never_saw(folder: Path) -> None:
    assert main(["evaluate", str(folder / "run")]) == 0
    result = json.loads((folder / "run" / "evaluation" / "evaluation.json").read_text())
    (record,) = result["records"]
    assert record["n_train"] + record["n_test"] < NUM_IMAGES
    assert record["accuracy_low"] <= record["accuracy"] <= record["accuracy_high"]
    assert (folder / "run" / "evaluation" / "report.md").is_file()


def test_explain_draws_where_the_network_looks(folder: Path) -> None:
    assert main(["explain", str(folder / "run"), "--num_per_class", "1"]) == 0
    assert (folder / "run" / "explanation" / "explanation.png").is_file()


def test_apply_answers_a_file_and_a_dataset(folder: Path, capsys: pytest.CaptureFixture) -> None:
    image = np.random.default_rng(0).gamma(2.0, size=(80, 80)).astype(np.float32)
    np.save(folder / "mine.npy", image)
    words = [str(folder / "mine.npy"), str(folder / "data.zarr"), "--model", str(folder / "run")]
    assert main(["apply", *words, "--out", str(folder / "answers")]) == 0
    answer = json.loads((folder / "answers" / "mine.json").read_text())
    assert sum(answer["probabilities"].values()) == pytest.approx(1)
    assert answer["mismatches"]
    assert "NOT TO BE TRUSTED" in capsys.readouterr().out
    assert len((folder / "answers" / "data.csv").read_text().splitlines()) == NUM_IMAGES + 1


def _text(path: Path) -> None:
    path.write_text("SIMPLE = this is only text")


def _array(content: np.ndarray):
    return lambda path: np.save(path, content, allow_pickle=True)


class _Malicious:
    """Makes a file when it is unpickled."""

    def __init__(self, proof: Path) -> None:
        self.proof = proof

    def __reduce__(self):
        return (Path.touch, (self.proof,))


BAD_IMAGES = {
    "text.fits": _text,
    "nan.npy": _array(np.full((64, 64), np.nan)),
    "constant.npy": _array(np.ones((64, 64))),
    "row.npy": _array(np.ones(64)),
    "missing.npy": lambda path: None,
}


@pytest.mark.parametrize("name", BAD_IMAGES)
def test_an_unusable_image_is_one_sentence_and_nothing_written(
    folder: Path, tmp_path: Path, name: str, capsys: pytest.CaptureFixture
) -> None:
    BAD_IMAGES[name](tmp_path / name)
    out = tmp_path / "answers"
    words = ["apply", str(tmp_path / name), "--model", str(folder / "run"), "--out", str(out)]
    assert main(words) == 2
    printed = capsys.readouterr().err
    assert name in printed
    assert printed.count("\n") == 1
    assert not out.exists()


def test_a_malicious_pickle_is_refused_and_not_executed(folder: Path, tmp_path: Path) -> None:
    proof = tmp_path / "proof"
    np.save(tmp_path / "evil.npy", np.array([_Malicious(proof), 1.0], dtype=object))
    words = ["apply", str(tmp_path / "evil.npy"), "--model", str(folder / "run")]
    assert main([*words, "--out", str(tmp_path / "answers")]) == 2
    assert not proof.exists()


@pytest.mark.parametrize(
    ("words", "hint"),
    [
        (["simulate", "--recipe", "deeplense/model_9", "--num", "3", "--out", "x"], "model_"),
        (["simulate", "--recipe", "survey/hst", "--num", "0", "--out", "x"], "num"),
        (["train", "--data", "nowhere.zarr", "--out", "x", "--model.name", "a"], "nowhere.zarr"),
        (["evaluate", "nowhere"], "nowhere"),
    ],
)
def test_wrong_words_are_one_sentence(
    words: list[str],
    hint: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture,
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(words) == 2
    printed = capsys.readouterr().err
    assert hint in printed
    assert printed.count("\n") == 1
    assert not (tmp_path / "x").exists()


def test_an_unknown_model_names_the_nearest(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    words = ["--data", str(folder / "data.zarr"), "--out", str(tmp_path / "run")]
    assert main(["train", *words, "--model.name", "lenspin_small"]) == 2
    assert "lenspinn_small" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


@pytest.mark.slow
def test_the_first_example_learns_from_a_third_of_its_images_and_is_calibrated(
    tmp_path: Path,
) -> None:
    data, run = str(tmp_path / "data.zarr"), str(tmp_path / "run")
    recipe = "configs/simulate/deeplense_model_3.yaml"
    assert main(["simulate", recipe, "--num", "12000", "--out", data]) == 0
    assert (
        main(["train", "configs/train/lenspinn_small_demo.yaml", "--data", data, "--out", run]) == 0
    )
    assert main(["evaluate", run]) == 0
    result = json.loads((Path(run) / "evaluation" / "evaluation.json").read_text())
    (record,) = result["records"]
    assert record["above_chance"]
    assert record["accuracy_low"] > 0.85
    assert record["calibrated"]
