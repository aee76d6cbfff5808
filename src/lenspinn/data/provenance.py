"""Provenance of a dataset or a result: package versions, git commit and hardware."""

import functools
import os
import platform
import shlex
import subprocess
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import torch

from lenspinn.errors import DataError

PACKAGES = (
    "lenspinn",
    "torch",
    "numpy",
    "caustics",
    "lenstronomy",
    "timm",
    "lightning",
    "zarr",
)


@functools.cache
def provenance() -> dict[str, Any]:
    """Describe the software and hardware of this process.

    Dates are left out on purpose: two runs of the same work on the same machine must write the
    same bytes.

    Returns
    -------
    dict
        ``versions`` (package name -> version or None where not installed, and ``python``),
        ``git`` (``commit`` and ``dirty`` of the checkout lenspinn is imported from, or None
        outside a checkout) and ``hardware`` (``cpu``, ``cores``, ``gpu`` or None). JSON-able.
        The record is made once a process: treat it as read-only.
    """
    return {
        "versions": {"python": platform.python_version()}
        | {package: _version(package) for package in PACKAGES},
        "git": _git(Path(__file__).resolve().parents[1]),
        "hardware": {
            "cpu": _cpu_name(),
            "cores": os.cpu_count(),
            "gpu": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
        },
    }


def check_provenance(record: Any) -> dict[str, Any]:
    """Return a record that was read, if it is one that `provenance` could have written.

    Raises
    ------
    DataError
        If a part is missing or of another kind.
    """
    if isinstance(record, dict):
        versions, git, hardware = (record.get(key) for key in ("versions", "git", "hardware"))
        right = (
            isinstance(versions, dict)
            and all(isinstance(number, str | None) for number in versions.values())
            and isinstance(hardware, dict)
            and all(isinstance(hardware.get(key), str | None) for key in ("cpu", "gpu"))
            and "git" in record
        )
        if right and (git is None or _is_commit(git)):
            return record
    raise DataError("its provenance is damaged: copy the folder again")


def portable(content: Any) -> Any:
    """Return content with names in the place of this machine's paths, for others to read.

    Parameters
    ----------
    content
        Content that JSON can hold, and paths. A text that begins with ``/`` counts as a path.

    Returns
    -------
    The content with text for paths: inside the working folder the path from there on, elsewhere the
    last name; of a folder ``model``, which every run has, the last two. Relative paths stay.
    """
    if isinstance(content, dict):
        return {key: portable(value) for key, value in content.items()}
    if isinstance(content, list | tuple):
        return [portable(value) for value in content]
    if isinstance(content, Path):
        content = str(content)
    if not isinstance(content, str) or not content.startswith("/"):
        return content
    path, here = Path(os.path.normpath(content)), Path.cwd()
    if path != here and path.is_relative_to(here):
        return str(path.relative_to(here))
    return "/".join(path.parts[-2 if path.name == "model" else -1 :]).removeprefix("/")


def portable_command(command: str) -> str:
    """Return a command line without paths of this machine; see `portable`."""
    words = [word.partition("=") for word in shlex.split(command)]
    return shlex.join(portable(key) + equals + portable(value) for key, equals, value in words)


def _is_commit(git: Any) -> bool:
    return (
        isinstance(git, dict)
        and isinstance(git.get("commit"), str)
        and isinstance(git.get("dirty"), bool)
    )


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _git(package_folder: Path) -> dict[str, Any] | None:
    # Only changes inside the package count as dirty: a dataset written into the checkout by the
    # run itself does not change what the run computes.
    commit = _git_answer(package_folder, "rev-parse", "HEAD")
    tracked = _git_answer(package_folder, "ls-files", "--", "__init__.py")
    if commit is None or not tracked:
        return None
    return {"commit": commit, "dirty": bool(_git_answer(package_folder, "status", "-s", "--", "."))}


def _git_answer(folder: Path, *arguments: str) -> str | None:
    try:
        done = subprocess.run(
            ["git", "-C", str(folder), *arguments], capture_output=True, text=True, timeout=10
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None


def _cpu_name() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()
