"""Train a network on a dataset into a run folder, and read a run folder back."""

import dataclasses
import json
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
import yaml
from torch import Tensor

from lenspinn.config import dotted, parse_config, to_dict
from lenspinn.data.datamodule import BatchSource, StoreDataModule
from lenspinn.data.info import DatasetInfo
from lenspinn.data.provenance import provenance
from lenspinn.data.store import ImageStore
from lenspinn.errors import ConfigError, ModelError
from lenspinn.models import (
    Classifier,
    LensFit,
    create_model,
    from_pretrained,
    list_options,
    load_weights,
    save_pretrained,
)
from lenspinn.train.callbacks import History, Progress, ResumeCheckpoint, Row, read_rows
from lenspinn.train.config import TrainConfig
from lenspinn.train.fitted import FittedImages, FittedModule, fit_images
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

    @property
    def data(self) -> Path:
        """The dataset that holds its validation and test images."""
        return self.folder / HELD_OUT if self.config.streams else self.config.data


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
        The run folder. A finished run is returned as it is.

    Raises
    ------
    ConfigError
        If the folder holds something else, or a run of another configuration.
    ModelError
        If the model is unknown or does not fit the dataset, or its loss is not finite.
    StoreError
        If the dataset cannot be read.
    """
    if config.streams and stream is None:
        raise ConfigError("data is stream, and no stream is given: call lenspinn.workflow.train")
    stored = config.data if stream is None else stream.held_out
    info = ImageStore.open(stored).info
    _check_folder(config, info)
    if _is_finished(config.out):
        return config.out
    with torch.random.fork_rng(devices=[]), _quiet_lightning():
        torch.manual_seed(config.seed)
        model = _fitting_model(config, info)
        if config.weights is not None:
            load_weights(model, config.weights)
        if config.channels_last:
            model = model.to(memory_format=torch.channels_last)
        data = _data_module(config, stored, stream, model.truth_keys)
        _write_folder(config, info, data.split_indices)
        if stream is not None and stored != config.out / HELD_OUT:
            os.replace(stored, config.out / HELD_OUT)
            data = _data_module(config, config.out / HELD_OUT, stream, model.truth_keys)
        if config.fit_once:
            data.inputs = _fitted_images(model, data, config, progress).read
        best_weights = _fit(model, data, config, progress)
    draft = save_pretrained(model, config.out / "model_last.part")
    model.load_state_dict(best_weights)
    save_pretrained(model, config.out / "model")
    write_manifest(config.out, measured=False)
    os.replace(draft, config.out / "model_last")  # last: a folder that has it is finished
    shutil.rmtree(config.out / FITS, ignore_errors=True)
    return config.out


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
                f"{stored}"
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

    Raises
    ------
    ConfigError
        If the folder holds no run, or an unfinished one.
    ModelError
        If its model cannot be read, or a file of it is missing or is not what the run wrote.
    """
    folder = Path(folder)
    if not (folder / "config.yaml").is_file():
        raise ConfigError(f"{folder} is not a run folder: it has no config.yaml")
    if not _is_finished(folder):
        raise ConfigError(f"the run in {folder} is unfinished: the command that began it goes on")
    verified = check_manifest(folder)
    config = parse_config(TrainConfig, [str(folder / "config.yaml")])
    with np.load(folder / "split.npz") as split:
        indices = dict(split)
    return Run(
        folder=folder,
        model=from_pretrained(folder / "model"),
        config=dataclasses.replace(config, out=folder),
        data_info=DatasetInfo.from_json(_read_json(folder / "data.json")),
        split=indices,
        history=read_rows(folder / "metrics.csv"),
        provenance=_read_json(folder / "provenance.json"),
        verified=verified,
    )


def _fitting_model(config: TrainConfig, info: DatasetInfo) -> Classifier:
    """Build the model for the dataset; options given by hand must agree with it."""
    facts: dict[str, Any] = {
        "num_pix": info.num_pix,
        "pixel_scale": info.pixel_scale,
        "classes": list(info.classes),
    }
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


def _check_folder(config: TrainConfig, info: DatasetInfo) -> None:
    """Refuse a run folder that holds anything but this run; warn if exact resume is in doubt."""
    if not config.out.exists() or (config.out.is_dir() and not any(config.out.iterdir())):
        return
    if not (config.out / "config.yaml").is_file():
        raise ConfigError(f"{config.out} holds something else than a run: give another folder")
    # Parsed, so that a setting which is younger than the run has its default value.
    begun = dotted(to_dict(parse_config(TrainConfig, [str(config.out / "config.yaml")])))
    asked = dotted(_resolved(config))
    for key in sorted((begun.keys() | asked.keys()) - {"out"}):  # the folder may be moved
        if begun.get(key) != asked.get(key):
            raise ConfigError(
                f"{config.out} holds a run with {key} {begun.get(key)}, not {asked.get(key)}: "
                "give another folder, or delete it"
            )
    if DatasetInfo.from_json(_read_json(config.out / "data.json")) != info:
        raise ConfigError(
            f"{config.out} holds a run begun on another dataset than {config.data} is now: "
            "give another folder, or delete it"
        )
    then, now = _read_json(config.out / "provenance.json"), _provenance()
    for key in ("versions", "num_threads"):
        if then[key] != now[key] and not _is_finished(config.out):
            warnings.warn(
                f"the run in {config.out} was begun with other {key} ({then[key]}, now "
                f"{now[key]}): its weights may differ in the last bits from an uninterrupted run",
                stacklevel=3,
            )


def _write_folder(config: TrainConfig, info: DatasetInfo, split: dict[str, np.ndarray]) -> None:
    """Make the run folder with what identifies the run, unless it is there."""
    if (config.out / "config.yaml").is_file():
        return
    # Moved into place as a whole: a run folder says what it is, or does not exist.
    draft = config.out.with_name(config.out.name + ".creating")
    shutil.rmtree(draft, ignore_errors=True)
    (draft / "checkpoints").mkdir(parents=True)
    (draft / "config.yaml").write_text(yaml.safe_dump(_resolved(config), sort_keys=False))
    _write_json(info.to_json(), draft / "data.json")
    _write_json(_provenance(), draft / "provenance.json")
    np.savez(draft / "split.npz", **split)  # type: ignore[arg-type]
    os.replace(draft, config.out)


def _resolved(config: TrainConfig) -> dict[str, Any]:
    paths = {"weights": config.weights, "data": None if config.streams else config.data}
    return to_dict(config) | {k: str(path.resolve()) for k, path in paths.items() if path}


def _provenance() -> dict[str, Any]:
    return provenance() | {"num_threads": torch.get_num_threads()}


def _is_finished(folder: Path) -> bool:
    # A released copy holds a model, and neither the last weights nor checkpoints.
    released = (folder / "model").is_dir() and not (folder / "checkpoints").is_dir()
    return (folder / "model_last").is_dir() or released


def _read_json(path: Path) -> Any:
    return json.loads(path.read_text())


def _write_json(content: Any, path: Path) -> None:
    path.write_text(json.dumps(content, indent=2) + "\n")


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
