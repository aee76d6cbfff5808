"""`lenspinn catalogue`: a table of lenses in, a table of answers out."""

import functools
import hashlib
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
from tqdm import tqdm

from lenspinn.catalogue.cluster import connected, on_cluster, slurm_cluster
from lenspinn.catalogue.columns import JOBS, Job, Values, answer_columns, job_schema
from lenspinn.catalogue.final_table import joined, write_tables
from lenspinn.catalogue.find_images import find_images, is_pattern
from lenspinn.catalogue.folder import CatalogueFolder, settle_plan
from lenspinn.catalogue.lens_rows import LensRow, lens_rows
from lenspinn.catalogue.one_lens import OK, Work
from lenspinn.catalogue.read_table import read_table
from lenspinn.catalogue.where import rows_where
from lenspinn.catalogue.work import do_rows, failed_rows
from lenspinn.data.provenance import provenance
from lenspinn.detect.detect_lens import INJECTED, MOCKS
from lenspinn.errors import ConfigError
from lenspinn.files import FolderLock
from lenspinn.measure.arcs import LensLightMode
from lenspinn.places import check_output
from lenspinn.worker_processes import Died, in_processes, in_this_process

if TYPE_CHECKING:
    from lenspinn.apply.grounds import Judge

__all__ = ["Catalogue", "run_catalogue"]

TOGETHER = 64
"""Number of lenses that a network sees at once, if it takes images without preparation."""
DIED = (
    "the process that worked on it died, and died again alone (was there too little memory?): give "
    "the lens to `lenspinn measure` to see more"
)

Rows = tuple[LensRow, ...]


@dataclass(frozen=True, kw_only=True)
class Catalogue:
    """Result of the jobs for a table."""

    path: Path
    """Path of the Parquet table that was written."""
    num_rows: int
    num_ok: dict[Job, int]
    """Number of rows that did not fail, for each job."""
    num_trusted: dict[Job, int]

    def __str__(self) -> str:
        lines = [f"{self.path}: {self.num_rows:,} lenses"]
        for job, num in self.num_ok.items():
            lines.append(
                f"  {job}: {num:,} done, of which {self.num_trusted[job]:,} can be trusted; "
                f"{self.num_rows - num:,} failed, see {job}_message"
            )
        return "\n".join(lines)


