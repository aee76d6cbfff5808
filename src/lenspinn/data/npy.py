"""Images in .npy files of any origin, in the forms in use; nothing in the files is run.

The declared kind, sizes and type are checked against the file before memory is taken.
"""

import math
import os
import re
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import FileIO
from pathlib import Path

import numpy as np

from lenspinn.data.array_pickle import load_objects
from lenspinn.errors import DataError

MAX_PIXELS = 4096**2
"""Largest number of values in one image, all channels counted."""

MAX_LABEL = 99
"""Largest whole number that is taken to be the label of an image."""

_MAX_HEADER = 10_000  # bytes; numpy itself reads no longer one
_MAX_AXES = 8
_SMALLEST_FLAT = 16  # pixels a side; a shorter array is as likely one row of an image
_MAX_PICKLE = 2**27  # bytes
_MAX_ROWS = 500_000  # images in one array
_MAGIC = b"\x93NUMPY"
_LENGTH_BYTES = {1: 2, 2: 4, 3: 4}
"""Number of bytes that state the length of the header, by version of the format."""

_ENTRY = r"""\s*(['"])%s\1\s*:\s*%s\s*,?"""
_FIELDS = {
    "descr": re.compile(_ENTRY % ("descr", r"""(['"])(?P<value>[^'"]{1,30})\2""")),
    "fortran_order": re.compile(_ENTRY % ("fortran_order", r"(?P<value>True|False)")),
    "shape": re.compile(_ENTRY % ("shape", r"\((?P<value>[\d\sL,]{0,200})\)")),
}
_NUMBERS = re.compile(r"[<>|=]?([iu][1248]|f[248]|b1)")
_OBJECTS = re.compile(r"[<>|=]?O8?")
_OTHER_KINDS = {
    "U": "text",
    "S": "text",
    "a": "text",
    "M": "dates",
    "m": "spans of time",
    "c": "complex numbers",
}

_DO_NOT_WAIT = getattr(os, "O_NONBLOCK", 0)
_SAVE_AGAIN = "save one image as an array (y, x) of numbers with numpy.save"


@dataclass(frozen=True)
class Header:
    """Header of a .npy file, checked against the length of the file."""

    dtype: np.dtype
    """Type of the values; `object` where a pickle follows."""
    shape: tuple[int, ...]
    is_fortran: bool
    offset: int
    """Number of bytes before the data."""
    num_bytes: int
    """Number of bytes of the data."""


def read_npy(path: Path | str) -> np.ndarray:
    """Read one image from a .npy file, in any form of DeepLense.

    The forms are: an array (y, x), with axes of length 1 or with equal channels in front or behind;
    a flat square image; an object array of rows; and an object array ``[image, number]``, whose
    number is a label or the mass of an axion. Pickles are read by an interpreter of their own that
    can build numeric arrays and nothing else: no code of the file is run.

    Parameters
    ----------
    path : Path

    Returns
    -------
    (y, x) float64
        The image.

    Raises
    ------
    DataError
        If the file is missing, is no regular .npy file, is damaged, declares more than it holds or
        more than `MAX_PIXELS`, holds anything but one image of real numbers, or contains a pickle
        that asks for more than numpy arrays.
    """
    return read_image_and_number(Path(path))[0]


def read_image_and_number(path: Path) -> tuple[np.ndarray, float | None]:
    """Read one image (y, x) float64 and the number that comes with it, as `read_npy`.

    Returns
    -------
    image, number
        The number is a label (whole, 0 to `MAX_LABEL`), the mass of an axion (eV, between 0 and 1)
        or None.
    """
    with _opened(path) as (file, header):
        if header.dtype.hasobject:
            content, number = _image_and_number(_read_objects(file, header))
        else:
            _check_count(header.shape)
            content, number = _read_numbers(file, header), None
    return single_image(content, str(path)), number


def read_header(path: Path) -> Header:
    """Read the header of a .npy file; raises DataError as `read_npy`."""
    with _opened(path) as (_, header):
        return header


def open_stack(path: Path) -> np.ndarray:
    """Map an array of many images, or of labels, its first axis counting them; nothing is read yet.

    Raises
    ------
    DataError
        As `read_npy`, and if the array holds Python objects, is a single number, or is empty.
    """
    with _opened(path) as (_, header):
        if header.dtype.hasobject:
            raise DataError(
                "it holds objects, and many images are one array of numbers; "
                "save it again as numpy.stack(list(ARRAY))"
            )
        if not header.shape or 0 in header.shape:
            raise DataError(f"its shape {header.shape} is empty; save all images as (n, y, x)")
        if header.shape[0] > _MAX_ROWS:
            raise DataError(f"it declares {header.shape[0]} images; split it in smaller files")
        if math.prod(header.shape[1:]) > MAX_PIXELS:
            raise DataError(f"images of shape {header.shape[1:]} are too large; cut them smaller")
        return np.memmap(
            path,
            header.dtype,
            mode="r",
            offset=header.offset,
            shape=header.shape,
            order="F" if header.is_fortran else "C",
        )


