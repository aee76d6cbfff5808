"""Runs commands as a user would, and says what came of it: status, sentence, time, files."""

import contextlib
import io
import os
import resource
import signal
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import FrameType
from typing import NamedTuple

from lenspinn import cli

MOST_SECONDS = 10.0
"""That a command may take to refuse its input."""
MOST_BYTES = 2 * 10**9
"""Of memory that it may take for that."""


class Outcome(NamedTuple):
    """What came of one command."""

    status: int
    """Exit status; a command that takes longer than `MOST_SECONDS` ends with 1."""
    stderr: str
    seconds: float
    written: tuple[str, ...]
    """Files and folders that are new, or changed, relative to the folder."""
    grown: int
    """Bytes by which the process was larger at its peak than ever before."""

    @property
    def is_right(self) -> bool:
        """Whether the command did what it was asked, or refused it and left nothing behind."""
        if self.status == 0:
            return self.grown <= MOST_BYTES
        refused = self.status == 2 and self.is_one_sentence and not self.written
        return refused and self.grown <= MOST_BYTES

    @property
    def is_one_sentence(self) -> bool:
        """Whether stderr holds one line of text that begins as the program's messages do."""
        return self.stderr.startswith("lenspinn: ") and self.stderr.count("\n") == 1


def run_cli(words: Sequence[str], folder: Path) -> Outcome:
    """Run ``lenspinn`` with some words in a folder, in this process."""
    before, size = _files(folder), _peak_bytes()
    stderr = io.StringIO()
    began = time.perf_counter()
    with (
        contextlib.chdir(folder),
        contextlib.redirect_stdout(io.StringIO()),
        contextlib.redirect_stderr(stderr),
        _time_limit(),
    ):
        status = cli.main(list(words))
    seconds = time.perf_counter() - began
    after = _files(folder)
    written = sorted(name for name in after if after[name] != before.get(name))
    return Outcome(status, stderr.getvalue(), seconds, tuple(written), _peak_bytes() - size)


def _peak_bytes() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def _files(folder: Path) -> dict[str, tuple[int, int]]:
    """Return size and time of change of everything in a folder, by its name there."""
    found = {}
    for root, folders, files in os.walk(folder):
        for name in (*folders, *files):
            facts = os.lstat(os.path.join(root, name))
            size = 0 if name in folders else facts.st_size
            found[os.path.relpath(os.path.join(root, name), folder)] = (size, facts.st_mtime_ns)
    return found


@contextlib.contextmanager
def _time_limit() -> Iterator[None]:
    """Raise an error, which the command line calls a bug, where a command hangs."""

    def stop(signal_number: int, frame: FrameType | None) -> None:
        raise RuntimeError(f"the command took longer than {MOST_SECONDS:g} s")

    before = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, MOST_SECONDS)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
