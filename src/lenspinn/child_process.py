"""Worker processes that end when the process that started them ends."""

import multiprocessing
import os
import threading

__all__ = ["end_with_parent"]

FAILED = 1
"""Exit status of a worker whose parent process has ended."""


def end_with_parent() -> None:
    """Make this process end when its parent process ends, even if the parent is killed.

    Without this call the processes of a pool would wait for work for ever.
    """
    threading.Thread(target=_wait_for_the_end, daemon=True).start()


def _wait_for_the_end() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(FAILED)
