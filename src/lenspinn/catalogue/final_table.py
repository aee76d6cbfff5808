"""Table of a finished catalogue: the columns of the input, and beside them the results."""

import io
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet
from astropy.table import Column, MaskedColumn, Table
from jaxtyping import Int

from lenspinn.catalogue.read_table import unit_of
from lenspinn.files import write_whole

__all__ = ["joined", "write_tables"]

NAME = "catalogue"
MOST_ECSV = 50_000
"""Largest number of rows with which the table is written as text (ECSV) too."""


def joined(
    table: pa.Table, ids: list[str], rows: Int[np.ndarray, " rows"], results: pa.Table
) -> pa.Table:
    """Put the results beside the columns of the input.

    Parameters
    ----------
    table, ids
        Table that was given, and the id of each of its rows.
    rows
        Numbers of the rows that were asked for, rising.
    results
        One row for each of these, in their order; the first column is the number of the row.

    Returns
    -------
    pyarrow.Table
        ``id``, the columns of the table, then those of the results. Columns of an earlier catalogue
        of the same name are replaced.
    """
    found = results.drop_columns(["row"])
    kept = [name for name in table.column_names if name not in {"id", *found.column_names}]
    came = table.select(kept).take(pa.array(rows))
    names = pa.array([ids[row] for row in rows], pa.string())
    fields = [pa.field("id", pa.string()), *came.schema, *found.schema]
    return pa.Table.from_arrays([names, *came.columns, *found.columns], schema=pa.schema(fields))


def write_tables(catalogue: pa.Table, out: Path) -> Path:
    """Write a catalogue as Parquet, and up to `MOST_ECSV` rows as ECSV too.

    Parameters
    ----------
    catalogue
    out
        Folder for ``catalogue.parquet`` and ``catalogue.ecsv``, each whole or not at all. The same
        rows give the same bytes.

    Returns
    -------
    Path
        Path of the Parquet file.
    """
    content = pa.BufferOutputStream()
    pa.parquet.write_table(catalogue.combine_chunks(), content)
    path = write_whole(out / f"{NAME}.parquet", content.getvalue().to_pybytes(), durable=True)
    if catalogue.num_rows <= MOST_ECSV:
        text = io.StringIO()
        _as_astropy(catalogue).write(text, format="ascii.ecsv")
        write_whole(out / f"{NAME}.ecsv", text.getvalue().encode(), durable=True)
    return path


def _as_astropy(catalogue: pa.Table) -> Table:
    columns = [
        _column(field, column)
        for field, column in zip(catalogue.schema, catalogue.columns, strict=True)
    ]
    return Table(columns)


def _column(field: pa.Field, column: pa.ChunkedArray) -> Column:
    unit = unit_of(field)
    mask = np.asarray(column.is_null())
    kind = field.type
    if pa.types.is_string(kind) or pa.types.is_null(kind):
        values = np.array([value or "" for value in column.to_pylist()], dtype=str)
    elif pa.types.is_boolean(kind) or pa.types.is_integer(kind) or pa.types.is_floating(kind):
        nothing = pa.scalar(0, pa.int8()).cast(kind)
        values = column.fill_null(nothing).to_numpy()
    else:
        values = np.array([str(value) for value in column.to_pylist()], dtype=str)
    if mask.any():
        return MaskedColumn(values, name=field.name, mask=mask, unit=unit)
    return Column(values, name=field.name, unit=unit)
