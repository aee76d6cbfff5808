"""Processes that work for another one, and end with it."""

import multiprocessing
import os
import threading

__all__ = ["end_with_parent"]

FAILED = 1
"""Exit status."""


def end_with_parent() -> None:
    """Let this process end when that which it was started from does, even if that is killed.

    Without it, those of a process pool would wait for work for ever.
    """
    threading.Thread(target=_wait_for_the_end, daemon=True).start()


def _wait_for_the_end() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(FAILED)
