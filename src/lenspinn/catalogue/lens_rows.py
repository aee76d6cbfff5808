"""Lens of one row of a table: its name, its files, and the other values of the row."""

import math
import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa

from lenspinn.catalogue.read_table import MEANINGS, column_of
from lenspinn.errors import DataError
from lenspinn.measure.companions import FileOptions
from lenspinn.measure.output_names import unique_names

__all__ = ["LensRow", "lens_rows"]

Value = str | int | float | bool | None
MOST_NAME = 200
"""Longest id that files can be named by, characters."""
_FILE_NAME = re.compile(r"[^/\0]+")


@dataclass(frozen=True, kw_only=True)
class LensRow:
    """One row, as it stands in the table; its errors are raised only when its columns are read."""

    row: int
    """Number of the row in the whole table, from 0."""
    id: str
    said: Mapping[str, Value]
    """Values of the columns of `MEANINGS` that are not empty."""
    folder: Path
    """Folder that relative paths are relative to."""

    def path(self, name: str) -> Path | None:
        """Return the file that a column names.

        Raises
        ------
        DataError
            The value is no text.
        """
        value = self.said.get(name)
        if value is None:
            return None
        if not isinstance(value, str):
            raise DataError(f"{name} is {value}, no path: give that of a file")
        return self.folder / Path(value).expanduser()

    @property
    def image(self) -> Path:
        """Image of the row, or the folder of a lens."""
        image = self.path("image")
        if image is None:
            raise DataError("the row names no image: give its path in the column image")
        return image

    def number(self, name: str) -> float | None:
        """Return the number of a column.

        Raises
        ------
        DataError
            The value is no number.
        """
        value = self.said.get(name)
        if value is None:
            return None
        try:
            return float(value)
        except ValueError:
            raise DataError(f"{name} is {value!r}, no number") from None

    def extension(self, name: str) -> int | str | None:
        """Return the number or name of an extension; tables may hold numbers as 1.0."""
        value = self.said.get(name)
        if isinstance(value, float) and value.is_integer():
            return int(value)
        return value if value is None or isinstance(value, int) else str(value)

    @property
    def files(self) -> FileOptions:
        """Files and extensions that the row names for its image."""
        return FileOptions(
            noise=self.path("noise"),
            psf=self.path("psf"),
            mask=self.path("mask"),
            pixel_scale=self.number("pixel_scale"),
            image_hdu=self.extension("hdu"),
            noise_hdu=self.extension("noise_hdu"),
            psf_hdu=self.extension("psf_hdu"),
            band=self.extension("band"),
        )


def lens_rows(table: pa.Table, folder: Path) -> list[LensRow]:
    """Read the lenses of a table.

    Parameters
    ----------
    table
        Table by `lenspinn.catalogue.read_table`.
    folder
        Folder that its relative paths are relative to.

    Raises
    ------
    DataError
        Two rows have the same id, or one has none that a file can be named by.

    Notes
    -----
    Without a column ``id``, a lens is named by its image and as much of its folder as tells it from
    others; several rows of one image by the number of the row too.
    """
    names = {meaning: column_of(table, meaning) for meaning in MEANINGS}
    columns = {
        meaning: table[name].to_pylist() for meaning, name in names.items() if name is not None
    }
    said = [
        {name: values[row] for name, values in columns.items() if not _is_empty(values[row])}
        for row in range(table.num_rows)
    ]
    ids = [str(row["id"]) if "id" in row else None for row in said]
    if "id" not in columns:
        ids = [*_named_by_image(said, folder)]
    _check_ids(ids)
    return [
        LensRow(row=row, id=str(name), said=values, folder=folder)
        for row, (name, values) in enumerate(zip(ids, said, strict=True))
    ]


def _is_empty(value: Value) -> bool:
    if isinstance(value, str):
        return not value.strip()
    return value is None or (isinstance(value, float) and math.isnan(value))


def _named_by_image(said: list[dict[str, Value]], folder: Path) -> list[str]:
    paths = [folder / str(row.get("image", "no_image")) for row in said]
    once = list(dict.fromkeys(paths))
    names = dict(zip(once, unique_names(once), strict=True))
    count = Counter(paths)
    return [
        names[path] if count[path] == 1 else f"{names[path]}_{row}"
        for row, path in enumerate(paths)
    ]


def _check_ids(ids: list[str | None]) -> None:
    for row, name in enumerate(ids):
        if name is None:
            raise DataError(f"row {row + 1} of the table has no id: give each row one, or none")
        if not _FILE_NAME.fullmatch(name) or len(name) > MOST_NAME or name.startswith("."):
            raise DataError(
                f"row {row + 1} of the table has the id {name[:MOST_NAME]!r}, which no file can be "
                f"named by: give one without a slash, not beginning with a dot, of up to "
                f"{MOST_NAME} characters"
            )
    doubled = [name for name, times in Counter(ids).items() if times > 1]
    if doubled:
        raise DataError(
            f"{len(doubled)} ids stand in several rows of the table, such as {doubled[0]!r}: give "
            "each lens its own, or leave the column out"
        )