def is_stack(header: Header) -> bool:
    """Return whether an array of this shape holds many images, such as (n, y, x), and not one."""
    if header.dtype.hasobject:
        return False
    shape = header.shape
    if len(shape) == 3:  # fewer are as likely the bands of one image
        return shape[0] > 4 and shape[1] == shape[2]
    return len(shape) == 4 and shape[0] > 1


def single_image(array: np.ndarray, name: str) -> np.ndarray:
    """Bring an array into the form of one image.

    Parameters
    ----------
    array : real numbers
        Array (y, x), with axes of length 1 or three equal channels in front or behind, or flat.
    name : str
        Name of the array in errors, e.g. the file.

    Returns
    -------
    (y, x) float64

    Raises
    ------
    DataError
        If it has none of these forms.
    """
    shape = array.shape
    if array.dtype.kind not in "iuf":
        raise DataError(f"{name} holds true and false, not an image; {_SAVE_AGAIN}")
    if array.size == 0:
        raise DataError(f"{name} has shape {shape} and is empty; {_SAVE_AGAIN}")
    while array.ndim > 1 and 1 in (array.shape[0], array.shape[-1]):
        array = array[0] if array.shape[0] == 1 else array[..., 0]
    if array.ndim == 3 and 3 in (array.shape[0], array.shape[-1]):
        channels = array if array.shape[0] == 3 else np.moveaxis(array, -1, 0)
        if not (channels == channels[0]).all():
            raise DataError(
                f"{name} has shape {shape}, three channels that differ; save one of them as (y, x)"
            )
        array = channels[0]
    if array.ndim == 1:
        array = _square(array, name)
    if array.ndim != 2:
        raise DataError(
            f"{name} has shape {shape}, not that of one image (y, x); save each image in a file "
            "of its own"
        )
    return np.array(array, dtype=np.float64, order="C")


def _square(flat: np.ndarray, name: str) -> np.ndarray:
    side, with_label = _side(flat.size), _side(flat.size - 1)
    if side >= _SMALLEST_FLAT:
        return flat.reshape(side, side)
    if with_label >= _SMALLEST_FLAT:
        raise DataError(
            f"{name} has shape {flat.shape}: a flat image of {with_label} x {with_label} pixels "
            "and one number before or behind it; save the image without it"
        )
    raise DataError(
        f"{name} has shape {flat.shape}, a flat array that is no square image; {_SAVE_AGAIN}"
    )


def _side(count: int) -> int:
    """Return the side of a square with that number of pixels, 0 if there is none."""
    side = math.isqrt(max(count, 0))
    return side if side * side == count else 0


def _image_and_number(objects: np.ndarray) -> tuple[np.ndarray, float | None]:
    """Split [image, number], or join the rows of an image."""
    if objects.size == 1 and isinstance(objects.flat[0], np.ndarray):
        return _rows(objects.flat[0]), None
    if objects.shape != (2,) or not isinstance(objects[0], np.ndarray) or np.size(objects[1]) != 1:
        return _rows(objects), None
    try:
        number = float(np.asarray(objects[1], dtype=np.float64).item())
    except (TypeError, ValueError, OverflowError):
        number = math.nan
    is_label = number in range(MAX_LABEL + 1)
    if not (is_label or 0 < number < 1):
        raise DataError(
            "it holds an image and a number that is neither a label (0, 1, 2, ...) nor the mass of "
            f"an axion (eV, below 1); {_SAVE_AGAIN}"
        )
    return _rows(objects[0]), number


def _rows(values: np.ndarray) -> np.ndarray:
    """Join an array of objects, either numbers or rows of equal length, to one array of numbers."""
    if values.dtype != object:
        return values
    items = list(values.flat)
    lengths = {item.shape if isinstance(item, np.ndarray) else () for item in items}
    is_numbers, is_rows = lengths == {()}, values.ndim == 1 and len(lengths) == 1
    if not (is_numbers or (is_rows and all(item.ndim == 1 for item in items))):
        raise DataError(
            f"it holds an array of {len(items)} objects, neither the rows of one image nor "
            f"[image, number]; {_SAVE_AGAIN}"
        )
    _check_count((len(items), *lengths.pop()))
    try:
        joined = np.array(items, dtype=np.float64)
    except (TypeError, ValueError, OverflowError) as error:
        raise DataError(f"its objects are no real numbers; {_SAVE_AGAIN}") from error
    return joined.reshape(values.shape) if is_numbers else joined


