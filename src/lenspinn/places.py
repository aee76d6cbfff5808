"""Checks of output folders before anything is written to them."""

from collections.abc import Sequence
from pathlib import Path

from lenspinn.errors import ConfigError
from lenspinn.plain_yaml import check_text

__all__ = ["check_output", "check_own"]


def check_output(path: Path, key: str) -> None:
    """Refuse a path at which no new folder can be made.

    Raises
    ------
    ConfigError
        If ``path`` has no name of its own, as ``.`` has none, is a file, or lies in one.
    """
    check_text(str(path), key)
    if path.name in ("", ".."):
        raise ConfigError(f"{key} is {str(path)!r}, which is no name: give that of a new folder")
    for place in (path, *path.parents):
        if place.exists() and not place.is_dir():
            raise ConfigError(f"{key} is {path}, but {place} is a file: give another folder")


def check_own(folder: Path, key: str, *, mark: str, replaced: Sequence[str]) -> None:
    """Refuse a folder whose files would be replaced though they come from somewhere else.

    Parameters
    ----------
    folder
    key
        Key of the folder in the configuration, for the message.
    mark
        Name of a file that marks a folder as written by this command.
    replaced
        Names of the files that would be written.

    Raises
    ------
    ConfigError
        If the folder has one of these files but no ``mark``.
    """
    if (folder / mark).exists():
        return
    for name in replaced:
        if (folder / name).exists():
            raise ConfigError(
                f"{key} is {folder}, whose {name} was not written here and would be lost: give "
                "another folder"
            )
