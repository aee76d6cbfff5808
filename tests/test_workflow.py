import dataclasses
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
import yaml

from lenspinn import workflow
from lenspinn.config import to_dict
from lenspinn.data.store import ImageStore
from lenspinn.errors import ConfigError
from lenspinn.evaluate import evaluate_run
from lenspinn.simulate.stream import SceneStream
from lenspinn.train import ModelConfig, StreamConfig, TrainConfig, load_run, train_model


@pytest.fixture
def config(tmp_path: Path) -> TrainConfig:
    """Two epochs of three steps on fresh images."""
    return TrainConfig(
        data=Path("stream"),
        out=tmp_path / "run",
        model=ModelConfig("lenspinn_small", {"transform": "noise_safe"}),
        stream=StreamConfig(
            recipe="survey/hst",
            overrides={"source.magnitude": 20.0},
            images_per_epoch=18,
            num_validation=6,
            num_test=9,
            engine="eager",
        ),
        batch_size=6,
        epochs=2,
        checkpoint_every_steps=1,
    )


def weights(folder: Path) -> bytes:
    return (folder / "model_last" / "model.safetensors").read_bytes()


def test_a_streamed_run_keeps_its_held_out_images_and_may_be_moved(config):
    folder = workflow.train(config, progress=False)
    moved = folder.rename(folder.with_name("moved"))
    run = load_run(moved)
    assert run.data == moved / "held_out.zarr"
    store = ImageStore.open(run.data)
    assert len(store) == 15
    assert store.info.recipe_config["source"]["magnitude"] == 20.0
    assert {name: len(rows) for name, rows in run.split.items()} == {
        "train": 0,
        "validation": 6,
        "test": 9,
    }
    report = evaluate_run(moved)
    assert "fresh images at every step" in report.read_text()
    assert [path.name for path in moved.parent.iterdir()] == ["moved"]


def test_an_interrupted_stream_goes_on_as_if_nothing_had_happened(config, tmp_path, monkeypatch):
    whole = weights(workflow.train(config, progress=False))
    sample, calls = SceneStream.sample, []

    def fail_at_the_fifth(source, *arguments):
        calls.append(arguments)
        if len(calls) == 5:
            raise KeyboardInterrupt
        return sample(source, *arguments)

    interrupted = dataclasses.replace(config, out=tmp_path / "interrupted")
    monkeypatch.setattr(SceneStream, "sample", fail_at_the_fifth)
    with pytest.raises(KeyboardInterrupt):
        workflow.train(interrupted, progress=False)
    monkeypatch.setattr(SceneStream, "sample", sample)
    assert weights(workflow.train(interrupted, progress=False)) == whole


@pytest.mark.slow
def test_a_stream_killed_by_the_system_ends_with_the_same_weights(config, tmp_path):
    config = dataclasses.replace(config, epochs=8)
    whole = weights(workflow.train(config, progress=False))
    killed = dataclasses.replace(config, out=tmp_path / "killed")
    with start(killed) as process:
        while not (killed.out / "checkpoints" / "last.ckpt").exists():
            assert process.poll() is None, "ended before its first checkpoint"
            time.sleep(0.01)
        process.send_signal(signal.SIGKILL)
    assert not (killed.out / "model_last").exists(), "killed too late to show anything"
    with start(killed) as process:
        assert process.wait() == 0
    assert weights(killed.out) == whole


def start(config: TrainConfig) -> subprocess.Popen[bytes]:
    """Begin a training in a process of its own, with as many threads as this one."""
    settings = config.out.with_name("settings.yaml")
    settings.write_text(yaml.safe_dump(to_dict(config)))
    return subprocess.Popen(
        [sys.executable, "-m", "lenspinn.cli", "train", str(settings)],
        env=os.environ | {"OMP_NUM_THREADS": str(torch.get_num_threads())},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


def test_a_finished_stream_is_left_alone(config):
    folder = workflow.train(config, progress=False)
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*")}
    assert workflow.train(config, progress=False) == folder
    assert {path: path.stat().st_mtime_ns for path in folder.rglob("*")} == before


def test_a_stream_needs_its_source(config):
    with pytest.raises(ConfigError, match=r"call lenspinn\.workflow\.train"):
        train_model(config, progress=False)


def test_an_unknown_recipe_writes_nothing(config):
    wrong = dataclasses.replace(config.stream, recipe="survey/hts")
    with pytest.raises(ConfigError, match="no recipe 'survey/hts'"):
        workflow.train(dataclasses.replace(config, stream=wrong), progress=False)
    assert not config.out.exists()


def test_a_store_is_trained_on_as_before(config, dataset):
    stored = dataclasses.replace(config, data=dataset, stream=StreamConfig(), epochs=1)
    assert load_run(workflow.train(stored, progress=False)).data == dataset.resolve()