def run_catalogue(  # noqa: PLR0913 - each is an option of the command
    table: Path,
    *,
    do: str = "measure",
    out: Path = Path("catalogue"),
    model: str | None = None,
    where: str | None = None,
    limit: int | None = None,
    lens_light: LensLightMode | None = None,
    mocks: int = MOCKS,
    injected: int = INJECTED,
    seed: int = 0,
    products: bool = False,
    workers: int = 1,
    scheduler: str | None = None,
    slurm: bool = False,
    progress: bool = True,
) -> Catalogue:
    """Measure, search and classify all lenses of a table, and write a table of the results.

    A row comes out for each row in, in the same order, with its columns and those of each job: its
    status, the reason of a failure in one sentence, and its numbers with their errors. Results are
    on disk within seconds. Stopped in any way, the same command continues; no lens is done
    twice, and none is lost.

    Parameters
    ----------
    table
        CSV, ECSV, FITS or Parquet file with a column ``image`` and, if they are known, ``noise``,
        ``psf``, ``mask``, ``hdu``, ``noise_hdu``, ``psf_hdu``, ``band``, ``pixel_scale``,
        ``theta_E_guess``, ``z_lens``, ``z_source`` and ``id``, as the options of `lenspinn
        measure`; relative paths are relative to the table. With ``size`` (arcsec) a square around
        ``ra`` and ``dec`` (degrees) is cut out of the image. Or a folder of images or of lens
        folders, or a pattern in quotes, such as ``'lenses/*.fits'``.
    do
        Jobs, joined by commas: measure (theta_E, lens and source), detect (dark clumps), apply (the
        answer of a network).
    out
        Folder for ``catalogue.parquet``, ``catalogue.ecsv`` and what is needed to continue.
    model
        Run folder, or name of a trained network, for apply.
    where
        Rows to take, such as "z_lens > 0.3 and survey == Q1"; by default all.
    limit
        Rows to take at most; a larger one continues.
    lens_light
        "model", "mask" or "none", as of `lenspinn measure`.
    mocks
        Mocks of each lens, for detect; see `lenspinn detect`.
    injected
        Injected clumps of each lens, for detect; see `lenspinn detect`.
    seed
        Seed of the mocks.
    products
        Whether each lens gets JSON, FITS and picture too, in ``products/JOB``, named by its id.
    workers
        Processes of one thread on this machine, 0 for none but this one; with slurm the jobs that
        are submitted.
    scheduler
        Address of a Dask scheduler, such as tcp://10.0.0.1:8786, whose workers do the work; they
        see the files under the same paths.
    slurm
        Whether to ask SLURM for Dask workers, as ~/.config/dask/jobqueue.yaml says.
    progress
        Whether to show rate and time left.

    Raises
    ------
    ConfigError, DataError, ModelError
        The table, the network or an option cannot be used, or the folder holds something else.
    """
    table = Path(table)
    work = Work(
        jobs=_jobs(do, model),
        model=model,
        lens_light=lens_light,
        mocks=mocks,
        injected=injected,
        seed=seed,
        products=out.absolute() / "products" if products else None,
    )
    _check_numbers(limit=limit, workers=workers)
    if scheduler is not None and slurm:
        raise ConfigError("both scheduler and slurm are given; give one of them")
    check_output(out, "out")
    came, folder = _read(table)
    lenses = lens_rows(came, folder)
    rows = np.flatnonzero(rows_where(came, where))[:limit]
    if not len(rows):
        raise ConfigError(f"where is {where!r}, which no row of {table} meets")
    judge = _judge(model)
    plan = {
        "do": list(work.jobs),
        "table": _digest(came),
        "folder": str(folder),
        "where": where,
        "model": None if judge is None else _identity(judge),
        "lens_light": lens_light,
        "mocks": mocks if "detect" in work.jobs else None,
        "injected": injected if "detect" in work.jobs else None,
        "seed": seed if "detect" in work.jobs else None,
        "products": products,
    }
    out.mkdir(parents=True, exist_ok=True)
    with FolderLock(out), ExitStack() as stack:
        settle_plan(out, plan, provenance())
        done = CatalogueFolder(out, _schema(work.jobs, judge))
        stack.callback(done.flush)  # what is done stays, however this ends
        asked = [lenses[row] for row in rows]
        queue = _Queue(asked, done.results(), _together(work.jobs, judge, asked))
        engine = _engine(stack, workers, scheduler, slurm, queue)
        _do_all(work, queue, engine, done, progress)
        done.flush()
        results = done.results()
        chosen = np.isin(results["row"].to_numpy(), rows)
        catalogue = joined(came, [lens.id for lens in lenses], rows, results.filter(chosen))
        return _summary(catalogue, write_tables(catalogue, out), work.jobs)


class _Queue(Iterator[Rows]):
    """Rows that are not done yet, in groups that are done together."""

    def __init__(self, lenses: Sequence[LensRow], results: pa.Table, together: int) -> None:
        known = set(results["row"].to_pylist())
        # The same rows are seen together however often it is continued.
        groups = (lenses[first : first + together] for first in range(0, len(lenses), together))
        left = (tuple(lens for lens in group if lens.row not in known) for group in groups)
        self._tasks = deque(rows for rows in left if rows)
        self.num_rows = len(lenses)
        self.num_left = sum(map(len, self._tasks))

    def __next__(self) -> Rows:
        if not self._tasks:
            raise StopIteration
        return self._tasks.popleft()

    def one_by_one(self, rows: Rows) -> None:
        """Do rows again, each alone."""
        self._tasks += [(row,) for row in rows]


Engine = Callable[[Callable[[Rows], list[Values]]], Iterator[tuple[Rows, list[Values] | Died]]]


