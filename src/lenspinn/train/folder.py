"""Files of a run folder: written as a whole, and checked on reading, as anybody may edit them.

``config.yaml`` names the dataset and the first weights relative to the run folder, so that a run
and its dataset may be moved together and no path of a machine is in it. Beside the checkpoints,
which nobody gives away, a file remembers the place of the dataset for a run moved without it.
"""

import json
import os
import secrets
import shutil
import warnings
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import torch
import yaml

from lenspinn.config import dotted, parse_config, to_dict
from lenspinn.data.info import DatasetInfo
from lenspinn.data.provenance import check_provenance, portable, provenance
from lenspinn.errors import ConfigError, DataError
from lenspinn.files import draft_folder, read_json, read_text, write_whole
from lenspinn.models import is_name
from lenspinn.train.config import TrainConfig

CONFIG = "config.yaml"
DATA = "data.json"
PROVENANCE = "provenance.json"
SPLIT = "split.npz"
LOCAL = Path("checkpoints", "data_path.txt")
"""File with the place of the dataset on this machine, for a run that is copied without it; never
released."""
PARTS = ("train", "validation", "test")

_AGAIN = "copy the run folder again"
_ROW_BYTES = 8
_OTHER_BYTES = 10_000
"""Largest size of a file of rows besides its rows, bytes."""
_LAST_KEY = "checkpoint_every_steps"
"""Last key of every configuration ever written: a file without it was cut short."""
_CHANGES_NOTHING = (
    "out",
    "num_workers",
    "devices",
    "num_nodes",
    "strategy",
    "checkpoint_every_steps",
)
"""Settings that may differ when a run goes on."""
_DIFFERENCES = {
    "versions": "in the last bits from",
    "num_threads": "in the last bits from",
    "processes": "in the last bits, and with dropout or streamed images in more, from",
}
"""Effect on the weights if these facts differ when a run goes on, in words."""


def is_finished(folder: Path) -> bool:
    """Return whether a folder holds the end of a training, or a released copy."""
    # A released copy holds a model, and neither the last weights nor checkpoints.
    released = (folder / "model").is_dir() and not (folder / "checkpoints").is_dir()
    return (folder / "model_last").is_dir() or released


def write_folder(config: TrainConfig, info: DatasetInfo, split: dict[str, np.ndarray]) -> None:
    """Make the run folder with what identifies the run, unless it is there."""
    if (config.out / CONFIG).is_file():
        return
    with draft_folder(config.out) as draft:
        (draft / LOCAL).parent.mkdir()
        (draft / LOCAL).write_text(os.path.realpath(config.data))
        (draft / CONFIG).write_text(config_text(config))
        _write_json(info.to_json(), draft / DATA)
        _write_json(run_provenance(), draft / PROVENANCE)
        np.savez(draft / SPLIT, **split)  # type: ignore[arg-type]


def config_text(config: TrainConfig) -> str:
    """Return the content of ``config.yaml``."""
    return yaml.safe_dump(_settings(config), sort_keys=False)


def read_config(folder: Path) -> TrainConfig:
    """Read the configuration of a run; its paths are those that hold here and now.

    Raises
    ------
    ConfigError
        The file is missing, cut short or not that of a run.
    """
    path = folder / CONFIG
    text = read_text(path, ConfigError)
    if not text.endswith("\n") or f"\n{_LAST_KEY}:" not in text:
        raise ConfigError(f"{path} is cut short: copy the run folder again")
    config = parse_config(TrainConfig, [str(path)])
    values = {field: getattr(config, field) for field in TrainConfig.__dataclass_fields__}
    if not config.streams:
        values["data"] = _seen_from(folder, config.data)
    if config.weights is not None:
        place = _seen_from(folder, config.weights)
        values["weights"] = (
            place if place.is_dir() or not is_name(config.weights) else config.weights
        )
    local = folder / LOCAL
    if not (config.streams or values["data"].exists()) and local.is_file():
        values["data"] = Path(read_text(local, ConfigError))
    return TrainConfig(**values | {"out": folder})


def named_settings(config: TrainConfig) -> dict[str, Any]:
    """Return the settings of a run as others may read them: names in the place of paths."""
    settings: dict[str, Any] = portable(to_dict(config))
    for key in ("data", "weights"):
        if settings[key] is not None and not (key == "weights" and is_name(settings[key])):
            settings[key] = _last_names(settings[key])
    return settings


def check_folder(config: TrainConfig, info: DatasetInfo) -> None:
    """Refuse a run folder that holds anything but this run; warn if exact resume is in doubt.

    More epochs than the run was begun with are this run too where its learning rate does not
    depend on their number.

    Raises
    ------
    ConfigError
        A setting differs; the sentence names it.
    """
    folder = config.out
    if not folder.exists() or (folder.is_dir() and not any(folder.iterdir())):
        return
    if not (folder / CONFIG).is_file():
        raise ConfigError(f"{folder} holds something else than a run: give another folder")
    # Parsed, so that a setting which is younger than the run has its default value.
    first = read_config(folder)
    begun, asked = (dotted(named_settings(each)) for each in (first, config))
    for key in sorted((begun.keys() | asked.keys()) - set(_CHANGES_NOTHING)):
        if begun.get(key) == asked.get(key) or (key == "epochs" and _may_go_on(config, begun)):
            continue
        raise ConfigError(
            f"{folder} holds a run with {key} {begun.get(key)}, not {asked.get(key)}"
            f"{_why_not_longer(config, begun) if key == 'epochs' else ''}: "
            "give another folder, or delete it"
        )
    if read_info(folder) != info:
        raise ConfigError(
            f"{folder} holds a run begun on another dataset than {config.data} is now: "
            "give another folder, or delete it"
        )
    then = read_provenance(folder) | {"processes": first.num_processes}
    now = run_provenance() | {"processes": config.num_processes}
    for key, difference in _DIFFERENCES.items():
        if then.get(key) != now[key] and not is_finished(folder):
            warnings.warn(
                f"the run in {folder} was begun with other {key} ({then.get(key)}, now "
                f"{now[key]}): its weights may differ {difference} an uninterrupted run",
                stacklevel=3,
            )


