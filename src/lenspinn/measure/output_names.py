"""Names of the files that are written about images, so that none replaces that of another image."""

import json
import os
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from lenspinn.errors import DataError

__all__ = ["FORMER_COMMANDS", "origin_of", "output_names", "unique_names"]

ORIGIN = "origin"
"""Key of a JSON file under which its origin is stored."""
WRITTEN = (".json", ".png", ".csv")
"""Suffixes of files that are written about an image or a dataset."""
FORMER_COMMANDS = {"fit": "measure"}
"""Former names of commands, which are accepted for one release and in files, and today's names."""
MOST_BYTES = 10_000_000
"""Largest JSON file that is read, bytes: no result is that long."""


def origin_of(command: str, path: Path, out: Path) -> dict[str, str]:
    """Return the origin of a JSON file in `out`, which does not depend on the working directory.

    Parameters
    ----------
    command
        Command that writes the file.
    path
        Path of the image from the working directory; in the result it is relative to `out`.
    out
        Folder of the JSON file.
    """
    return {
        "command": command,
        "path": os.path.relpath(os.path.realpath(path), os.path.realpath(out)),
    }


def output_names(
    paths: Sequence[Path], out: Path, command: str, suffixes: Sequence[str] = WRITTEN
) -> list[str]:
    """Name each image for the files that are written about it into a folder.

    Parameters
    ----------
    paths
        Paths of the images, all different.
    out
        Folder, which may hold files of other images already, or be missing.
    command
        Command that writes the files; its JSON files hold `origin_of` as ``origin``.
    suffixes
        Suffixes of the files, one of which is ``.json``.

    Returns
    -------
    list of str
        Names from `unique_names`, with the names of more folders in front where `out` holds files
        of that name about another image or by another command. Files of the same image and command
        are replaced; the image itself never is.

    Raises
    ------
    DataError
        If `out` is not a folder, or no name is free.
    """
    if out.exists() and not out.is_dir():
        raise DataError(f"{out} is a file; name a folder by out")
    longest = max((len(path.absolute().parts) for path in paths), default=1)
    for depth in range(1, longest + 1):
        names = unique_names(paths, depth)
        if all(_is_free(n, p, out, command, suffixes) for n, p in zip(names, paths, strict=True)):
            return names
    taken = next(
        n for n, p in zip(names, paths, strict=True) if not _is_free(n, p, out, command, suffixes)
    )
    raise DataError(f"{out} holds files of another image named {taken}; name another folder by out")


def unique_names(paths: Sequence[Path], depth: int = 1) -> list[str]:
    """Name each path by its last parts, as many as make all names different.

    Parameters
    ----------
    paths
        Paths, all different.
    depth
        Least number of parts.

    Returns
    -------
    list of str
        Parts joined by ``_``, without the suffix. ``x/data.fits`` and ``y/data.fits`` become
        ``x_data`` and ``y_data``.
    """
    stems = [[*path.absolute().parts[1:-1], _stem(path)] for path in paths]
    while depth < max(map(len, stems), default=1):
        if len({"_".join(stem[-depth:]) for stem in stems}) == len(stems):
            break
        depth += 1
    names = ["_".join(stem[-depth:]) for stem in stems]
    # Same place and stem, other suffix: the suffix is all that tells them apart.
    count = Counter(names)
    return [
        name if count[name] == 1 else name + "_" + path.suffix.lstrip(".")
        for name, path in zip(names, paths, strict=True)
    ]


def _stem(path: Path) -> str:
    return Path(path.name.removesuffix(".gz")).stem


def _is_free(name: str, path: Path, out: Path, command: str, suffixes: Sequence[str]) -> bool:
    there = [file for suffix in suffixes if (file := out / f"{name}{suffix}").exists()]
    if any(path.exists() and file.samefile(path) for file in there):
        return False
    return not there or _origin_in(out / f"{name}.json") == origin_of(command, path, out)


def _origin_in(record: Path) -> object:
    """Return the origin that a JSON file holds; None if `lenspinn` did not write it."""
    try:
        if not record.is_file() or record.stat().st_size > MOST_BYTES:
            return None
        content = json.loads(record.read_bytes())
    except (OSError, ValueError, RecursionError):
        return None
    origin = content.get(ORIGIN) if isinstance(content, dict) else None
    if isinstance(origin, dict) and origin.get("command") in FORMER_COMMANDS:
        origin["command"] = FORMER_COMMANDS[origin["command"]]
    return origin
