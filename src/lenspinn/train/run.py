"""Train a network on a dataset into a run folder, and read a run folder back."""

import logging
import math
import os
import shutil
import signal
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import lightning
import numpy as np
import torch
from torch import Tensor

from lenspinn.data.datamodule import BatchSource, StoreDataModule
from lenspinn.data.info import DatasetInfo
from lenspinn.data.store import ImageStore
from lenspinn.errors import ConfigError, ModelError
from lenspinn.files import FolderLock, clear_drafts, draft_folder
from lenspinn.models import (
    Classifier,
    LensFit,
    find_trained,
    from_pretrained,
    save_pretrained,
)
from lenspinn.train.callbacks import History, Progress, ResumeCheckpoint, Row, read_rows
from lenspinn.train.config import TrainConfig
from lenspinn.train.distributed import (
    check_processes,
    ending_together,
    rank_of,
    several_processes,
    trainer_options,
    wait_for,
)
from lenspinn.train.fitted import FittedImages, FittedModule, fit_images
from lenspinn.train.folder import (
    CONFIG,
    check_folder,
    go_on_longer,
    is_finished,
    named_settings,
    read_config,
    read_info,
    read_provenance,
    read_split,
    write_folder,
)
from lenspinn.train.losses import find_loss
from lenspinn.train.manifest import check_manifest, write_manifest
from lenspinn.train.module import ClassifierModule
from lenspinn.train.network import completed, first_model

# What Lightning says of things that are meant here, and of its own use of torch.
_EXPECTED_WARNINGS = (
    "The '(train|val)_dataloader' does not have many workers",
    "`isinstance\\(treespec, LeafSpec\\)` is deprecated",
)


FITS = "fits"
"""Folder, in an unfinished run, of the fits of images that are fitted once."""
HELD_OUT = "held_out.zarr"
"""Dataset, in the folder of a streamed run, of its validation and test images."""


@dataclass(frozen=True)
class Run:
    """Finished run, as its folder holds it."""

    folder: Path
    model: Classifier
    """Network with the weights of the epoch chosen on validation, in evaluation mode."""
    config: TrainConfig
    data_info: DatasetInfo
    """Description of the dataset on which the run was trained."""
    split: dict[str, np.ndarray]
    """Image numbers of ``train``, ``validation`` and ``test``."""
    history: list[Row]
    """Rows of ``metrics.csv``."""
    provenance: dict[str, Any]
    verified: bool = False
    """Whether a manifest vouches for every file that an answer rests on."""
    by_name: bool = False
    """Whether the run came with lenspinn or from the hub: nothing is written into its folder."""

    @property
    def data(self) -> Path:
        """Dataset that holds the validation and test images of the run."""
        return self.folder / HELD_OUT if self.config.streams else self.config.data

    @property
    def results(self) -> Path:
        """Folder for measurements of the run: its own, or the current one if it has a name."""
        return Path() if self.by_name else self.folder

    @property
    def settings(self) -> dict[str, Any]:
        """Configuration of the run for others to read: names in the place of paths."""
        return named_settings(self.config)


class Stream(NamedTuple):
    """Source of the images of a streamed run."""

    source: BatchSource
    """Source of the training images."""
    held_out: Path
    """Dataset of the validation and test images; it is moved into the run folder."""