@contextmanager
def _opened(path: Path) -> Iterator[tuple[FileIO, Header]]:
    """Open a regular .npy file after its header; every complaint about it names the file."""
    name = str(path) if str(path).isprintable() else repr(str(path))
    try:
        # Opening a pipe would wait for somebody to write into it.
        file = FileIO(path, opener=lambda name, flags: os.open(name, flags | _DO_NOT_WAIT))
        with file:
            status = os.fstat(file.fileno())
            if not stat.S_ISREG(status.st_mode):
                raise DataError("it is a pipe or device; give a regular file")
            yield file, _read_header(file, status.st_size)
    except OSError as error:
        raise DataError(
            f"{name} cannot be read: {error.strerror or error}; give a .npy file that can be"
        ) from error
    except DataError as error:
        raise DataError(f"{name} is not a .npy file lenspinn reads: {error}") from error


def _read_header(file: FileIO, size: int) -> Header:
    start = file.read(8)
    if not start.startswith(_MAGIC) or len(start) < 8:
        raise DataError(f"it does not begin like one; {_SAVE_AGAIN}")
    major, minor = start[6:]
    if major not in _LENGTH_BYTES or minor != 0:
        raise DataError(f"version {major}.{minor} of the format is unknown; {_SAVE_AGAIN}")
    length = int.from_bytes(file.read(_LENGTH_BYTES[major]), "little")
    if length > _MAX_HEADER:
        raise DataError(f"its header claims {length} bytes; {_SAVE_AGAIN}")
    text = file.read(length).decode("latin1")
    if len(text) < length:
        raise DataError(f"it ends within its header; {_SAVE_AGAIN}")
    values = _fields(text)
    dtype, shape = _dtype(values["descr"]), _shape(values["shape"])
    num_bytes = size - file.tell()
    needed = dtype.itemsize * math.prod(shape)
    if not dtype.hasobject and num_bytes != needed:
        fault = "it is truncated" if num_bytes < needed else "something follows its array"
        raise DataError(f"{fault}, {num_bytes} bytes of {needed}; copy or save it again")
    return Header(dtype, shape, values["fortran_order"] == "True", file.tell(), num_bytes)


def _fields(text: str) -> dict[str, str]:
    """Return values of a header by name; numpy would run Python's parser on a hostile header."""
    stripped = text.strip()
    rest, values = stripped[1:-1], {}
    for name, pattern in _FIELDS.items():
        found = pattern.search(rest)
        if found is None:
            if name == "descr" and name in text:
                raise DataError(f"it holds records or an unknown type; {_SAVE_AGAIN}")
            raise DataError(f"its header has no valid {name}; {_SAVE_AGAIN}")
        values[name] = found["value"]
        rest = rest[: found.start()] + rest[found.end() :]
    if rest.strip() or stripped[:1] + stripped[-1:] != "{}":
        raise DataError(f"its header is damaged; {_SAVE_AGAIN}")
    return values


def _dtype(text: str) -> np.dtype:
    if _NUMBERS.fullmatch(text):
        return np.dtype(text)
    if _OBJECTS.fullmatch(text):
        return np.dtype(object)
    kind = _OTHER_KINDS.get(text.lstrip("<>|=")[:1], f"values of type {text!r}")
    raise DataError(f"it holds {kind}, not an image; {_SAVE_AGAIN}")


def _shape(text: str) -> tuple[int, ...]:
    sizes = [size.strip().removesuffix("L") for size in text.split(",")]
    if sizes[-1] == "":
        sizes.pop()
    if len(sizes) > _MAX_AXES or not all(size.isdigit() and len(size) < 20 for size in sizes):
        raise DataError(f"its header has no valid shape; {_SAVE_AGAIN}")
    return tuple(int(size) for size in sizes)


def _check_count(shape: tuple[int, ...]) -> None:
    if math.prod(shape) > MAX_PIXELS:
        raise DataError(
            f"its shape {shape} is more than one image of {MAX_PIXELS} pixels; "
            "save each image, or a smaller part of it, in a file of its own"
        )


def _read_numbers(file: FileIO, header: Header) -> np.ndarray:
    values = np.frombuffer(_read(file, header.num_bytes), header.dtype)
    return values.reshape(header.shape, order="F" if header.is_fortran else "C")


def _read_objects(file: FileIO, header: Header) -> np.ndarray:
    if header.num_bytes > _MAX_PICKLE:
        raise DataError(
            f"its pickle has {header.num_bytes} bytes, too many for an image; {_SAVE_AGAIN}"
        )
    try:
        objects = load_objects(_read(file, header.num_bytes))
    except DataError as error:
        raise DataError(f"{error}; {_SAVE_AGAIN}") from error
    if objects.shape != header.shape:
        raise DataError(
            f"its header says {header.shape}, its pickle {objects.shape}; {_SAVE_AGAIN}"
        )
    return objects


def _read(file: FileIO, num_bytes: int) -> bytes:
    content = file.read(num_bytes)
    if len(content) < num_bytes:
        raise DataError("it was truncated while it was read")
    return content
