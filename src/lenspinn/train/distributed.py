"""One training by several processes, each a rank of torch.distributed.

Every process runs the same command. On one machine Lightning starts the others when training
begins; SLURM (``srun``) and ``torchrun`` start all of them at once. The first one, rank 0, alone
writes: the others wait for its run folder, train, and end.
"""

import multiprocessing
import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
import torch.distributed
from lightning.fabric.plugins.environments.cluster_environment import ClusterEnvironment
from lightning.fabric.plugins.environments.lightning import LightningEnvironment
from lightning.fabric.plugins.environments.slurm import SLURMEnvironment
from lightning.fabric.plugins.environments.torchelastic import TorchElasticEnvironment
from torch import Tensor

from lenspinn.errors import ConfigError, DataError, ModelError
from lenspinn.train.config import TrainConfig

__all__ = [
    "check_processes",
    "ending_together",
    "own_device",
    "rank_and_size",
    "rank_of",
    "several_processes",
    "summed",
    "trainer_options",
    "wait_for",
]

PATIENCE = 6 * 3600
"""Seconds that other processes wait for the first one, which may have to simulate images."""
_LOOK_EVERY = 0.2
"""Interval between two looks, s."""
_SET_BY_LIGHTNING = (
    "LOCAL_RANK",
    "MASTER_ADDR",
    "MASTER_PORT",
    "NODE_RANK",
    "OMP_NUM_THREADS",
    "WORLD_SIZE",
)
"""Variables in the environment of a process that starts others; left there, a second start
fails."""
_LOST = ("connection closed", "connection reset", "connection refused", "broken pipe")
"""Words in the errors of gloo and NCCL when another process has ended."""
_START_THEM = "start one process for each with srun or torchrun (docs/guide/scale.md)"


def check_processes(config: TrainConfig) -> None:
    """Refuse processes and devices that cannot be had here.

    Raises
    ------
    ConfigError
    """
    if not config.distributed:
        return
    kind, there = ("GPUs", torch.cuda.device_count()) if _on_gpu() else ("cores", _cores())
    if config.devices > there:
        none = "" if _on_gpu() else " and no GPU"
        raise ConfigError(
            f"devices is {config.devices}, but this machine has {there} {kind}{none}: give at "
            f"most {there}"
        )
    environment = _environment()
    if not isinstance(environment, LightningEnvironment):
        _check_started(config, environment)
    elif config.num_nodes > 1:
        raise ConfigError(f"num_nodes is {config.num_nodes}: {_START_THEM}")
    elif hasattr(sys, "ps1") or multiprocessing.parent_process() is not None:
        raise ConfigError(
            f"devices is {config.devices}, but a notebook, a prompt or a worker cannot start the "
            "other processes: use `lenspinn train` or a script, or set devices to 1"
        )


def rank_of(config: TrainConfig) -> int:
    """Return the rank of this process in its training; rank 0 writes the run folder."""
    if not config.distributed:
        return 0
    environment = _environment()
    is_local = isinstance(environment, LightningEnvironment)
    return environment.local_rank() if is_local else environment.global_rank()


def own_device(config: TrainConfig) -> torch.device | None:
    """Return the GPU of this process of a training by several; None is left to others to choose."""
    if not (config.distributed and _on_gpu()):
        return None
    return torch.device("cuda", _environment().local_rank())


def wait_for(path: Path) -> None:
    """Wait until the first process has made a file or folder.

    Raises
    ------
    DataError
        The file is not there after `PATIENCE` seconds.
    """
    end = time.monotonic() + PATIENCE
    while not path.exists():
        if time.monotonic() > end:
            raise DataError(f"{path} did not come: see what the first process says, and repeat")
        time.sleep(_LOOK_EVERY)


@contextmanager
def several_processes(config: TrainConfig) -> Iterator[None]:
    """Share the cores of a machine without GPU while a training runs; then forget the others."""
    if not config.distributed:
        yield
        return
    threads, variables = (
        torch.get_num_threads(),
        {key: os.environ.get(key) for key in _SET_BY_LIGHTNING},
    )
    if not _on_gpu():
        torch.set_num_threads(min(threads, max(1, _cores() // config.devices)))
    try:
        yield
        if torch.distributed.is_initialized():
            torch.distributed.destroy_process_group()
    finally:
        torch.set_num_threads(threads)
        for key, value in variables.items():
            os.environ.pop(key, None)
            if value is not None:
                os.environ[key] = value


@contextmanager
def ending_together(rank: int) -> Iterator[None]:
    """Let only one process report the reason why all of them stopped.

    Raises
    ------
    DataError
        In the first process: another process ended.
    SystemExit
        In the other processes, where the first one reports it.
    """
    try:
        yield
    except (KeyboardInterrupt, ModelError):  # a loss that is not finite is so for all
        if rank:
            raise SystemExit(0) from None
        raise
    except RuntimeError as error:
        if not any(word in str(error).lower() for word in _LOST):
            raise
        if rank:
            raise SystemExit(0) from None
        raise DataError(
            "another process of the training ended (was there too little memory?): the same "
            "command goes on from the last checkpoint"
        ) from error


def trainer_options(config: TrainConfig) -> dict[str, Any]:
    """Return the arguments of `lightning.Trainer` that describe the processes."""
    if not config.distributed:
        return {"devices": 1}
    environment = _environment()
    if isinstance(environment, SLURMEnvironment):
        # Of a job that is put back into the queue the command itself goes on.
        environment.auto_requeue = False
    return {
        "accelerator": "cuda" if _on_gpu() else "cpu",
        "devices": config.devices,
        "num_nodes": config.num_nodes,
        "strategy": "ddp",
        "plugins": [environment],
        "use_distributed_sampler": False,  # `TrainBatches` shares out each batch
        "sync_batchnorm": _on_gpu(),  # torch has it for GPUs alone
    }


def rank_and_size() -> tuple[int, int]:
    """Return the rank of this process among those that train together now, and their number."""
    if not torch.distributed.is_initialized():
        return 0, 1
    return torch.distributed.get_rank(), torch.distributed.get_world_size()


def summed(values: Tensor) -> Tensor:
    """Return the sum of a tensor over all processes; each must call this."""
    if torch.distributed.is_initialized():
        torch.distributed.all_reduce(values)
    return values


def _check_started(config: TrainConfig, environment: ClusterEnvironment) -> None:
    """Refuse to train with other processes than those that srun or torchrun started."""
    try:
        environment.validate_settings(config.devices, config.num_nodes)
    except (ValueError, RuntimeError) as error:
        raise ConfigError(" ".join(str(error).split())) from error
    if environment.world_size() != config.num_processes:
        raise ConfigError(
            f"devices {config.devices} and num_nodes {config.num_nodes} make "
            f"{config.num_processes} processes, but {environment.world_size()} were started: "
            f"{_START_THEM}"
        )


def _environment() -> ClusterEnvironment:
    """Return the launcher of this process, in the order in which Lightning looks for it."""
    for kind in (TorchElasticEnvironment, SLURMEnvironment):
        if kind.detect():
            try:
                return kind()
            except RuntimeError as error:  # SLURM's --ntasks without --ntasks-per-node
                raise ConfigError(" ".join(str(error).split())) from error
    return LightningEnvironment()


def _on_gpu() -> bool:
    return torch.cuda.is_available()


def _cores() -> int:
    return os.cpu_count() or 1
