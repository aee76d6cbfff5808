"""`lenspinn benchmark`: trains the cells of a grid that are missing, and builds its page."""

import multiprocessing
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from multiprocessing.connection import wait
from pathlib import Path
from typing import Any

from tqdm import tqdm

from lenspinn.benchmark.cell import read_cell, run_state
from lenspinn.benchmark.grid import Cell, Grid, dataset_path, grid_cells, read_grid
from lenspinn.benchmark.page import write_page
from lenspinn.benchmark.plan import plan
from lenspinn.benchmark.worker import BUSY, log_path, run_cell
from lenspinn.data.store import ImageStore
from lenspinn.errors import BenchmarkError, ConfigError, StoreError
from lenspinn.path_arguments import takes_paths
from lenspinn.places import check_output, check_own
from lenspinn.simulate import SimulateConfig, simulate

MOST_JOBS = 256
"""Largest number of processes."""
POLL_SECONDS = 5.0
"""Interval between two looks at the running cells, s."""


@takes_paths
def benchmark(
    grid: Path,
    *,
    out: Path = Path("results/benchmark"),
    work: Path = Path("bench"),
    jobs: int = 1,
    dry_run: bool = False,
    protocols: list[str] | None = None,
    rows: list[str] | None = None,
    seeds: list[int] | None = None,
) -> Path | list[str]:
    """Train and measure the cells of a grid that are not finished, then build its page.

    Parameters
    ----------
    grid
        YAML file of the grid; ``rows.yaml`` and ``protocols.yaml`` beside it say what its labels
        mean.
    out
        Folder for results: ``cells/`` with one JSON a cell, from which tables and figures
        are built again at every call, and ``README.md``. Grids share it, and each other's cells.
    work
        Folder for large files: datasets and run folders. A cell that was interrupted, even by
        kill -9, goes on from there.
    jobs
        Cells trained at once, each in a process with one CPU thread; they share a GPU. 0 trains
        nothing and only builds the page.
    dry_run
        Only say what would be done, and how long it would take on this machine.
    protocols
        Train these protocols only; tables always show the whole grid.
    rows
        Train the rows with these labels only.
    seeds
        Train these seeds only.

    Returns
    -------
    Path or list of lines
        ``README.md`` in `out`; the plan for a dry run.

    Raises
    ------
    ConfigError
        The grid is impossible or has no such protocol, row or seed.
    StoreError
        `work` holds another dataset where one of the grid belongs.
    BenchmarkError
        If a cell failed: after all others are finished and the page is built. Or if `out` holds
        cells of other settings.
    """
    if jobs < 0:
        raise ConfigError(f"jobs is {jobs}: at least 0 is needed")
    if jobs > MOST_JOBS:
        raise ConfigError(f"jobs is {jobs}: at most {MOST_JOBS} are possible")
    for key, folder in (("out", out), ("work", work)):
        check_output(folder, key)
    check_own(out, "out", mark="cells", replaced=["README.md"])
    asked = read_grid(grid)
    cells = grid_cells(asked, work=work, out=out)
    finished = {cell.name: read_cell(cell) for cell in cells}
    wanted = list(_selected(asked, cells, protocols, rows, seeds))
    if dry_run:
        return plan(wanted, finished, jobs=max(1, jobs))
    missing = [cell for cell in wanted if finished[cell.name] is None]
    failures: list[str] = []
    if jobs > 0 and missing:
        _make_datasets(asked, missing, work)
        failures = run_cells(missing, jobs)
    page = write_page(asked, cells, out)
    if failures:
        raise BenchmarkError(
            f"{len(failures)} of {len(missing)} cells failed, the others are in {page}: "
            + "; ".join(failures)
        )
    return page