def train_model(
    config: TrainConfig, progress: bool = True, *, stream: Stream | None = None
) -> Path:
    """Train a network, or go on with a run that was interrupted.

    The weights of the epoch with the best validation score go to ``model/`` in the run folder,
    those of the last epoch to ``model_last/``; the test images are not looked at. A run that was
    killed and is started again ends with the same weights, bit for bit on the CPU, as one that was
    not, given the same software and number of threads (both are recorded).

    With several devices every process runs the same command or script to here, where only the first
    one returns; it alone writes. ``batch_size`` is that of all devices together: steps, epochs and
    learning rates are those of one device, and so are the weights to rounding, for a stored dataset
    and a network without dropout and batch norm (which GPUs compute over all devices, processes on
    CPUs each for itself). A run may go on with another number of devices. Streamed images are
    drawn by each process for itself: no scene is drawn twice, but other scenes for another number.

    Parameters
    ----------
    config
        Configuration: network, dataset and settings.
    progress
        Whether to show a progress bar.
    stream
        Given for ``data: stream`` and only then; `lenspinn.workflow.train` makes it.

    Returns
    -------
    Path
        The run folder. A finished run is returned as it is, unless more epochs are asked for.

    Raises
    ------
    ConfigError
        The folder holds something else, or a run of another configuration, or there are fewer
        devices than asked for.
    DataError
        Another training uses the folder, or one of several processes ended.
    ModelError
        The model is unknown or does not fit the dataset, or its loss is not finite.
    StoreError
        The dataset cannot be read.
    SystemExit
        In all processes but the first one, at the end.
    """
    if config.streams and stream is None:
        raise ConfigError("data is stream, and no stream is given: call lenspinn.workflow.train")
    check_processes(config)
    rank = rank_of(config)
    if rank:
        wait_for(config.out / CONFIG)
    stored = config.data if stream is None else stream.held_out
    info = ImageStore.open(stored).info
    config = completed(config, info)
    find_loss(config.loss)
    if not rank:
        check_folder(config, info)
    if is_finished(config.out) and read_config(config.out).epochs == config.epochs:
        return config.out
    with torch.random.fork_rng(devices=[]), _quiet_lightning(), several_processes(config):
        torch.manual_seed(config.seed)
        model = first_model(config, info)
        if rank:
            _fit(model, _data_module(config, stored, stream, model.truth_keys), config, False)
        else:
            _train_and_write(model, config, stored, stream, progress)
    if rank:
        raise SystemExit(0)
    return config.out


def _train_and_write(
    model: Classifier, config: TrainConfig, stored: Path, stream: Stream | None, progress: bool
) -> None:
    """Make the run folder, and train in it to the end."""
    data = _data_module(config, stored, stream, model.truth_keys)
    write_folder(config, data.info, data.split_indices)
    with FolderLock(config.out):
        for place in (config.out, config.out / "model"):
            clear_drafts(place)
        if stream is not None and stored != config.out / HELD_OUT:
            os.replace(stored, config.out / HELD_OUT)
            data = _data_module(config, config.out / HELD_OUT, stream, model.truth_keys)
        go_on_longer(config)
        _train(model, data, config, progress)


def _train(model: Classifier, data: StoreDataModule, config: TrainConfig, progress: bool) -> None:
    """Train to the end, and finish the folder."""
    if config.fit_once:
        data.inputs = _fitted_images(model, data, config, progress).read
    best_weights = _fit(model, data, config, progress)
    with draft_folder(config.out / "model_last") as draft:  # a folder that has it is finished
        save_pretrained(model, draft)
        model.load_state_dict(best_weights)
        save_pretrained(model, config.out / "model")
        write_manifest(config.out, measured=False)
    shutil.rmtree(config.out / FITS, ignore_errors=True)


def _data_module(
    config: TrainConfig, stored: Path, stream: Stream | None, truth_keys: Sequence[str]
) -> StoreDataModule:
    data = StoreDataModule(
        stored,
        batch_size=config.batch_size,
        seed=config.seed,
        split=config.shares,
        num_workers=config.num_workers,
        source=None if stream is None else stream.source,
        images_per_epoch=config.stream.images_per_epoch if stream else None,
    )
    data.truth_keys = truth_keys
    for part, rows in data.split_indices.items():
        if len(rows) == 0 and not (part == "train" and stream):
            raise ConfigError(
                f"split {config.shares} leaves no {part} images of the {data.info.num_images} in "
                f"{stored}: give a larger dataset, or other shares by split"
            )
    return data


def _fitted_images(
    model: Classifier, data: StoreDataModule, config: TrainConfig, progress: bool
) -> FittedImages:
    assert isinstance(model, LensFit)
    rows = np.concatenate([data.split_indices[part] for part in ("train", "validation")])
    return fit_images(
        model,
        data.store,
        rows,
        config.out / FITS,
        seed=config.seed,
        num_workers=config.num_workers,
        progress=progress,
    )