def _do_all(
    work: Work, queue: _Queue, engine: Engine, done: CatalogueFolder, progress: bool
) -> None:
    bar = tqdm(total=queue.num_rows, unit="lens", desc="catalogue", disable=not progress)
    bar.update(queue.num_rows - queue.num_left)
    bar.unpause()  # what was done before says nothing about the rate
    with bar:
        for rows, found in engine(functools.partial(do_rows, work)):
            if isinstance(found, Died) and len(rows) > 1:
                queue.one_by_one(rows)
                continue
            done.add(failed_rows(work, rows, DIED) if isinstance(found, Died) else found)
            bar.update(len(rows))


def _engine(
    stack: ExitStack, workers: int, scheduler: str | None, slurm: bool, queue: _Queue
) -> Engine:
    if not queue.num_left or (workers == 0 and scheduler is None and not slurm):
        return functools.partial(in_this_process, tasks=queue)
    if scheduler is not None:
        client = stack.enter_context(connected(scheduler))
        return functools.partial(on_cluster, tasks=queue, client=client)
    if slurm:
        client = stack.enter_context(slurm_cluster(max(1, workers)))
        return functools.partial(on_cluster, tasks=queue, client=client)
    return functools.partial(in_processes, tasks=queue, workers=min(workers, queue.num_left))


def _jobs(do: str, model: str | None) -> tuple[Job, ...]:
    names = [name.strip() for name in do.split(",")]
    unknown = [name for name in names if name not in JOBS]
    if unknown:
        raise ConfigError(f"do is {do!r}; give {', '.join(JOBS)}, or several joined by commas")
    if ("apply" in names) != (model is not None):
        missing = "model is missing" if model is None else "model is given, but not for apply"
        raise ConfigError(
            f"{missing}: `--do apply --model NAME` goes together; `lenspinn models` lists the "
            "trained networks"
        )
    return tuple(job for job in JOBS if job in names)


def _judge(model: str | None) -> "Judge | None":
    if model is None:
        return None
    from lenspinn.apply.grounds import Judge

    return Judge.of(model)


def _check_numbers(*, limit: int | None, workers: int) -> None:
    if limit is not None and limit < 1:
        raise ConfigError(f"limit is {limit}; give at least 1 row, or leave it out for all")
    if workers < 0:
        raise ConfigError(f"workers is {workers}; give a number of processes, or 0 for none")


def _read(table: Path) -> tuple[pa.Table, Path]:
    """Read a table, and say what its relative paths are relative to."""
    if table.is_dir() or is_pattern(table):
        return find_images(table), Path.cwd()
    return read_table(table), table.absolute().parent


def _digest(table: pa.Table) -> str:
    content = pa.BufferOutputStream()
    with pa.ipc.new_stream(content, table.schema) as stream:
        stream.write_table(table.combine_chunks())
    return hashlib.sha256(content.getvalue()).hexdigest()


def _identity(judge: "Judge") -> dict[str, Any]:
    manifest = judge.run.folder / "manifest.json"
    content = manifest.read_bytes() if manifest.is_file() else b""
    return {"run": judge.run.folder.name, "manifest": hashlib.sha256(content).hexdigest()}


def _schema(jobs: Sequence[Job], judge: "Judge | None") -> pa.Schema:
    network = [] if judge is None else answer_columns(judge.model.classes, judge.model.quantities)
    columns = [field for job in jobs for field in job_schema(job, network)]
    return pa.schema([pa.field("row", pa.int64()), *columns])


def _together(jobs: Sequence[Job], judge: "Judge | None", lenses: Sequence[LensRow]) -> int:
    """Return the number of lenses done at once: several where a network needs no preparation."""
    if judge is None or set(jobs) != {"apply"}:
        return 1
    from lenspinn.models import LensFit

    arrays = all(str(lens.said.get("image")).lower().endswith(".npy") for lens in lenses)
    return TOGETHER if arrays or not isinstance(judge.model, LensFit) else 1


def _summary(catalogue: pa.Table, path: Path, jobs: Sequence[Job]) -> Catalogue:
    ok = {job: catalogue[f"{job}_status"].to_pylist().count(OK) for job in jobs}
    trusted = {job: catalogue[f"{job}_trusted"].to_pylist().count(True) for job in jobs}
    return Catalogue(path=path, num_rows=catalogue.num_rows, num_ok=ok, num_trusted=trusted)
