"""An open FITS file: the only place that lets astropy read one.

A damaged or hostile file makes astropy raise exceptions of every kind (KeyError, TypeError,
zlib.error and so on), from opening, from a header, or from the pixels. Each of these steps is one
narrow function here that turns any exception into one `DataError` that names the file.
"""

import bz2
import gzip
import io
import lzma
import math
import warnings
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from io import BufferedIOBase
from pathlib import Path
from typing import Any, TypeVar, cast

import numpy as np
from astropy.io import fits
from astropy.io.fits import Header

from lenspinn.data.fits_sizes import MOST_PIXELS, Declared, declared_extensions
from lenspinn.errors import DataError, ImageError
from lenspinn.regular_file import require_regular_file

__all__ = ["FITS_SUFFIXES", "FitsFile", "opened"]

FITS_SUFFIXES = tuple(
    kind + packed
    for kind in (".fits", ".fit", ".fts", ".fits.fz", ".fz")
    for packed in ("", ".gz", ".bz2", ".xz", ".zip")
)
MOST_UNPACKED = 256 * 2**20
"""Largest size, unpacked, of a file that is compressed as a whole, bytes."""

T = TypeVar("T")


class FitsFile:
    """The extensions of one file, numbered from 0, the primary one."""

    def __init__(self, path: Path, hdus: fits.HDUList, declared: list[Declared]) -> None:
        self.path = path
        self._hdus = hdus
        self._declared = declared

    def __len__(self) -> int:
        return len(self._declared)

    def shape(self, number: int) -> tuple[int, ...]:
        """Return the shape of an image, (..., y, x), without axes of length 1 in front.

        Empty where an extension holds no image.
        """
        shape = self._declared[number].shape
        while len(shape) > 2 and shape[0] == 1:
            shape = shape[1:]
        return shape

    def header(self, number: int) -> Header:
        """Return the header of an extension."""
        return self._read(f"the header of extension {number}", lambda: self._hdus[number].header)

    def name(self, number: int) -> str:
        """Return the EXTNAME of an extension, "" where it has none."""
        if number == 0 and "EXTNAME" not in self.header(0):
            return ""
        return self._read(f"the name of extension {number}", lambda: str(self._hdus[number].name))

    def pixels(self, number: int) -> np.ndarray:
        """Return the image of an extension, in the floating-point type that holds its values.

        Raises
        ------
        ImageError
            If the image has more than `MOST_PIXELS`.
        DataError
            If it is damaged.
        """
        shape = self.shape(number)
        if math.prod(shape) > MOST_PIXELS:
            raise ImageError(
                f"{self.path} holds an image of {' x '.join(map(str, shape))} pixels; cut out the "
                "lens first"
            )
        return self._read(f"the image of extension {number}", lambda: self._floats(number, shape))

    def cut(self, number: int, cutter: Callable[[Any], T]) -> T:
        """Return the result of a function that reads a part of an image by slices.

        Parameters
        ----------
        number
            Number of the extension; its image may have more than `MOST_PIXELS`.
        cutter
            Function of an object that has ``shape``, ``dtype`` and slices, such as
            `astropy.nddata.Cutout2D` takes; pixels have the stored type, scaled.

        Raises
        ------
        DataError
            If that part is damaged.
        """
        section = self._hdus[number].section
        return self._read(f"a part of extension {number}", lambda: cutter(section))

    def table_columns(self) -> list[str] | None:
        """Return the names of the columns of the first table, in upper case; None without one."""
        number = self._first_table()
        if number is None:
            return None
        names = self._read("its table", lambda: list(self._hdus[number].columns.names))
        return [name.upper() for name in names]

    def table_column(self, name: str) -> np.ndarray:
        """Return a column of the first table, by its name in upper or lower case."""
        number = self._first_table()
        return self._read(f"column {name}", lambda: np.array(self._hdus[number].data[name]))

    def _first_table(self) -> int | None:
        tables = (i for i, found in enumerate(self._declared) if found.kind == "BINTABLE")
        return next(tables, None)

    def _floats(self, number: int, shape: tuple[int, ...]) -> np.ndarray:
        data = self._hdus[number].data
        small = data.dtype.itemsize <= (4 if data.dtype.kind == "f" else 2)
        pixels = np.asarray(data, dtype=np.float32 if small else np.float64)
        return np.ascontiguousarray(pixels.reshape(shape))

    def _read(self, what: str, read: Callable[[], T]) -> T:
        try:
            with warnings.catch_warnings(), np.errstate(all="ignore"):
                warnings.simplefilter("ignore")
                return read()
        except ImageError:
            raise
        except Exception as error:
            raise DataError(_damaged(self.path, what, error)) from error


@contextmanager
def opened(path: Path) -> Iterator[FitsFile]:
    """Open a file, also one that is compressed as a whole (gz, bz2, xz, zip).

    Raises
    ------
    DataError
        If it is missing, no regular file, no FITS, truncated, or declares what it does not hold.
    """
    size = require_regular_file(path, "FITS")
    try:
        file = path.open("rb")
    except OSError as error:
        raise DataError(f"{path} cannot be read as FITS: {error.strerror}") from error
    with file:
        plain, size = _unpacked(file, size, path)
        declared = declared_extensions(plain, size, str(path))
        if not declared:
            raise DataError(f"{path} cannot be read as FITS: it is empty; get the file again")
        plain.seek(0)
        with _astropy(plain, path) as hdus:
            yield FitsFile(path, hdus, declared)


def _astropy(file: BufferedIOBase, path: Path) -> fits.HDUList:
    try:
        # A fault that astropy warns about is either mended by astropy or fails when it is read.
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return fits.open(file, memmap=False)
    except Exception as error:
        raise DataError(_damaged(path, "its first header", error)) from error


def _unpacked(file: BufferedIOBase, size: int, path: Path) -> tuple[BufferedIOBase, int]:
    """Return a file as it is, or unpacked if it is compressed, and its size."""
    start = file.read(6)
    file.seek(0)
    unpack = next((u for magic, u in UNPACK.items() if start.startswith(magic)), None)
    if unpack is None:
        return file, size
    try:
        with unpack(file) as packed:
            content = cast(bytes, packed.read(MOST_UNPACKED + 1))
    except Exception as error:
        raise DataError(_damaged(path, "what is compressed in it", error)) from error
    if len(content) > MOST_UNPACKED:
        raise DataError(
            f"{path} holds more than {MOST_UNPACKED} bytes, compressed; unpack it first"
        )
    return io.BytesIO(content), len(content)


def _only_member(file: BufferedIOBase) -> Any:
    archive = zipfile.ZipFile(file)
    names = archive.namelist()
    if len(names) != 1:
        raise DataError(f"it holds {len(names)} files, not one")
    return archive.open(names[0])


UNPACK: dict[bytes, Callable[[Any], Any]] = {
    b"\x1f\x8b": gzip.open,
    b"BZh": bz2.BZ2File,
    b"\xfd7zXZ": lzma.LZMAFile,
    b"PK": _only_member,
}
"""Functions that unpack a compressed file, by its first bytes."""


def _damaged(path: Path, what: str, error: Exception) -> str:
    reason = " ".join(str(error).split())[:150] or type(error).__name__
    return f"{path} is truncated or corrupt: {what} cannot be read ({reason}); get the file again"
