"""Folder of a catalogue in progress: its plan, and the parts that are done.

Every part is one Parquet file that is whole or not there, so that a kill at any moment loses what
was under way and nothing else.
"""

import json
import time
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet

from lenspinn.catalogue.columns import Values
from lenspinn.errors import ConfigError, DataError
from lenspinn.files import clear_drafts, read_json, write_whole

__all__ = ["CatalogueFolder", "settle_plan"]

PLAN, PARTS = "plan.json", "parts"
SCHEMA = 1
PART_ROWS, PART_SECONDS = 1000, 20.0
"""Number of rows, and time since the last part, s, from which on a part is written."""


class CatalogueFolder:
    """Folder into which rows are written as they are done.

    Parameters
    ----------
    out
        The folder; its `FolderLock` is held.
    schema
        Schema of the rows; the first column is ``row``, the number of the row in the table.

    Attributes
    ----------
    out
    """

    def __init__(self, out: Path, schema: pa.Schema) -> None:
        self.out = out
        self._schema = schema
        self._rows: list[Values] = []
        self._last = time.monotonic()
        self._parts = out / PARTS
        self._parts.mkdir(exist_ok=True)
        clear_drafts(self._parts)

    def add(self, rows: list[Values]) -> None:
        """Take rows that are done; they are in one part."""
        self._rows += rows
        if len(self._rows) >= PART_ROWS or time.monotonic() - self._last > PART_SECONDS:
            self.flush()

    def flush(self) -> None:
        """Write the rows that were not written yet."""
        self._last = time.monotonic()
        if not self._rows:
            return
        part = pa.Table.from_pylist(self._rows, schema=self._schema)
        content = pa.BufferOutputStream()
        pa.parquet.write_table(part, content)
        last = max((int(path.stem) for path in self._files()), default=-1)
        path = self._parts / f"{last + 1:06d}.parquet"
        write_whole(path, content.getvalue().to_pybytes(), durable=True)
        self._rows = []

    def results(self) -> pa.Table:
        """Return all rows that were written, in the order of the table, each once.

        Raises
        ------
        DataError
            A part is damaged.
        """
        parts = [self._read(path) for path in sorted(self._files())]
        whole = pa.concat_tables([self._schema.empty_table(), *parts])
        _, first = np.unique(whole["row"].to_numpy(), return_index=True)
        return whole.take(pa.array(first))

    def _files(self) -> list[Path]:
        return [path for path in self._parts.glob("*.parquet") if path.stem.isdigit()]

    def _read(self, path: Path) -> pa.Table:
        try:
            part = pa.parquet.read_table(path, partitioning=None)
        except (OSError, pa.ArrowException) as error:
            raise DataError(
                f"{path} is damaged: remove it, and the same command does its lenses again"
            ) from error
        if part.schema.names != self._schema.names:
            raise DataError(f"{path} has other columns than this version writes: give a new folder")
        return part


def settle_plan(out: Path, plan: dict[str, Any], provenance: dict[str, Any]) -> None:
    """Make a folder for a plan, or check that it belongs to this plan.

    Parameters
    ----------
    out
        Empty, or begun by the same plan; its `FolderLock` is held.
    plan
        Jobs and table, as JSON can hold them.
    provenance
        Software and machine that begin the work.

    Raises
    ------
    ConfigError
        The folder holds something else.
    """
    path = out / PLAN
    if path.exists():
        _check_same(out, read_json(path).get("plan"), json.loads(json.dumps(plan)))
        return
    if any(not _is_hidden(entry) for entry in out.iterdir()):
        raise ConfigError(f"{out} holds files, but no catalogue: give a new folder by out")
    content = {"schema": SCHEMA, "plan": plan, **provenance}
    write_whole(path, (json.dumps(content, indent=2) + "\n").encode(), durable=True)


def _is_hidden(path: Path) -> bool:
    return path.name.startswith(".")


def _check_same(out: Path, before: Any, now: dict[str, Any]) -> None:
    if not isinstance(before, dict):
        raise ConfigError(f"{out / PLAN} is damaged: give a new folder by out")
    for key in now:
        if before.get(key) == now[key]:
            continue
        if key == "table":
            raise ConfigError(
                f"{out} holds a catalogue of another table, or the table has changed since: give a "
                "new folder by out"
            )
        raise ConfigError(
            f"{out} holds a catalogue with {key} {before.get(key)!r}, not {now[key]!r}: give the "
            "same, or a new folder by out"
        )
