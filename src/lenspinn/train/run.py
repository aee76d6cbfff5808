"""Train a network on a dataset into a run folder, and read a run folder back."""

import logging
import math
import os
import shutil
import signal
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import lightning
import numpy as np
import torch
from torch import Tensor

from lenspinn.config import to_dict
from lenspinn.data.datamodule import BatchSource, StoreDataModule
from lenspinn.data.info import DatasetInfo
from lenspinn.data.store import ImageStore
from lenspinn.errors import ConfigError, ModelError
from lenspinn.files import FolderLock, clear_drafts, draft_folder
from lenspinn.models import (
    Classifier,
    LensFit,
    create_model,
    find_trained,
    from_pretrained,
    list_options,
    load_weights,
    read_options,
    save_pretrained,
)
from lenspinn.train.callbacks import History, Progress, ResumeCheckpoint, Row, read_rows
from lenspinn.train.config import ModelConfig, TrainConfig
from lenspinn.train.fitted import FittedImages, FittedModule, fit_images
from lenspinn.train.folder import (
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

# What Lightning says of things that are meant here, and of its own use of torch.
_EXPECTED_WARNINGS = (
    "The '(train|val)_dataloader' does not have many workers",
    "`isinstance\\(treespec, LeafSpec\\)` is deprecated",
)


CAMERA_TOLERANCE = 0.01
"""Relative; noise and PSF that are given by hand may be rounded."""
TURNS_LEAVE = {"theta_E"}
"""Truth that is the same for an image however it is flipped and turned."""
FITS = "fits"
"""In the folder of a run whose images are fitted once, until it is finished."""
HELD_OUT = "held_out.zarr"
"""In the folder of a streamed run: its validation and test images."""


@dataclass(frozen=True)
class Run:
    """A finished run, as its folder holds it."""

    folder: Path
    model: Classifier
    """With the weights of the epoch chosen on validation, in evaluation mode."""
    config: TrainConfig
    data_info: DatasetInfo
    """Of the dataset it was trained on."""
    split: dict[str, np.ndarray]
    """Image numbers of ``train``, ``validation`` and ``test``."""
    history: list[Row]
    """Rows of ``metrics.csv``."""
    provenance: dict[str, Any]
    verified: bool = False
    """Whether a manifest vouches for every file that an answer rests on."""
    by_name: bool = False
    """Whether it came with lenspinn or from the hub: nothing is written into its folder."""

    @property
    def data(self) -> Path:
        """The dataset that holds its validation and test images."""
        return self.folder / HELD_OUT if self.config.streams else self.config.data

    @property
    def results(self) -> Path:
        """Folder for what is measured of it: its own, or where you work if it has a name."""
        return Path() if self.by_name else self.folder

    @property
    def settings(self) -> dict[str, Any]:
        """Its configuration for others to read: names in the place of paths."""
        return named_settings(self.config)


class Stream(NamedTuple):
    """Where the images of a streamed run come from."""

    source: BatchSource
    """Of training images."""
    held_out: Path
    """Store of the images for validation and test; it moves into the run folder."""


def train_model(
    config: TrainConfig, progress: bool = True, *, stream: Stream | None = None
) -> Path:
    """Train a network, or go on with a run that was interrupted.

    The weights of the epoch with the best validation score go to ``model/`` in the run folder,
    those of the last epoch to ``model_last/``; the test images are not looked at. A run that was
    killed and is started again ends with the same weights, bit for bit on the CPU, as one that was
    not, given the same software and number of threads (both are recorded).

    Parameters
    ----------
    config
        What to train, on what and how.
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
        If the folder holds something else, or a run of another configuration.
    DataError
        If another process is training in the folder.
    ModelError
        If the model is unknown or does not fit the dataset, or its loss is not finite.
    StoreError
        If the dataset cannot be read.
    """
    if config.streams and stream is None:
        raise ConfigError("data is stream, and no stream is given: call lenspinn.workflow.train")
    stored = config.data if stream is None else stream.held_out
    info = ImageStore.open(stored).info
    config = _completed(config, info)
    find_loss(config.loss)
    check_folder(config, info)
    if is_finished(config.out) and read_config(config.out).epochs == config.epochs:
        return config.out
    with torch.random.fork_rng(devices=[]), _quiet_lightning():
        torch.manual_seed(config.seed)
        model = _fitting_model(config, info)
        if config.weights is not None:
            load_weights(model, config.weights)
        if config.channels_last:
            model = model.to(memory_format=torch.channels_last)
        data = _data_module(config, stored, stream, model.truth_keys)
        write_folder(config, info, data.split_indices)
        with FolderLock(config.out):
            for place in (config.out, config.out / "model"):
                clear_drafts(place)
            if stream is not None and stored != config.out / HELD_OUT:
                os.replace(stored, config.out / HELD_OUT)
                data = _data_module(config, config.out / HELD_OUT, stream, model.truth_keys)
            go_on_longer(config)
            _train(model, data, config, progress)
    return config.out


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
        Its folder, the name of a trained network that comes with lenspinn, or the id
        (``owner/name``) of a repository on the Hugging Face hub that holds a released run.

    Raises
    ------
    ConfigError
        If the folder holds no run, or an unfinished one.
    ModelError
        If there is no such folder and no such network; if its model cannot be read or is not one
        for its dataset, or a file of it is missing or is not what the run wrote.
    DataError
        If another of its files is damaged.
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


def _facts(info: DatasetInfo) -> dict[str, Any]:
    """Return the options of a model that every dataset decides."""
    return {
        "num_pix": info.num_pix,
        "pixel_scale": info.pixel_scale,
        "classes": list(info.classes),
    }


def _completed(config: TrainConfig, info: DatasetInfo) -> TrainConfig:
    """Give a run that begins with weights their network, and options that neither else decides."""
    if config.weights is None:
        return config
    name, saved = read_options(config.weights)
    if config.model.name not in ("", name):
        return config  # `load_weights` refuses it
    decided = {*_facts(info), *info.camera, "pretrained"}
    options = {key: value for key, value in saved.items() if key not in decided}
    return replace(config, model=ModelConfig(name, options | config.model.options))


def _fitting_model(config: TrainConfig, info: DatasetInfo) -> Classifier:
    """Build the model for the dataset; options given by hand must agree with it."""
    facts = _facts(info)
    known = list_options(config.model.name)
    camera = {key: value for key, value in info.camera.items() if key in known}
    options = to_dict(config.model)["options"]
    for key, value in (facts | camera).items():
        given = options.get(key, value)
        near = key in camera and isinstance(given, int | float)
        if given != value and not (near and math.isclose(given, value, rel_tol=CAMERA_TOLERANCE)):
            raise ModelError(
                f"model option {key} is {given}, but the images in {config.data} have {value}: "
                "leave the option out to follow the dataset"
            )
    model = create_model(config.model.name, **(facts | camera | options))
    if model.takes_unit not in (None, info.unit):
        raise ModelError(
            f"{config.model.name} takes images in {model.takes_unit}, but those in {config.data} "
            f"are in {info.unit}"
        )
    if config.fit_once and not isinstance(model, LensFit):
        raise ConfigError(f"fit_once: {config.model.name} fits no lens; leave it out")
    if config.augment and set(model.truth_keys) - TURNS_LEAVE and not config.fit_once:
        raise ConfigError(
            f"augment turns images but not the truth that {config.model.name} learns from: "
            "leave it out"
        )
    return model


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
        devices=1,
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
    interrupt = signal.getsignal(signal.SIGINT)
    try:
        trainer.fit(module, datamodule=data, ckpt_path=checkpoint if checkpoint.exists() else None)
    except SystemExit:
        # What Lightning makes of Ctrl-C (which it leaves ignored from then on) and of SIGTERM.
        signal.signal(signal.SIGINT, interrupt)
        raise KeyboardInterrupt from None
    return history.best_weights


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
