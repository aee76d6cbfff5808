"""One process at a time writes a dataset."""

import fcntl
import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from lenspinn.data.store import StoreWriter
from lenspinn.errors import StoreError

__all__ = ["exclusive_writer"]


@contextmanager
def exclusive_writer(path: Path, opened: Callable[[], StoreWriter]) -> Iterator[StoreWriter]:
    """Hold a dataset for this process while it is written.

    Folders are locked, so that nothing is left behind however the process ends: the one around it
    while the dataset is made, so that two processes do not make it both, then its own.

    Parameters
    ----------
    path
        Folder of the dataset.
    opened
        Makes or opens it.

    Raises
    ------
    StoreError
        If another process writes it.
    """
    around = next(folder for folder in path.absolute().parents if folder.is_dir())
    with ExitStack() as held:
        with ExitStack() as briefly:
            _lock(around, briefly, wait=True)
            if path.is_dir():
                _hold(path, held)
                writer = opened()
            else:
                writer = opened()
                _hold(path, held)
        yield writer


def _hold(path: Path, held: ExitStack) -> None:
    if not _lock(path, held, wait=False):
        raise StoreError(
            f"another process is writing {path}: wait until it has ended, or give another --out"
        )


def _lock(folder: Path, held: ExitStack, *, wait: bool) -> bool:
    """Lock a folder until ``held`` is closed; return whether no other process has it."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    held.callback(os.close, descriptor)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
    except BlockingIOError:
        return False
    except OSError:
        return True  # of a file system without locks
    return True
