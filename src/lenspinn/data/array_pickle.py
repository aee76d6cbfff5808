"""Pickled arrays as numpy.save writes them, rebuilt without running anything of the file.

A pickle is a program. Before it is run, every instruction is checked: only those that
``numpy.save`` writes for arrays and numbers are allowed, and none may ask for more memory than the
file is long. The classes below then build the arrays in place of numpy's own, which would believe
the sizes and types in a pickle, and could read memory outside of the array.
"""

import io
import math
import pickle
import pickletools
import re
from typing import Any

import numpy as np

from lenspinn.errors import DataError

MAX_STEPS = 500_000
"""Largest number of instructions of a pickle; an image of a megapixel in rows has thousands."""

_MAX_ITEMS_THAT_NEST = 4  # an array of more objects than these holds numbers and plain arrays only
_PLAIN_TYPE = re.compile(r"[biuf][1248]|O8|b1")

_ALLOWED = re.compile(
    "PROTO|FRAME|STOP|MARK|GLOBAL|STACK_GLOBAL|REDUCE|BUILD|NONE|NEWTRUE|NEWFALSE|"
    "BININT|BININT1|BININT2|LONG1|BINFLOAT|SHORT_BINUNICODE|BINUNICODE|"
    "SHORT_BINBYTES|BINBYTES|BINBYTES8|EMPTY_TUPLE|TUPLE|TUPLE1|TUPLE2|TUPLE3|"
    "EMPTY_LIST|APPEND|APPENDS|MEMOIZE|BINPUT|LONG_BINPUT|BINGET|LONG_BINGET"
)
_STORES = ("BINPUT", "LONG_BINPUT")


def load_objects(content: bytes) -> np.ndarray:
    """Rebuild an array of Python objects from its pickle.

    Parameters
    ----------
    content : bytes
        Bytes that follow the header of a .npy file.

    Returns
    -------
    object array
        Array of numbers, of arrays of numbers, or (with at most four items) of such object arrays.

    Raises
    ------
    DataError
        If the pickle is damaged, longer than its array, too long, or asks for more than arrays and
        numbers. Nothing has been run then.
    """
    _check_steps(content)
    try:
        loaded = _ArrayUnpickler(io.BytesIO(content)).load()
    except DataError:
        raise
    # Anything can come out of a broken or hostile pickle.
    except Exception as error:
        raise DataError(f"its pickle is damaged ({type(error).__name__})") from error
    if not isinstance(loaded, _Array) or loaded.kind is None:
        raise DataError(f"its pickle holds {_name(loaded)}, not an array")
    if not loaded.kind.dtype.hasobject:
        raise DataError("its header says objects, its pickle numbers")
    return loaded.objects(may_nest=True)


def _check_steps(content: bytes) -> None:
    """Refuse a pickle by its instructions, before any of them is carried out."""
    end = 0
    try:
        for step, (code, argument, position) in enumerate(pickletools.genops(content)):
            if not _ALLOWED.fullmatch(code.name):
                raise DataError(f"its pickle has the instruction {code.name}, which no array needs")
            if step >= MAX_STEPS:
                raise DataError(f"its pickle has more than {MAX_STEPS} instructions")
            # The memo grows with the highest number in it, not with the count of its entries.
            if code.name in _STORES and int(argument or 0) > step:
                raise DataError("its pickle asks for room that no array needs")
            end = (position or 0) + 1
    except DataError:
        raise
    except Exception as error:
        raise DataError(f"its pickle is damaged ({type(error).__name__})") from error
    if end != len(content):
        raise DataError(f"{len(content) - end} bytes follow its pickle")


class _ArrayUnpickler(pickle.Unpickler):
    """Rebuilds arrays and numbers with the stand-ins below."""

    def find_class(self, module: str, name: str) -> Any:
        try:
            return _STAND_INS[module, name]
        except KeyError:
            raise DataError(
                f"its pickle asks for {module[:60]!r}, {name[:60]!r}; only numpy arrays are allowed"
            ) from None


class _Type:
    """A numeric type, or the type of Python objects."""

    __slots__ = ("dtype",)

    def __init__(self, spec: str, align: bool, copy: bool) -> None:
        if not _PLAIN_TYPE.fullmatch(spec):
            raise DataError(f"its pickle has data of type {spec[:20]!r}, only numbers are allowed")
        self.dtype = np.dtype(spec)

    def __setstate__(self, state: tuple) -> None:
        self.dtype = self.dtype.newbyteorder(state[1])


class _Array:
    """An array as its pickle describes it; it is made once all is known to fit together."""

    __slots__ = ("content", "is_fortran", "kind", "shape")

    def __init__(self, kind: object, shape: tuple[int, ...], typecode: bytes) -> None:
        self.kind: _Type | None = None  # the pickle's next step is to fill it

    def __setstate__(self, state: tuple) -> None:
        _, shape, kind, self.is_fortran, self.content = state
        whole = isinstance(shape, tuple) and all(type(size) is int and size >= 0 for size in shape)
        if not whole or not isinstance(kind, _Type) or len(shape) > 8:
            raise DataError("its pickle describes no array")
        self.shape, self.kind = shape, kind

    def numbers(self) -> np.ndarray:
        """Return the array of numbers; it shares the memory of the pickle."""
        assert self.kind is not None
        size = math.prod(self.shape) * self.kind.dtype.itemsize
        if not isinstance(self.content, bytes) or len(self.content) != size:
            raise DataError("its pickle has an array that is longer or shorter than its data")
        values = np.frombuffer(self.content, self.kind.dtype)
        return values.reshape(self.shape, order="F" if self.is_fortran else "C")

    def objects(self, *, may_nest: bool) -> np.ndarray:
        """Return the array of objects."""
        count = math.prod(self.shape)
        if not isinstance(self.content, list) or len(self.content) != count:
            raise DataError("its pickle has an array that is longer or shorter than its data")
        nested = may_nest and count <= _MAX_ITEMS_THAT_NEST
        values = np.empty(count, dtype=object)
        for i, item in enumerate(self.content):
            values[i] = _value(item, may_nest=nested)
        return values.reshape(self.shape, order="F" if self.is_fortran else "C")


class _Number:
    """One number of a numeric type."""

    __slots__ = ("value",)

    def __init__(self, kind: _Type, content: bytes) -> None:
        (self.value,) = np.frombuffer(content, kind.dtype)

    def __setstate__(self, state: object) -> None:
        raise DataError("its pickle gives a number a state")


def _value(item: object, *, may_nest: bool) -> Any:
    if isinstance(item, _Number):
        return item.value
    if isinstance(item, _Array) and item.kind is not None:
        if not item.kind.dtype.hasobject:
            return item.numbers()
        if may_nest:
            return item.objects(may_nest=False)
    if isinstance(item, int | float):
        return item
    raise DataError(f"its pickle holds {_name(item)}, not an array or a number")


def _name(item: object) -> str:
    return "arrays within arrays" if isinstance(item, _Array) else type(item).__name__.strip("_")


_STAND_INS: dict[tuple[str, str], object] = {
    ("numpy", "ndarray"): object(),  # named by a pickle, never called
    ("numpy", "dtype"): _Type,
    # numpy 1, then numpy 2.
    ("numpy.core.multiarray", "_reconstruct"): _Array,
    ("numpy.core.multiarray", "scalar"): _Number,
    ("numpy._core.multiarray", "_reconstruct"): _Array,
    ("numpy._core.multiarray", "scalar"): _Number,
}
