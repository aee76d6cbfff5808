"""Tables of lenses in: CSV, ECSV, FITS and Parquet files, as Arrow tables with units."""

import warnings
from collections.abc import Callable
from difflib import get_close_matches
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet
from astropy.table import Column, MaskedColumn, Table
from astropy.units import Unit

from lenspinn.data.fits_file import FITS_SUFFIXES
from lenspinn.errors import DataError

__all__ = ["MEANINGS", "UNIT", "column_of", "is_table", "read_table", "unit_of"]

UNIT = b"unit"
"""Key of the unit of a column in the metadata of its field."""
TEXTS = ("id", "image", "noise", "psf", "mask")
"""Columns that are text, though they may look like numbers."""
UNITS = {"ra": "deg", "dec": "deg", "size": "arcsec", "pixel_scale": "arcsec"}
"""Units of columns that are numbers; a column with another unit is converted."""
MEANINGS = (
    *TEXTS,
    "hdu",
    "noise_hdu",
    "psf_hdu",
    "band",
    "pixel_scale",
    "ra",
    "dec",
    "size",
    "theta_E_guess",
    "z_lens",
    "z_source",
)
"""Columns with a meaning for lenspinn; others are copied to the result."""
MISSPELT = 0.8
"""Least likeness, as `difflib` measures it, to the name of a column that the table lacks."""


def is_table(path: Path) -> bool:
    """Return whether a file has the name of a table; a FITS file may be an image too."""
    return path.name.lower().endswith(tuple(_READERS)) or _is_fits(path)


def read_table(path: Path) -> pa.Table:
    """Read a table.

    Parameters
    ----------
    path
        CSV, ECSV, FITS or Parquet file.

    Returns
    -------
    pyarrow.Table
        Table of all columns; the columns of `UNITS` are in these units.

    Raises
    ------
    DataError
        If the file is missing or damaged, of another kind, or has no rows or no column ``image``.

    Warns
    -----
    UserWarning
        If a column that means nothing here is named almost like one that does and is not there.
    """
    if not path.is_file():
        raise DataError(f"there is no table {path}")
    suffix = next((s for s in _READERS if path.name.lower().endswith(s)), None)
    if suffix is None and not _is_fits(path):
        raise DataError(
            f"{path} is no table: give a CSV, ECSV, FITS or Parquet file (.csv, .ecsv, .fits, "
            ".parquet), a folder of images or of lens folders, or a pattern such as 'lenses/*.fits'"
        )
    read = _from_fits if suffix is None else _READERS[suffix]
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            table = read(path)
    except Exception as error:  # what readers raise about damaged files is of every kind
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        raise DataError(f"{path} cannot be read as a table ({reason}): get it again") from error
    if column_of(table, "image") is None:
        raise DataError(
            f"{path} has no column image, only {', '.join(table.column_names) or 'none'}: name the "
            "file of each lens in one"
        )
    if table.num_rows == 0:
        raise DataError(f"{path} has no rows: give a table with a row for each lens")
    _warn_of_misspelt(table, path)
    return _in_our_units(_plain(table))


def _warn_of_misspelt(table: pa.Table, path: Path) -> None:
    """Warn of columns that are carried through although something like them would be used."""
    missing = {m.lower(): m for m in MEANINGS if column_of(table, m) is None}
    known = {meaning.lower() for meaning in MEANINGS}
    for name in table.column_names:
        close = get_close_matches(name.lower(), missing, n=1, cutoff=MISSPELT)
        if close and name.lower() not in known:
            warnings.warn(
                f"{path}: column {name} is carried through and not used; if {missing[close[0]]} is "
                "meant, call it so",
                stacklevel=3,
            )


def column_of(table: pa.Table, meaning: str) -> str | None:
    """Return the name in `MEANINGS` of a column, however it is capitalised."""
    names = {name.lower(): name for name in reversed(table.column_names)}
    return meaning if meaning in table.column_names else names.get(meaning.lower())


def unit_of(field: pa.Field) -> str | None:
    """Return the unit that a column states."""
    text = (field.metadata or {}).get(UNIT)
    return None if text is None else text.decode(errors="replace")


def _is_fits(path: Path) -> bool:
    return path.name.lower().endswith(FITS_SUFFIXES)


def _from_csv(path: Path) -> pa.Table:
    options = pa.csv.ConvertOptions(
        column_types={name: pa.string() for name in TEXTS}, strings_can_be_null=True
    )
    return pa.csv.read_csv(path, convert_options=options)


def _from_ecsv(path: Path) -> pa.Table:
    return _from_astropy(Table.read(path, format="ascii.ecsv"))


def _from_fits(path: Path) -> pa.Table:
    table = Table.read(path, format="fits")
    table.convert_bytestring_to_unicode()
    return _from_astropy(table)


def _from_parquet(path: Path) -> pa.Table:
    return pa.parquet.read_table(path)


_READERS: dict[str, Callable[[Path], pa.Table]] = {
    ".csv": _from_csv,
    ".ecsv": _from_ecsv,
    ".parquet": _from_parquet,
}


def _from_astropy(table: Table) -> pa.Table:
    columns, fields = [], []
    for name in table.colnames:
        column = table[name]
        values = _as_arrow(column)
        unit = getattr(column, "unit", None)
        says = {} if unit is None else {UNIT: str(unit).encode()}
        columns.append(values)
        fields.append(pa.field(name, values.type, metadata=says))
    return pa.Table.from_arrays(columns, schema=pa.schema(fields))


def _as_arrow(column: Column) -> pa.Array:
    mask = np.asarray(column.mask) if isinstance(column, MaskedColumn) else None
    if getattr(column, "ndim", 1) == 1 and isinstance(column, Column):
        values = np.asarray(column)
        if values.dtype.kind in "biuf":
            return pa.array(values.astype(values.dtype.newbyteorder("=")), mask=mask)
        if values.dtype.kind == "U":
            texts = [str(value).strip() for value in values]
            return pa.array(texts, pa.string(), mask=mask)
    if isinstance(column, Column):
        return pa.array(column.tolist())  # several numbers a row
    return pa.array([str(value) for value in column], pa.string())  # such as times


def _plain(table: pa.Table) -> pa.Table:
    """Return a table with texts in the place of categories, and without what others wrote of it."""
    columns = [
        column.cast(column.type.value_type) if pa.types.is_dictionary(column.type) else column
        for column in table.columns
    ]
    fields = [
        pa.field(field.name, column.type, metadata=field.metadata)
        for field, column in zip(table.schema, columns, strict=True)
    ]
    return pa.Table.from_arrays(columns, schema=pa.schema(fields))


def _in_our_units(table: pa.Table) -> pa.Table:
    for meaning, ours in UNITS.items():
        name = column_of(table, meaning)
        if name is None:
            continue
        index = table.column_names.index(name)
        said = unit_of(table.schema.field(index))
        if said is None or said == ours:
            continue
        try:
            factor = Unit(said).to(ours)
        except Exception as error:
            raise DataError(
                f"the column {name} is in {said}: give it in {ours}, or without a unit"
            ) from error
        column = pa.compute.multiply(table[name], factor)
        field = pa.field(name, column.type, metadata={UNIT: ours.encode()})
        table = table.set_column(index, field, column)
    return table
