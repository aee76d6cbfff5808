"""Trained networks by name: a folder, one that comes with lenspinn, or one on the Hugging Face hub.

Networks are found and listed without torch.
"""

import re
from pathlib import Path

from lenspinn.errors import ModelError

__all__ = ["find_trained", "is_name", "list_trained", "shipped_folder"]

_PACKAGE = Path(__file__).resolve().parents[1]
PACKAGED, IN_CHECKOUT = _PACKAGE / "trained", _PACKAGE.parents[1] / "models"
"""Folders of trained networks in an installed package, and in a checkout of its repository."""
WANTED = [
    *("config.json", "model.safetensors"),
    *("config.yaml", "data.json", "provenance.json", "metrics.csv", "split.npz", "manifest.json"),
    *("evaluation.json", "evaluation/evaluation.json", "model/*", "calibration/*"),
]
"""Files of a model and of a released run that are fetched from the hub, and no others."""
_NAME = re.compile(r"[A-Za-z0-9][\w.-]*(/[A-Za-z0-9][\w.-]*)?")


def shipped_folder() -> Path:
    """Folder of the trained networks that come with lenspinn."""
    return PACKAGED if PACKAGED.is_dir() else IN_CHECKOUT


def list_trained() -> list[str]:
    """Names of the trained networks that come with lenspinn, sorted."""
    return sorted(path.parents[1].name for path in shipped_folder().glob("*/model/config.json"))


def is_name(place: str | Path) -> bool:
    """Return whether a place is no folder, and can be the name of a trained network."""
    return not Path(place).is_dir() and _NAME.fullmatch(str(place)) is not None


def find_trained(place: str | Path) -> Path:
    """Folder of a trained network: of a run, of its released copy, or of its model alone.

    Parameters
    ----------
    place : a folder; else a name of `list_trained`; else the id (``owner/name``) of a repository on
        the Hugging Face hub, which is fetched into the cache of huggingface_hub, or found there.

    Raises
    ------
    ModelError
        There is no such network, or the hub cannot be reached.
    """
    if Path(place).is_dir():
        return Path(place)
    name = str(place)
    if name in list_trained():
        return shipped_folder() / name
    if not is_name(name):
        raise ModelError(f"there is no model folder '{place}': check the path")
    if "/" not in name:
        raise ModelError(
            f"there is no model folder '{name}', and no trained network of that name comes with "
            f"lenspinn (those that do: {', '.join(list_trained()) or 'none'}): check the name"
        )
    return _fetched(name)


def _fetched(name: str) -> Path:
    """Return the snapshot of a repository of the hub, fetched if it is not in the cache."""
    # Imported here: its import takes as long as all else that listing names needs.
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import LocalEntryNotFoundError

    beginning = f"there is no model folder '{name}', and no network of that id"
    try:
        return Path(snapshot_download(name, allow_patterns=WANTED))
    except LocalEntryNotFoundError as error:  # raised too where HF_HUB_OFFLINE is set
        raise ModelError(
            f"{beginning} in the cache of the Hugging Face hub, which cannot be reached: check the "
            "name, or try again online"
        ) from error
    except (OSError, ValueError) as error:
        raise ModelError(f"{beginning} can be had from the Hugging Face hub: check it") from error
