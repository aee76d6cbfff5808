"""Metadata of a store on disk, which may come from a stranger.

A store that lenspinn wrote has one layout only, so its ``zarr.json`` files are compared with what
they must be before anything is opened: shapes, chunks and codecs that are not ours never get to
take memory.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import zarr

from lenspinn.data.info import DatasetInfo
from lenspinn.data.provenance import check_provenance
from lenspinn.data.shards import ShardFiles
from lenspinn.errors import DataError, StoreError
from lenspinn.files import read_json

SCHEMA_VERSION = 1
CHUNK_IMAGES = 16
"""Number of images in one chunk of a file, the least that is read at once."""
NOT_WRITTEN = -1
"""Label of an image that is not written yet."""

_MAX_FIELDS = 1000
_MAX_PLACES = 10**6
"""Largest number of values of a field of the truth along an axis, for one image."""
_MAX_FILES = 10**6
_LITTLE = {"name": "bytes", "configuration": {"endian": "little"}}
_ROOT_FILE = "zarr.json"
AGAIN = "make the dataset again, or copy it again"
"""Advice about a store that is damaged."""

TruthFields = Mapping[str, tuple[int, ...]]
"""Shape of each field for one image."""


@dataclass(frozen=True)
class Attributes:
    """Attributes of the root of a store."""

    info: DatasetInfo
    truth_fields: TruthFields
    provenance: dict[str, Any]
    complete: bool


@dataclass(frozen=True)
class StoredArray:
    """A stored array: its values by way of zarr, and the files they are in."""

    values: Any
    files: ShardFiles

    def read(self, rows: slice) -> np.ndarray:
        """Read rows. Raises StoreError if a file is corrupt."""
        try:
            return np.asarray(self.values[rows])
        except Exception as error:  # zarr raises exceptions of every kind for damaged files
            raise StoreError(
                f"A file in {self.files.folder} is corrupt: {error}; make the dataset again, or "
                "copy it again"
            ) from error


def open_group(path: Path, *, mode: Literal["r", "r+"]) -> zarr.Group:
    """Open a folder as a Zarr group.

    Raises
    ------
    StoreError
        If it is no Zarr group.
    """
    check_is_store(path)
    try:
        return zarr.open_group(path, mode=mode, zarr_format=3, use_consolidated=False)
    except Exception as error:  # zarr raises exceptions of every kind for damaged files
        raise StoreError(f"{path} is not a lenspinn dataset: {_short(error)}; {AGAIN}") from error


def check_is_store(path: Path) -> None:
    """Refuse a folder that cannot be a store. Raises StoreError."""
    if not (path / _ROOT_FILE).is_file():
        raise StoreError(
            f"{path} is not a lenspinn dataset: it has no {_ROOT_FILE}; give the folder of one"
        )


def read_attributes(path: Path) -> Attributes:
    """Read the attributes of a store.

    Raises
    ------
    StoreError
        If the store has a newer schema, or its attributes are not those of a store.
    """
    check_is_store(path)
    try:
        root = read_json(path / _ROOT_FILE, StoreError)
    except StoreError as error:
        raise StoreError(f"{path} is not a lenspinn dataset: {error}") from error
    attributes = root.get("attributes")
    schema = attributes.get("schema") if isinstance(attributes, dict) else None
    if not isinstance(attributes, dict) or type(schema) is not int or "info" not in attributes:
        raise StoreError(
            f"{path} is a folder of Zarr but not a lenspinn dataset: give the folder of one"
        )
    if schema > SCHEMA_VERSION:
        raise StoreError(
            f"{path} has schema {schema}, written by a newer lenspinn; "
            f"this one reads schemas up to {SCHEMA_VERSION}: install that one"
        )
    info, complete = attributes["info"], attributes.get("complete")
    if schema < 1 or not isinstance(info, dict) or not isinstance(complete, bool):
        raise StoreError(f"{path} is damaged: {AGAIN}")
    try:
        return Attributes(
            DatasetInfo.from_json(info),
            _truth_fields(attributes.get("truth_fields")),
            check_provenance(attributes.get("provenance")),
            complete,
        )
    except DataError as error:
        raise StoreError(f"{path} cannot be used: {error}; {AGAIN}") from error


def open_arrays(group: zarr.Group, path: Path, attributes: Attributes) -> dict[str, StoredArray]:
    """Open ``images``, the fields of the truth (``truth/<field>``) and ``labels``, in this order.

    Raises
    ------
    StoreError
        If an array is missing, or not as lenspinn writes it.
    """
    num_images, num_pix = attributes.info.num_images, attributes.info.num_pix
    kinds: dict[str, tuple[tuple[int, ...], str, Any]] = {}
    kinds["images"] = ((num_images, 1, num_pix, num_pix), "float32", "NaN")
    for name, shape in attributes.truth_fields.items():
        kinds[f"truth/{name}"] = ((num_images, *shape), "float64", "NaN")
    kinds["labels"] = ((num_images,), "int8", NOT_WRITTEN)
    arrays = {}
    for name, (shape, dtype, fill_value) in kinds.items():
        rows, chunk_rows = _checked_rows(path / name, shape, dtype, fill_value)
        try:
            # All NaN is a value like others: a missing file is damage, not "all the default".
            values = group[name].with_config({"write_empty_chunks": True})  # type: ignore[union-attr]
        except Exception as error:  # zarr raises exceptions of every kind for damaged files
            raise StoreError(
                f"{path} is damaged: the array {name} cannot be opened ({_short(error)}); {AGAIN}"
            ) from error
        kind = np.dtype(dtype).newbyteorder("<")
        files = ShardFiles(path / name, shape, shard_rows=rows, chunk_rows=chunk_rows, dtype=kind)
        arrays[name] = StoredArray(values, files)
    return arrays


def _checked_rows(
    folder: Path, shape: tuple[int, ...], dtype: str, fill_value: Any
) -> tuple[int, int | None]:
    """Return the number of rows in a file of an array, and in a chunk of the file if it has chunks.

    All other metadata of the array must be what lenspinn writes.
    """
    found = read_json(folder / _ROOT_FILE, StoreError)
    chunked = dtype == "float32"
    try:
        rows = found["chunk_grid"]["configuration"]["chunk_shape"][0]
        inner = found["codecs"][0]["configuration"]["chunk_shape"][0] if chunked else CHUNK_IMAGES
        possible = (
            type(rows) is type(inner) is int
            and inner >= 1
            and 1 <= rows < shape[0] + inner
            and rows * _MAX_FILES >= shape[0]
            and (rows % inner == 0 or not chunked)
        )
    except (KeyError, TypeError, IndexError):
        possible = False
    if possible:
        expected = _metadata(shape, dtype, fill_value, rows, inner if chunked else None)
        if all(found.get(key) == value for key, value in expected.items()):
            return rows, inner if chunked else None
    raise StoreError(
        f"{folder / _ROOT_FILE} does not describe an array of lenspinn of {shape[0]} images: make "
        "the dataset again, or copy it again"
    )


def _metadata(
    shape: tuple[int, ...], dtype: str, fill_value: Any, rows: int, chunk_rows: int | None
) -> dict[str, Any]:
    """Return the content that the ``zarr.json`` of an array must have."""
    codecs: list[dict[str, Any]] = [{"name": "bytes"} if dtype == "int8" else _LITTLE]
    if chunk_rows is not None:
        inner = {
            "chunk_shape": [chunk_rows, *shape[1:]],
            "codecs": codecs,
            "index_codecs": [_LITTLE, {"name": "crc32c"}],
            "index_location": "end",
        }
        codecs = [{"name": "sharding_indexed", "configuration": inner}]
    return {
        "zarr_format": 3,
        "node_type": "array",
        "shape": list(shape),
        "data_type": dtype,
        "chunk_grid": {
            "name": "regular",
            "configuration": {"chunk_shape": [rows, *shape[1:]]},
        },
        "chunk_key_encoding": {"name": "default", "configuration": {"separator": "/"}},
        "fill_value": fill_value,
        "codecs": codecs,
    }


def _truth_fields(found: Any) -> dict[str, tuple[int, ...]]:
    """Return the shape of each field of the truth, as a store states it, if it is possible."""
    if not isinstance(found, dict) or len(found) > _MAX_FIELDS:
        raise StoreError("its truth_fields are damaged")
    for name, shape in found.items():
        right = name.isidentifier() and isinstance(shape, list) and len(shape) <= 4
        if not (right and all(type(n) is int and 0 <= n <= _MAX_PLACES for n in shape)):
            raise StoreError(f"its truth has a field {name[:80]!r} of shape {str(shape)[:80]}")
    return {name: tuple(shape) for name, shape in found.items()}


def _short(error: Exception) -> str:
    return " ".join(str(error).split())[:200] or type(error).__name__