def load_run(folder: Path | str) -> Run:
    """Read a finished run.

    Parameters
    ----------
    folder
        Folder of the run, the name of a trained network that comes with lenspinn, or the id
        (``owner/name``) of a repository on the Hugging Face hub that holds a released run.

    Raises
    ------
    ConfigError
        The folder holds no run, or an unfinished one.
    ModelError
        There is no such folder and no such network; or its model cannot be read or is not one
        for its dataset, or a file of it is missing or is not what the run wrote.
    DataError
        Another of its files is damaged.
    """
    by_name = not Path(folder).is_dir()
    folder = find_trained(folder)
    if not (folder / "config.yaml").is_file():
        raise ConfigError(f"{folder} is not a run folder: it has no config.yaml; give another")
    if not is_finished(folder):
        raise ConfigError(f"the run in {folder} is unfinished: the command that began it goes on")
    verified = check_manifest(folder)
    info = read_info(folder)
    run = Run(
        folder=folder,
        model=from_pretrained(folder / "model"),
        config=read_config(folder),
        data_info=info,
        split=read_split(folder, info.num_images),
        history=read_rows(folder / "metrics.csv"),
        provenance=read_provenance(folder),
        verified=verified,
        by_name=by_name,
    )
    _check_one_run(run)
    return run


def _check_one_run(run: Run) -> None:
    """Refuse a folder whose files are those of several runs."""
    model, info = run.model, run.data_info
    same = {
        "name": model.config["name"] == run.config.model.name,
        "num_pix": model.num_pix == info.num_pix,
        "classes": model.classes == info.classes,
        "pixel_scale": math.isclose(model.pixel_scale, info.pixel_scale, rel_tol=1e-6),
    }
    differing = [key for key, is_same in same.items() if not is_same]
    if differing:
        raise ModelError(
            f"the model in {run.folder} is not that of its config.yaml and data.json "
            f"({', '.join(differing)} differ): copy the run folder again"
        )


def _fit(
    model: Classifier, data: StoreDataModule, config: TrainConfig, progress: bool
) -> dict[str, Tensor]:
    """Train ``model`` to the end, and return the weights of the epoch chosen on validation."""
    steps = len(data.train_dataloader())
    total_steps = steps * config.epochs
    kind = FittedModule if config.fit_once else ClassifierModule
    module = kind(model, config, total_steps)
    checkpoint = config.out / "checkpoints" / "last.ckpt"
    history = History(config.out)
    resume = ResumeCheckpoint(checkpoint, config.checkpoint_every_steps)
    callbacks: list[lightning.Callback] = [history, resume]
    if progress:
        callbacks.append(Progress(history, total_steps))
    trainer = lightning.Trainer(
        **trainer_options(config),
        max_epochs=config.epochs,
        val_check_interval=max(1, steps // config.validations_per_epoch),
        callbacks=callbacks,
        default_root_dir=config.out,
        logger=False,
        enable_checkpointing=False,
        enable_model_summary=False,
        enable_progress_bar=False,
        num_sanity_val_steps=0,
    )
    last = checkpoint if checkpoint.exists() else None
    with ending_together(rank_of(config)), _interrupted_as_python_is():
        trainer.fit(module, datamodule=data, ckpt_path=last)
    return history.best_weights


@contextmanager
def _interrupted_as_python_is() -> Iterator[None]:
    """Raise KeyboardInterrupt for what Lightning makes of Ctrl-C and of SIGTERM."""
    handler = signal.getsignal(signal.SIGINT)
    try:
        yield
    except SystemExit:
        signal.signal(signal.SIGINT, handler)  # Lightning leaves Ctrl-C ignored from then on
        raise KeyboardInterrupt from None


@contextmanager
def _quiet_lightning() -> Iterator[None]:
    """Silence Lightning's banners, tips and the warnings named above, here only."""
    loggers = [logging.getLogger(name) for name in ("lightning.pytorch", "lightning.fabric")]
    levels = [logger.level for logger in loggers]
    try:
        for logger in loggers:
            logger.setLevel(logging.WARNING)
        with warnings.catch_warnings():
            for message in _EXPECTED_WARNINGS:
                warnings.filterwarnings("ignore", message=message)
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
