"""One cell in a process of its own: trained, measured and written, whatever happens to others."""

import contextlib
import fcntl
import os
import sys
import traceback
from pathlib import Path

import torch

from lenspinn.benchmark.cell import measure_cell, write_cell
from lenspinn.benchmark.grid import Cell
from lenspinn.child_process import end_with_parent
from lenspinn.errors import LenspinnError
from lenspinn.workflow import train

FAILED, REFUSED, BUSY = 1, 2, 3
"""Exit statuses: a bug, bad input, and a cell that another process works on."""


def log_path(cell: Cell) -> Path:
    """Return the file for the output of a cell's process."""
    return cell.config.out.with_name(f"{cell.config.out.name}.log")


def run_cell(cell: Cell) -> None:
    """Train and measure one cell, with one CPU thread, on the GPU if there is one.

    Meant to be the whole life of a process: it ends with the process it was started from (what it
    has trained stays), takes over the standard streams, and exits with a status.
    """
    end_with_parent()
    torch.set_num_threads(1)
    log = log_path(cell)
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("a") as file:
        try:
            # Held until the process ends, however it does.
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            sys.exit(BUSY)
        os.dup2(file.fileno(), sys.__stdout__.fileno())  # type: ignore[union-attr]
        os.dup2(file.fileno(), sys.__stderr__.fileno())  # type: ignore[union-attr]
        with contextlib.redirect_stdout(file), contextlib.redirect_stderr(file):
            status = _work(cell)
    sys.exit(status)


def _work(cell: Cell) -> int:
    try:
        train(cell.config, progress=False)
        write_cell(cell, measure_cell(cell))
    except (LenspinnError, OSError) as error:
        sys.stderr.write(f"{error}\n")
        return REFUSED
    except Exception:
        traceback.print_exc()
        return FAILED
    return 0
