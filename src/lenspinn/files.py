"""Files and folders that are written whole or not at all, even if the process is killed.

A draft, that is a file or folder that is not whole yet, has a name that no other program gives: a
dot, 16 random hexadecimal digits and `MARKER`. A draft folder also holds a file `MARKER`, which
names the folder to be and is locked as long as its writer lives. Only such drafts are ever deleted.
"""

import errno
import fcntl
import json
import os
import re
import secrets
import shutil
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from lenspinn.errors import ConfigError, DataError, LenspinnError
from lenspinn.regular_file import require_regular_file

__all__ = ["FolderLock", "clear_drafts", "draft_folder", "read_json", "read_text", "write_whole"]

MARKER = ".lenspinn_draft"
"""End of the names of drafts; and the file inside of a draft folder, with its name to be."""
_DRAFT_NAME = re.compile(rf"\.[0-9a-f]{{16}}{re.escape(MARKER)}")
MAX_TEXT_BYTES = 1 << 24
"""Largest text file that is read, bytes; the largest of lenspinn's own have some 100 kB."""


def write_whole(path: Path, content: bytes, *, durable: bool = False) -> Path:
    """Write a file beside its place, then move it there.

    Two processes that write the same file at once both succeed, and one of the contents stays.

    Parameters
    ----------
    path
        Path of the file, in an existing folder; an existing file is replaced.
    content
        Whole content of the file.
    durable
        Whether the content is on the disk when the function returns, to survive a power cut.

    Returns
    -------
    Path
        The file.
    """
    part = path.with_name(_draft_name())
    try:
        part.write_bytes(content)
        if durable:
            with part.open("rb") as file:
                os.fsync(file.fileno())
        os.replace(part, path)
    except BaseException:
        part.unlink(missing_ok=True)
        raise
    return path


def clear_drafts(folder: Path) -> None:
    """Remove the drafts that a process killed in `write_whole` left in a folder.

    Parameters
    ----------
    folder
        Folder that no other process writes to; see `FolderLock`.
    """
    for path in folder.glob(f".*{MARKER}"):
        if _DRAFT_NAME.fullmatch(path.name) and path.is_file() and not path.is_symlink():
            path.unlink()


@contextmanager
def draft_folder(out: Path) -> Iterator[Path]:
    """Make a folder beside its place, and move it there as a whole at the end of the block.

    If the block raises, the draft is removed and ``out`` is as it was. Drafts of the same folder
    whose process was killed are removed first.

    Parameters
    ----------
    out
        Path that does not exist, or is an empty folder; folders above it are made.

    Yields
    ------
    Path
        The draft, an existing folder.

    Raises
    ------
    ConfigError
        If ``out`` is the folder that the process works in.
    FileExistsError
        If something stands at ``out`` at the end, as when another process was faster.
    """
    out = Path(os.path.realpath(out))  # where a link leads: a link itself cannot be replaced
    if Path.cwd().is_relative_to(out):
        raise ConfigError(f"{out} is the folder you work in: give the name of a new folder")
    out.parent.mkdir(parents=True, exist_ok=True)
    _remove_stale_drafts(out)
    draft = out.with_name(_draft_name())
    draft.mkdir()
    marker = draft / MARKER
    try:
        with marker.open("x") as file:
            if _lock(file.fileno()):  # before the name is written: named and unlocked means stale
                file.write(out.name)
                file.flush()
            yield draft
            marker.unlink()
            _move(draft, out)
    except BaseException:
        shutil.rmtree(draft, ignore_errors=True)
        raise


class FolderLock:
    """Lock on a folder that this process alone writes to.

    The lock holds until `release`, or until nothing refers to it. The system releases it when the
    process ends, however it ends; nothing is left on disk. On file systems without locks every
    process gets the lock.

    Parameters
    ----------
    folder
        Existing folder.

    Raises
    ------
    DataError
        If another process holds the lock.
    """

    release: Callable[[], object]
    """Function that releases the lock; a second call does nothing."""

    def __init__(self, folder: Path) -> None:
        descriptor = os.open(folder, os.O_RDONLY)
        self.release = weakref.finalize(self, os.close, descriptor)
        try:
            _lock(descriptor)
        except BlockingIOError:
            self.release()
            raise DataError(
                f"{folder} is being written by another process: wait until that has ended, then "
                "give the same command again"
            ) from None

    def __enter__(self) -> None:
        """Hold the lock for a block."""

    def __exit__(self, *_: object) -> None:
        """Release the lock."""
        self.release()


def read_text(path: Path, error: type[LenspinnError] = DataError) -> str:
    """Read a small text file, which may come from a stranger.

    Raises
    ------
    LenspinnError
        Of the class ``error``, if the file is missing, no regular file, too large or not UTF-8.
    """
    remedy = "copy the whole folder again"
    require_regular_file(path, "text", most_bytes=MAX_TEXT_BYTES, error=error, remedy=remedy)
    try:
        return path.read_bytes().decode()
    except (OSError, UnicodeDecodeError) as problem:
        reason = getattr(problem, "strerror", None) or "it is not text in UTF-8"
        raise error(f"{path} cannot be read ({reason}): copy its folder again") from problem


def read_json(path: Path, error: type[LenspinnError] = DataError) -> dict[str, Any]:
    """Read a small JSON file that holds an object, and which may come from a stranger.

    Raises
    ------
    LenspinnError
        Of the class ``error``, as `read_text`, or if the content is not JSON or no object.
    """
    text = read_text(path, error)
    try:
        content = json.loads(text)
    except (ValueError, RecursionError) as problem:
        raise error(f"{path} is not valid JSON: copy its folder again") from problem
    if not isinstance(content, dict):
        raise error(
            f"{path} must hold a JSON object, not {type(content).__name__}: copy its folder again"
        )
    return content


def _draft_name() -> str:
    return f".{secrets.token_hex(8)}{MARKER}"


def _move(draft: Path, out: Path) -> None:
    try:
        os.rename(draft, out)
    except OSError as error:
        if error.errno not in (errno.ENOTEMPTY, errno.EEXIST, errno.ENOTDIR):
            raise
        raise FileExistsError(
            f"{out} was made by another process meanwhile: wait until that has ended, then give "
            "the same command again"
        ) from error


def _remove_stale_drafts(out: Path) -> None:
    for draft in out.parent.glob(f".*{MARKER}"):
        marker = draft / MARKER
        ours = _DRAFT_NAME.fullmatch(draft.name) and marker.is_file()
        if not ours or draft.is_symlink() or marker.is_symlink():
            continue
        # Whatever cannot be opened, locked or read is left alone: it is not surely ours.
        with suppress(OSError, UnicodeDecodeError), marker.open("r+") as file:
            if file.read(len(out.name) + 1) == out.name and _lock(file.fileno()):
                shutil.rmtree(draft, ignore_errors=True)


def _lock(descriptor: int) -> bool:
    """Lock an open file or folder, or raise BlockingIOError; False where there are no locks."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise
    except OSError:
        return False
    return True
