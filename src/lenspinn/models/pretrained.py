"""Trained models on disk: weights as safetensors beside the config of their model."""

import json
import warnings
from collections.abc import Iterable, Mapping
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from safetensors import safe_open
from torch import Tensor

from lenspinn.device import best_device
from lenspinn.errors import LenspinnError, ModelError
from lenspinn.files import read_json, write_whole
from lenspinn.models.classifier import Classifier
from lenspinn.models.registry import create_model
from lenspinn.models.trained import find_trained

SCHEMA_VERSION = 1
CONFIG_FILE = "config.json"
WEIGHTS_FILE = "model.safetensors"
_AGAIN = "copy the folder again"


def save_pretrained(model: Classifier, folder: str | Path) -> Path:
    """Write a model's weights and config; the files hold no code that could run.

    Parameters
    ----------
    model : a model made by `create_model` or a registered factory.
    folder : made if missing; a model already there is replaced.

    Returns
    -------
    Path
        The folder.

    Raises
    ------
    ModelError
        The model was made in another way.
    """
    if not hasattr(model, "config"):
        raise ModelError(
            f"{type(model).__name__} cannot be saved, for nothing says how it was made: return it "
            "from a function with @lenspinn.register_model, and call that"
        )
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    config = {
        "schema": SCHEMA_VERSION,
        "lenspinn_version": version("lenspinn"),
        **model.config,
    }
    # safetensors refuses the strides of a channels-last model.
    weights = {name: value.contiguous() for name, value in model.state_dict().items()}
    write_whole(folder / WEIGHTS_FILE, safetensors.torch.save(weights))
    write_whole(folder / CONFIG_FILE, (json.dumps(config, indent=2) + "\n").encode())
    return folder


def from_pretrained(folder: str | Path) -> Classifier:
    """Read a model written by `save_pretrained`.

    Parameters
    ----------
    folder : folder of the model or of a run that holds it, or the name of a trained network that
        comes with lenspinn (`lenspinn models` lists them), or the id (`owner/name`) of a repository
        on the Hugging Face hub.

    Returns
    -------
    Classifier
        The model, in evaluation mode.

    Raises
    ------
    ModelError
        There is no model, it was written by a newer lenspinn, it is damaged, or its name, its
        options or its weights are not those of a known model.
    """
    path = _locate(folder)
    config = _read_config(path / CONFIG_FILE)
    model = _create(config, path / CONFIG_FILE)
    model.config = {"name": config["name"], "options": config["options"]}
    model.load_state_dict(_read_weights(path / WEIGHTS_FILE, model, model.state_dict()))
    return model.eval()


@cache
def loaded_once(folder: Path) -> Classifier:
    """Read a model for a process that works on many images, once.

    Parameters
    ----------
    folder
        See `from_pretrained`.

    Returns
    -------
    Classifier
        The model in evaluation mode, on the GPU if there is one; the same object each time.
    """
    return from_pretrained(folder).to(best_device()).eval()


def load_weights(model: Classifier, folder: str | Path) -> None:
    """Give a model the weights of another with the same layers, whatever its other options are.

    If the other model has other classes, the weights that belong to single classes, such as the
    last layer, stay as they are in ``model``; a warning names them.

    Parameters
    ----------
    model : model that is changed.
    folder : see `from_pretrained`.

    Raises
    ------
    ModelError
        There are no weights, they are damaged, or they do not fit the model.
    """
    path = _locate(folder)
    config = _read_config(path / CONFIG_FILE)
    own, name = model.config["name"], config["name"]
    if name != own:
        raise ModelError(
            f"the weights in '{path}' are not those of a {own} but of a {name}: train a {name} "
            "with them, or give those of another folder"
        )
    classes = config["options"].get("classes")
    wanted = model.state_dict()
    if isinstance(classes, list) and classes != list(model.classes):
        fresh = _of_single_classes(model)
        warnings.warn(
            f"the weights in '{path}' tell {', '.join(map(str, classes))} apart and this network "
            f"{', '.join(model.classes)}: {', '.join(fresh)} begin anew, all others were taken",
            stacklevel=2,
        )
        wanted = {name: value for name, value in wanted.items() if name not in fresh}
    weights = _read_weights(path / WEIGHTS_FILE, model, wanted)
    model.load_state_dict(weights, strict=len(wanted) == len(model.state_dict()))


