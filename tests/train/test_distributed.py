import dataclasses
import os
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch

from lenspinn.errors import ConfigError, DataError, ModelError
from lenspinn.models import names, registry
from lenspinn.train import ModelConfig, load_run, train_model
from lenspinn.train import distributed as module
from lenspinn.train.callbacks import ResumeCheckpoint
from lenspinn.train.distributed import (
    check_processes,
    ending_together,
    own_device,
    rank_and_size,
    rank_of,
    several_processes,
    summed,
    trainer_options,
    wait_for,
)

from . import plain_network

ROUNDING = 1e-5
"""Of weights, after 18 steps of AdamW that change them by some 1e-2."""
LONGEST = 100
"""Seconds for two processes, on a machine that others use."""


@pytest.fixture
def config(tiny_config):
    """3 epochs of 6 steps of 9 images, the last of 3: shares of 5 and 4, and of 2 and 1."""
    registry.register_model(plain_network.plain_network)
    yield dataclasses.replace(
        tiny_config, model=ModelConfig("plain_network"), batch_size=9, augment=True, lr=1e-3
    )
    del names.FACTORIES["plain_network"]


def command_of_two(config):
    words = ["train", f"--data={config.data}", f"--out={config.out}", "--devices=2"]
    words += [f"--model.name={config.model.name}", f"--split={list(config.split)}"]
    for key in ("batch_size", "epochs", "checkpoint_every_steps", "lr", "schedule", "augment"):
        words.append(f"--{key}={getattr(config, key)}".replace("True", "true"))
    words.append(f"--validations_per_epoch={config.validations_per_epoch}")
    return [sys.executable, plain_network.__file__, *words]


def two_processes(config):
    """Begin a training of two processes, which write to one pipe."""
    pipe = subprocess.PIPE
    return subprocess.Popen(command_of_two(config), stdout=pipe, stderr=pipe, text=True)


@contextmanager
def srun(config):
    """Run two processes that begin at once, as srun does; give the first rank."""
    variables = {"NTASKS": 2, "NTASKS_PER_NODE": 2, "NNODES": 1, "NODEID": 0, "JOB_ID": 4321}
    common = {f"SLURM_{name}": str(value) for name, value in variables.items()}
    common |= {"SLURM_NODELIST": "127.0.0.1", "SLURM_JOB_NAME": "test"}

    def start(rank):
        return subprocess.Popen(
            command_of_two(config),
            env=os.environ | common | {"SLURM_PROCID": rank, "SLURM_LOCALID": rank},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    with start("1") as second, start("0") as first:
        yield first
        assert said(second) == ("", [])
        assert second.returncode == 0


def said(process):
    """Wait until all processes have ended, and return what was printed, less the progress bar."""
    out, error = process.communicate(timeout=LONGEST)
    lines = [line for part in error.split("\n") for line in part.split("\r")]
    return out, [line for line in lines if line.strip() and not line.startswith("training:")]


def last_weights(config):
    from safetensors.torch import load_file

    return load_file(config.out / "model_last" / "model.safetensors")


def furthest(one, other):
    """Return the largest difference of any two weights."""
    first, second = last_weights(one), last_weights(other)
    return max((first[name] - second[name]).abs().max().item() for name in first)


@pytest.fixture
def alone(config, tmp_path):
    """The same run by one process."""
    finished = dataclasses.replace(config, out=tmp_path / "alone")
    train_model(finished, progress=False)
    return finished


class KilledError(Exception):
    """Stands for a process that dies."""


def test_two_processes_give_the_weights_scores_and_files_of_one(config, alone, tmp_path):
    process = two_processes(config)
    assert said(process) == (f"{config.out}\n", [])
    assert process.returncode == 0
    assert furthest(config, alone) < ROUNDING
    files = {path.relative_to(config.out) for path in config.out.rglob("*.*")}
    same = {path.relative_to(alone.out) for path in alone.out.rglob("*.*")}
    assert {path for path in files if "tfevents" not in path.name} == {
        path for path in same if "tfevents" not in path.name
    }
    assert len([path for path in files if "tfevents" in path.name]) == 1
    ours, theirs = load_run(config.out).history, load_run(alone.out).history
    for here, there in zip(ours, theirs, strict=True):
        del here["seconds"], there["seconds"]
        assert here == pytest.approx(there, rel=1e-4)
    # What would be seen if each process took a step of its own.
    half = dataclasses.replace(config, batch_size=5, out=tmp_path / "half")
    train_model(half, progress=False)
    assert furthest(half, alone) > 100 * ROUNDING


def test_a_run_of_two_processes_that_was_killed_goes_on_with_one(config, alone):
    process = two_processes(config)
    while not (config.out / "checkpoints" / "last.ckpt").exists():
        assert process.poll() is None, "ended before its first checkpoint"
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    said(process)  # the other one ends too: it holds the pipe
    assert not (config.out / "model_last").exists(), "killed too late to show anything"
    with pytest.warns(UserWarning, match=r"other processes \(2, now 1\)"):
        train_model(config, progress=False)
    assert furthest(config, alone) < ROUNDING


def test_a_run_of_one_process_that_was_killed_goes_on_with_two_of_srun(config, alone, monkeypatch):
    save = ResumeCheckpoint._save

    def save_and_die(self, trainer):
        save(self, trainer)
        if trainer.global_step == 8:
            raise KilledError

    monkeypatch.setattr(ResumeCheckpoint, "_save", save_and_die)
    with pytest.raises(KilledError):
        train_model(config, progress=False)
    with srun(config) as first:
        out, warned = said(first)
    assert out == f"{config.out}\n"
    assert len(warned) == 1
    assert "other processes (1, now 2)" in warned[0]
    assert furthest(config, alone) < ROUNDING


@pytest.mark.slow
def test_a_loss_that_is_not_finite_is_said_once(config):
    process = two_processes(dataclasses.replace(config, lr=1e6, schedule="constant"))
    out, sentences = said(process)
    assert (out, process.returncode) == ("", 2)
    assert len(sentences) == 1
    assert sentences[0].startswith("lenspinn: the training loss is ")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"devices": 0}, "devices is 0: at least 1 is needed"),
        ({"num_nodes": 0}, "num_nodes is 0: at least 1 is needed"),
        (
            {"devices": 1000, "batch_size": 1000},
            r"devices is 1000, but this machine has \d+ cores and no GPU: give at",
        ),
        ({"num_nodes": 2}, "num_nodes is 2: start one process for each with srun or torchrun"),
        ({"devices": 2, "batch_size": 1}, "batch_size is 1, and 2 devices share it: give at least"),
        ({"devices": 2, "weights": Path("w"), "fit_once": True}, "fit_once goes with one device"),
    ],
)
def test_processes_that_cannot_be_had_are_refused_before_anything_is_written(
    config, change, message
):
    with pytest.raises(ConfigError, match=message):
        train_model(dataclasses.replace(config, **change), progress=False)
    assert not config.out.exists()


