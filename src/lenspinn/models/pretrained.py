"""Trained models on disk: weights as safetensors beside a config that says what they belong to."""

import json
import os
from importlib.metadata import version
from pathlib import Path
from typing import Any

import safetensors.torch
from huggingface_hub import snapshot_download
from safetensors import SafetensorError
from torch import Tensor

from lenspinn.errors import ModelError
from lenspinn.models.classifier import Classifier
from lenspinn.models.registry import create_model

SCHEMA_VERSION = 1
CONFIG_FILE = "config.json"
WEIGHTS_FILE = "model.safetensors"


def save_pretrained(model: Classifier, folder: str | Path) -> Path:
    """Write a model's weights and config; nothing in the files can execute.

    Parameters
    ----------
    model : a model made by `create_model` or a registered factory.
    folder : made if missing; a model already there is replaced.

    Returns
    -------
    Path
        The folder.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    config = {
        "schema": SCHEMA_VERSION,
        "lenspinn_version": version("lenspinn"),
        **model.config,
    }
    # safetensors refuses the strides of a channels-last model.
    weights = {name: value.contiguous() for name, value in model.state_dict().items()}
    (folder / f"{WEIGHTS_FILE}.part").write_bytes(safetensors.torch.save(weights))
    (folder / f"{CONFIG_FILE}.part").write_text(json.dumps(config, indent=2) + "\n")
    for name in (WEIGHTS_FILE, CONFIG_FILE):  # renamed when whole: a kill leaves no half file
        os.replace(folder / f"{name}.part", folder / name)
    return folder


def from_pretrained(folder: str | Path) -> Classifier:
    """Read a model written by `save_pretrained`.

    Parameters
    ----------
    folder : the model's folder, or the id (`owner/name`) of a model on the Hugging Face hub.

    Returns
    -------
    Classifier
        In evaluation mode.

    Raises
    ------
    ModelError
        There is no model, it was written by a newer lenspinn, it is damaged, or its name, its
        options or its weights are not those of a known model.
    """
    path = _locate(folder)
    config = _read_config(path / CONFIG_FILE)
    options = dict(config["options"])
    if "pretrained" in options:
        options["pretrained"] = False  # its own weights follow; the first ones are not needed
    model = create_model(config["name"], **options)
    model.config = {"name": config["name"], "options": config["options"]}
    _load_weights(model, path / WEIGHTS_FILE)
    return model.eval()


def load_weights(model: Classifier, folder: str | Path) -> None:
    """Give a model the weights of another with the same parts, whatever its other options are.

    Parameters
    ----------
    model : is changed.
    folder : as of `from_pretrained`.

    Raises
    ------
    ModelError
        There are no weights, they are damaged, or they do not fit the model.
    """
    _load_weights(model, _locate(folder) / WEIGHTS_FILE)


def _locate(folder: str | Path) -> Path:
    path = Path(folder)
    if path.is_dir():
        return path
    is_hub_id = isinstance(folder, str) and len(path.parts) == 2 and not path.is_absolute()
    if not is_hub_id:
        raise ModelError(f"there is no model folder '{folder}'")
    try:
        return Path(snapshot_download(str(folder), allow_patterns=[CONFIG_FILE, WEIGHTS_FILE]))
    except (OSError, ValueError) as error:
        raise ModelError(
            f"'{folder}' is no folder, and no model of this id could be had from the hub"
        ) from error


def _read_config(file: Path) -> dict[str, Any]:
    try:
        config = json.loads(file.read_text())
    except FileNotFoundError as error:
        raise ModelError(f"'{file.parent}' holds no model: {file.name} is missing") from error
    except ValueError as error:
        raise ModelError(f"'{file}' is not valid JSON") from error
    if not isinstance(config, dict) or not isinstance(config.get("schema"), int):
        raise ModelError(f"'{file}' is not the config of a lenspinn model")
    if config["schema"] > SCHEMA_VERSION:
        raise ModelError(
            f"'{file}' has schema {config['schema']} and was written by lenspinn "
            f"{config.get('lenspinn_version')}; this version reads up to schema {SCHEMA_VERSION}"
        )
    if not isinstance(config.get("name"), str) or not isinstance(config.get("options"), dict):
        raise ModelError(f"'{file}' does not say which model it belongs to and its options")
    return config


def _load_weights(model: Classifier, file: Path) -> None:
    try:
        weights: dict[str, Tensor] = safetensors.torch.load_file(file)
    except FileNotFoundError as error:
        raise ModelError(f"'{file.parent}' holds no weights: {file.name} is missing") from error
    except SafetensorError as error:
        raise ModelError(f"'{file}' is damaged or not a safetensors file") from error
    try:
        model.load_state_dict(weights)
    except RuntimeError as error:
        raise ModelError(
            f"the weights in '{file}' are not those of a {model.config['name']}"
        ) from error