def run_cells(cells: Sequence[Cell], jobs: int) -> list[str]:
    """Run cells in processes of their own, so many at once, and return a sentence a failure."""
    context = multiprocessing.get_context("spawn")
    waiting, failures = list(cells), list[str]()
    running: dict[int, tuple[Any, Cell]] = {}
    with tqdm(total=len(cells), desc="cells", unit="cell") as bar, _one_thread_each():
        try:
            while waiting or running:
                while waiting and len(running) < jobs:
                    cell = waiting.pop(0)
                    process = context.Process(target=run_cell, args=(cell,), name=cell.name)
                    process.start()
                    running[process.sentinel] = process, cell
                bar.set_postfix_str("; ".join(_progress(cell) for _, cell in running.values()))
                for sentinel in wait(list(running), timeout=POLL_SECONDS):
                    process, cell = running.pop(sentinel)  # type: ignore[arg-type]
                    process.join()
                    if process.exitcode != 0:
                        failures.append(_failure(cell, process.exitcode))
                    bar.update()
        finally:
            for process, _ in running.values():  # interrupted: what they trained stays
                process.kill()
                process.join()
    return failures


def _selected(
    grid: Grid,
    cells: Sequence[Cell],
    protocols: list[str] | None,
    rows: list[str] | None,
    seeds: list[int] | None,
) -> Iterator[Cell]:
    choices: dict[str, tuple[Sequence[Any] | None, Sequence[Any]]] = {
        "protocol": (protocols, grid.config.protocols),
        "row": (rows, list(grid.rows)),
        "seed": (seeds, grid.config.seeds),
    }
    for key, (wanted, known) in choices.items():
        for value in wanted or []:
            if value not in known:
                names = ", ".join(map(str, known))
                raise ConfigError(f"{grid.path} has no {key} {value}; it has {names}")
    for cell in cells:
        if all(w is None or getattr(cell, key) in w for key, (w, _) in choices.items()):
            yield cell


def _make_datasets(grid: Grid, cells: Sequence[Cell], work: Path) -> None:
    """Simulate the training and test images of the cells, unless they exist."""
    needed = {cell.test.path: (cell.test.recipe, cell.test.num, cell.test.seed) for cell in cells}
    for cell in cells:
        protocol = grid.protocols[cell.protocol]
        if not protocol.streams:
            facts = (cell.recipe, protocol.num_images, protocol.dataset_seed)
            needed[dataset_path(protocol, cell.recipe, work)] = facts
    for path, (recipe, num, seed) in needed.items():
        _make_dataset(SimulateConfig(recipe=recipe, num=num, seed=seed, out=path))


def _make_dataset(config: SimulateConfig) -> None:
    config.out.parent.mkdir(parents=True, exist_ok=True)
    try:
        info = ImageStore.open(config.out).info
    except StoreError:  # missing or unfinished; another dataset is refused
        simulate(config)
        return
    found = (info.recipe, info.num_images, info.seed)
    if found != (config.recipe, config.num, config.seed):
        raise StoreError(
            f"{config.out} holds {found[1]} images of {found[0]} from seed {found[2]}, the grid "
            f"asks for {config.num} of {config.recipe} from seed {config.seed}: give another "
            "--work, or delete it"
        )


@contextmanager
def _one_thread_each() -> Iterator[None]:
    """Let new processes compute with one thread each: more would wait for each other."""
    before = os.environ.get("OMP_NUM_THREADS")
    os.environ["OMP_NUM_THREADS"] = "1"
    try:
        yield
    finally:
        if before is None:
            del os.environ["OMP_NUM_THREADS"]
        else:
            os.environ["OMP_NUM_THREADS"] = before


def _progress(cell: Cell) -> str:
    return f"{cell.protocol}/{cell.row}/s{cell.seed} {run_state(cell.config.out).text}"


def _failure(cell: Cell, status: int) -> str:
    log = log_path(cell)
    if status == BUSY:
        return f"{cell.name} is being trained by another process"
    if status < 0:
        return f"{cell.name} was killed by signal {-status} (see {log})"
    text = log.read_text() if log.is_file() else ""
    lines = [line for line in text.splitlines() if line.strip()]
    reason = lines[-1] if lines else f"its process ended with status {status}"
    return f"{cell.name}: {reason} (see {log})"
