"""One lens and its jobs, whose errors become a message of its row."""

import time
import warnings
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from lenspinn.catalogue.columns import Job, Values
from lenspinn.catalogue.lens_files import LensImage
from lenspinn.catalogue.lens_rows import LensRow
from lenspinn.detect.detect_lens import INJECTED, MOCKS
from lenspinn.errors import LenspinnError
from lenspinn.measure.arcs import LensLightMode

__all__ = ["FAILED", "OK", "OneLens", "Work"]

OK, FAILED = "ok", "failed"
"""Values of the status of a job."""


@dataclass(frozen=True, kw_only=True)
class Work:
    """Jobs and settings that are asked for, the same for every lens."""

    jobs: tuple[Job, ...]
    model: str | None = None
    """Run folder, or name of a trained network, for ``apply``."""
    lens_light: LensLightMode | None = None
    mocks: int = MOCKS
    injected: int = INJECTED
    seed: int = 0
    products: Path | None = None
    """Folder for files of each lens, with one folder a job; None if no files are written."""


@dataclass(eq=False)
class OneLens:
    """One row of the table, its image, and its results."""

    row: LensRow
    values: dict[str, Values] = field(default_factory=dict)
    """Results by job."""
    read: LensImage | None = None
    """Image of the row; None if it cannot be read."""

    @property
    def image(self) -> LensImage:
        """Image that was read."""
        assert self.read is not None
        return self.read

    @property
    def row_values(self) -> Values:
        """Number of the row, and all values by the names of their columns."""
        flat = {
            f"{job}_{name}": value
            for job, values in self.values.items()
            for name, value in values.items()
        }
        return {"row": self.row.row, **flat}

    @contextmanager
    def failing(self, jobs: Iterable[Job]) -> Iterator[None]:
        """Turn an error in a block into the status and message of some jobs."""
        try:
            yield
        except Exception as error:
            text = " ".join(str(error).split())
            if not isinstance(error, LenspinnError | OSError):
                text = f"this is a bug: {type(error).__name__}: {text}"
            self.values |= {job: {"status": FAILED, "message": text} for job in jobs}

    def timed(self, job: Job, do: Callable[["OneLens"], Values]) -> None:
        """Do a job, and keep its results or the reason of its failure, and the time it took."""
        begin = time.perf_counter()
        with self.failing([job]), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # what they say of a lens, its notes and reasons do too
            self.values[job] = {"status": OK, **do(self)}
        self.values[job]["seconds"] = time.perf_counter() - begin