def _create(config: Mapping[str, Any], file: Path) -> Classifier:
    """Make the model that a config describes, with random weights."""
    options = dict(config["options"])
    if "pretrained" in options:
        options["pretrained"] = False  # its own weights follow; the first ones are not needed
    try:
        return create_model(config["name"], **options)
    except LenspinnError as error:
        raise ModelError(f"'{file}' describes no model that can be made: {error}") from error
    except Exception as error:  # factories refuse foreign options in their own ways
        raise ModelError(
            f"'{file}' describes no model that can be made ({type(error).__name__}: "
            f"{' '.join(str(error).split())[:200]}): copy the folder again"
        ) from error


def _of_single_classes(model: Classifier) -> list[str]:
    """Return the names of the weights whose shape depends on the number of classes."""
    options = dict(model.config["options"])
    options["classes"] = [*model.classes, "one more class"]
    if "pretrained" in options:
        options["pretrained"] = False
    with torch.random.fork_rng(devices=[]):
        larger = create_model(model.config["name"], **options).state_dict()
    return [n for n, value in model.state_dict().items() if larger[n].shape != value.shape]


def read_options(folder: str | Path) -> tuple[str, dict[str, Any]]:
    """Return the name of a saved model and the options that it was made with.

    Parameters
    ----------
    folder : see `from_pretrained`.

    Raises
    ------
    ModelError
        There is no model, or its config is damaged.
    """
    config = _read_config(_locate(folder) / CONFIG_FILE)
    return config["name"], config["options"]


def _locate(folder: str | Path) -> Path:
    path = find_trained(folder)
    inner = path / "model"  # where a run keeps its model
    return inner if (inner / CONFIG_FILE).is_file() and not (path / CONFIG_FILE).exists() else path


def _read_config(file: Path) -> dict[str, Any]:
    if not file.exists():
        raise ModelError(f"'{file.parent}' holds no model: {file.name} is missing; {_AGAIN}")
    config = read_json(file, ModelError)
    if type(config.get("schema")) is not int:
        raise ModelError(f"'{file}' is not the config of a lenspinn model: {_AGAIN}")
    if config["schema"] > SCHEMA_VERSION:
        raise ModelError(
            f"'{file}' has schema {config['schema']} and was written by lenspinn "
            f"{config.get('lenspinn_version')}; this version reads up to schema {SCHEMA_VERSION}: "
            "install that one"
        )
    if "import" in config or "import" in (config.get("options") or {}):
        raise ModelError(
            f"'{file}' names a file to import, which a model folder must not: give that file on "
            "the command line, as --import FILE.py, if it is yours"
        )
    if not isinstance(config.get("name"), str) or not isinstance(config.get("options"), dict):
        raise ModelError(
            f"'{file}' does not say which model it belongs to and its options: {_AGAIN}"
        )
    return config


def _read_weights(file: Path, model: Classifier, wanted: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Read the weights that a model wants, after a check of the shapes that the file declares."""
    if not file.is_file():
        raise ModelError(f"'{file.parent}' holds no weights: {file.name} is missing; {_AGAIN}")
    try:
        with safe_open(file, framework="pt") as content:
            shapes = {name: content.get_slice(name).get_shape() for name in content.keys()}  # noqa: SIM118
            _check_shapes(file, model, wanted, shapes)
            weights = {name: content.get_tensor(name) for name in wanted}
    except LenspinnError:
        raise
    except Exception as error:  # safetensors has no one error for files that it cannot read
        raise ModelError(
            f"'{file}' is damaged or not a safetensors file: copy its folder again"
        ) from error
    for name, value in weights.items():
        if value.is_floating_point() != wanted[name].is_floating_point() or value.is_complex():
            raise ModelError(f"'{file}' holds {name} as {value.dtype}: copy its folder again")
        if value.is_floating_point() and not value.float().isfinite().all():
            raise ModelError(
                f"'{file}' holds weights that are NaN or infinite ({name}): a network with them "
                "knows nothing; take those of another run"
            )
    return weights


def _check_shapes(
    file: Path,
    model: Classifier,
    wanted: Mapping[str, Tensor],
    found: Mapping[str, Iterable[int]],
) -> None:
    """Refuse weights of another model, and say which differs and how."""
    name = model.config["name"]
    beginning = f"the weights in '{file}' are not those of a {name} with these options: "
    end = f"; give the folder of such a {name}"
    for key, value in wanted.items():
        if key not in found:
            raise ModelError(f"{beginning}{key} is missing{end}")
        if tuple(found[key]) != tuple(value.shape):
            raise ModelError(
                f"{beginning}{key} is {tuple(found[key])} there and {tuple(value.shape)} here{end}"
            )
    unknown = sorted(found.keys() - model.state_dict().keys())
    if unknown:
        raise ModelError(f"{beginning}it has no {unknown[0]}{end}")