def go_on_longer(config: TrainConfig) -> None:
    """Give a run that `check_folder` let through the epochs that are asked for, if it has fewer."""
    if read_config(config.out).epochs == config.epochs:
        return
    last = config.out / "model_last"
    if last.is_dir():  # the checkpoint holds those weights too
        unfinished = last.with_name(f".{secrets.token_hex(8)}.old")
        os.replace(last, unfinished)
        shutil.rmtree(unfinished)
    write_whole(config.out / CONFIG, config_text(config).encode())


def read_info(folder: Path) -> DatasetInfo:
    """Read the description of a run's dataset.

    Raises
    ------
    DataError
        If the file is missing or damaged.
    """
    record = read_json(folder / DATA)
    try:
        return DatasetInfo.from_json(record)
    except DataError as error:
        raise DataError(f"{folder / DATA} cannot be used: {error}; {_AGAIN}") from error


def read_provenance(folder: Path) -> dict[str, Any]:
    """Read the software and hardware that made a run.

    Raises
    ------
    DataError
        If the file is missing or damaged.
    """
    record = read_json(folder / PROVENANCE)
    try:
        return check_provenance(record)
    except DataError as error:
        raise DataError(f"{folder / PROVENANCE} cannot be used: {error}; {_AGAIN}") from error


def read_split(folder: Path, num_images: int) -> dict[str, np.ndarray]:
    """Read the numbers of the images that trained, validated and tested a run.

    Parameters
    ----------
    folder
        Folder of the run.
    num_images
        Number of images of the dataset, which no row may exceed.

    Returns
    -------
    dict of (n_part,) int64

    Raises
    ------
    DataError
        If the file is missing or damaged.
    """
    path = folder / SPLIT
    if not path.is_file():
        raise DataError(f"{path} is missing or not a regular file: copy the run folder again")
    try:
        if path.stat().st_size > _ROW_BYTES * num_images + _OTHER_BYTES:
            raise ValueError("it is larger than the rows of all images")
        with zipfile.ZipFile(path) as archive:
            parts = {part: _rows(archive, f"{part}.npy", num_images) for part in PARTS}
        part_of = np.zeros(num_images, dtype=np.int8)
        for rows in parts.values():
            np.add.at(part_of, rows, 1)
        if (part_of > 1).any():
            raise ValueError("an image is in two parts")
    except Exception as error:  # whatever zip files and arrays that are damaged lead to
        raise DataError(
            f"{path} does not say which images trained, validated and tested the run "
            f"({' '.join(str(error).split())[:100]}): copy the run folder again"
        ) from error
    return parts


def run_provenance() -> dict[str, Any]:
    """Return the facts that a training depends on: `provenance` and the threads of torch."""
    return provenance() | {"num_threads": torch.get_num_threads()}


def _rows(archive: zipfile.ZipFile, name: str, num_images: int) -> np.ndarray:
    """Read one array of a zip file, after a look at what it declares."""
    with archive.open(name) as file:
        if np.lib.format.read_magic(file) != (1, 0):
            raise ValueError(f"{name} is not an array of numpy")
        shape, _, dtype = np.lib.format.read_array_header_1_0(file)
        if dtype != np.dtype("<i8") or len(shape) != 1 or not 0 <= shape[0] <= num_images:
            raise ValueError(f"{name} holds no row numbers")
        rows = np.frombuffer(file.read(_ROW_BYTES * shape[0]), dtype=np.int64).copy()
    if len(rows) != shape[0] or (len(rows) and not 0 <= rows.min() <= rows.max() < num_images):
        raise ValueError(f"{name} is cut short, or has rows that the dataset does not have")
    return rows


def _settings(config: TrainConfig) -> dict[str, Any]:
    """Return the settings as written to disk: paths relative to the run folder."""
    here = os.path.realpath(config.out)
    paths = {} if config.streams else {"data": config.data}
    if config.weights is not None and not is_name(config.weights):
        paths["weights"] = config.weights
    relative = {key: os.path.relpath(os.path.realpath(path), here) for key, path in paths.items()}
    return to_dict(config) | relative | {"out": "."}


def _seen_from(folder: Path, path: Path) -> Path:
    """Return the absolute path of one that is relative to a run folder."""
    return Path(os.path.normpath(Path(os.path.realpath(folder)) / path))


def _last_names(path: str) -> str:
    """Return the last name of a path, or the last two of a folder ``model``."""
    parts = Path(path).parts
    return "/".join(parts[-2 if parts[-1:] == ("model",) else -1 :])


def _may_go_on(config: TrainConfig, begun: dict[str, Any]) -> bool:
    return config.epochs > begun["epochs"] and not _why_not_longer(config, begun)


def _why_not_longer(config: TrainConfig, begun: dict[str, Any]) -> str:
    """Return why a run cannot go on for more epochs as if it had never stopped, if so."""
    if config.epochs < begun["epochs"]:
        return ""
    if config.schedule != "constant":
        return f", and its learning rate ({config.schedule}) was planned for those"
    if not (config.out / "checkpoints" / "last.ckpt").is_file():
        return ", and no checkpoint to go on from"
    if any((config.out / name).exists() for name in ("evaluation", "calibration")):
        return ", and was evaluated after those"
    return ""


def _write_json(content: Any, path: Path) -> None:
    path.write_text(json.dumps(content, indent=2) + "\n")