def test_more_gpus_than_there_are_are_refused(config, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 4)
    check_processes(dataclasses.replace(config, batch_size=8, devices=4))
    with pytest.raises(ConfigError, match="devices is 8, but this machine has 4 GPUs: give at"):
        check_processes(dataclasses.replace(config, batch_size=8, devices=8))


def test_a_prompt_does_not_start_processes(config, monkeypatch):
    monkeypatch.setattr(sys, "ps1", ">>> ", raising=False)
    with pytest.raises(ConfigError, match="a notebook, a prompt or a worker cannot start"):
        check_processes(dataclasses.replace(config, devices=2))


@pytest.fixture
def in_srun(monkeypatch):
    """The environment of the fourth of four processes on two machines."""
    variables = {"NTASKS": 4, "NTASKS_PER_NODE": 2, "NNODES": 2, "PROCID": 3, "LOCALID": 1}
    for name, value in variables.items():
        monkeypatch.setenv(f"SLURM_{name}", str(value))


@pytest.mark.usefixtures("in_srun")
def test_under_slurm_each_process_knows_which_it_is(config, monkeypatch):
    config = dataclasses.replace(config, devices=2, num_nodes=2)
    check_processes(config)
    assert rank_of(config) == 3
    assert rank_of(dataclasses.replace(config, devices=1, num_nodes=1)) == 0
    assert not trainer_options(config)["plugins"][0].auto_requeue
    assert own_device(config) is None
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert own_device(config) == torch.device("cuda", 1)


@pytest.mark.usefixtures("in_srun")
@pytest.mark.parametrize(("devices", "num_nodes"), [(1, 2), (2, 1), (2, 3)])
def test_other_numbers_than_those_of_slurm_are_refused(config, devices, num_nodes):
    config = dataclasses.replace(config, devices=devices, num_nodes=num_nodes)
    with pytest.raises(ConfigError, match=r"You set `|were started"):
        check_processes(config)


def test_another_process_waits_for_the_first(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "PATIENCE", 0.1)
    wait_for(tmp_path)
    with pytest.raises(DataError, match="nothing did not come: see what the first process says"):
        wait_for(tmp_path / "nothing")


@pytest.mark.parametrize(
    "error", [KeyboardInterrupt(), ModelError("not finite"), RuntimeError("Connection reset by")]
)
def test_the_first_process_alone_says_why_all_stopped(error):
    with pytest.raises(SystemExit), ending_together(1):
        raise error
    with pytest.raises((KeyboardInterrupt, ModelError, DataError)), ending_together(0):
        raise error


@pytest.mark.parametrize("rank", [0, 1])
def test_a_bug_is_shown_by_every_process(rank):
    with pytest.raises(RuntimeError, match="shapes"), ending_together(rank):
        raise RuntimeError("shapes do not match")


def test_one_process_is_left_as_it_is(config):
    assert trainer_options(config) == {"devices": 1}
    assert rank_and_size() == (0, 1)
    assert summed(torch.tensor([2.0])).item() == 2.0


def test_several_processes_leave_threads_and_environment_alone(config, monkeypatch):
    monkeypatch.setattr(module, "_cores", lambda: 4)
    threads = torch.get_num_threads()
    torch.set_num_threads(3)
    before = dict(os.environ)
    with several_processes(dataclasses.replace(config, devices=2)):
        assert torch.get_num_threads() == 2
        os.environ["LOCAL_RANK"] = "0"
    assert torch.get_num_threads() == 3
    torch.set_num_threads(threads)
    assert dict(os.environ) == before
