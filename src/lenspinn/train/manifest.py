"""Manifest: the hash of every file of a run folder that an answer depends on.

Training lists what it wrote; `lenspinn evaluate` and `lenspinn release` list the folder again.
While an evaluation replaces the calibration its files are not listed, so that a kill in between
leaves a run that is not trusted and can be evaluated again.
"""

import hashlib
import json
from pathlib import Path

from lenspinn.errors import ModelError
from lenspinn.files import read_json, write_whole
from lenspinn.regular_file import require_regular_file

__all__ = ["check_manifest", "write_manifest"]

MANIFEST = "manifest.json"
TRAINED = ("config.yaml", "data.json", "provenance.json", "metrics.csv", "split.npz", "model/*")
"""Patterns of the files of training that are listed."""
MEASURED = ("evaluation.json", "evaluation/evaluation.json", "calibration/*")
"""Patterns of the files of an evaluation that are listed."""
MOST_BYTES = 1 << 31
"""Largest file of a run, bytes; the weights of the largest network take a tenth of it."""
MOST_FILES = 64
"""Largest number of files in a run; runs of lenspinn hold about ten."""
_AGAIN = "copy the whole run folder again"
_BLOCK = 1 << 20


def write_manifest(folder: Path, *, measured: bool = True) -> Path:
    """Write the hash of each file of a run into its folder.

    Parameters
    ----------
    folder
        Folder of a finished run.
    measured
        Whether files of its evaluation are listed too; not while they are being replaced.
    """
    files = _files(folder, TRAINED + MEASURED if measured else TRAINED)
    content = {"schema": 1, "sha256": {name: _hash(folder / name) for name in files}}
    return write_whole(folder / MANIFEST, (json.dumps(content, indent=2) + "\n").encode())


def check_manifest(folder: Path) -> bool:
    """Return whether every file of a run is as it was when it was written.

    Returns
    -------
    bool
        False if the folder has no manifest, or files of a run or an evaluation that it does not
        list, which may therefore have been altered.

    Raises
    ------
    ModelError
        A file that is listed is missing or was altered, or the manifest is damaged.
    """
    listed = _listed(folder)
    if listed is None:
        return False
    for name, expected in listed.items():
        if not (folder / name).is_file():
            raise ModelError(f"{folder / name} is missing: {_AGAIN}")
        require_regular_file(
            folder / name, "part of a run", most_bytes=MOST_BYTES, error=ModelError, remedy=_AGAIN
        )
        if _hash(folder / name) != expected:
            raise ModelError(
                f"{folder / name} is not the file that the run wrote: copy the run folder again"
            )
    return set(_files(folder, TRAINED + MEASURED)) <= listed.keys()


def _listed(folder: Path) -> dict[str, str] | None:
    path = folder / MANIFEST
    if not path.exists():
        return None
    content = read_json(path, ModelError)
    try:
        listed = dict(content["sha256"])
        if len(listed) > MOST_FILES:
            raise ValueError("it lists more files than a run has")
        if any(Path(name).is_absolute() or ".." in Path(name).parts for name in listed):
            raise ValueError("it lists files outside of the folder")
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ModelError(f"{path} is damaged: copy the run folder again") from error
    return listed


def _files(folder: Path, patterns: tuple[str, ...]) -> list[str]:
    found = (path for pattern in patterns for path in folder.glob(pattern) if path.is_file())
    return sorted(
        path.relative_to(folder).as_posix() for path in found if not path.name.startswith(".")
    )


def _hash(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            digest.update(block)
    return digest.hexdigest()
