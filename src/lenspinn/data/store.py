"""The dataset on disk: images, labels, truth and provenance in one Zarr v3 folder.

Layout of ``X.zarr``::

    zarr.json        attributes: schema, info, truth_fields, provenance, complete
    images           (N, 1, y, x) float32, one file a shard of SHARD_IMAGES images
    labels           (N,) int8, -1 where not written yet, one file a shard
    truth/<field>    (N, *shape) float64, one file a shard

Files are not compressed: float32 pixels shrink by 5-20 % only, for 2-3 times the writing time, and
so the size of every file is known beforehand and a truncated one is found without reading it.
A shard's labels are written after its images and truth. A shard therefore counts as finished when
its labels are there and every file has its full size; all else is written again, so that an
interrupted run, run again, ends with the bytes of an uninterrupted one.
"""

import dataclasses
import errno
import json
import math
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np
import zarr

from lenspinn.data.provenance import provenance
from lenspinn.errors import StoreError

SCHEMA_VERSION = 1
SHARD_IMAGES = 768
"""Images in one file: the unit of writing and of resuming. 12 MiB at 64 x 64 pixels."""

CHUNK_IMAGES = 16
"""Images in one chunk of a file: the least that is read at once."""

_NOT_WRITTEN = -1
_INDEX_ENTRY_BYTES = 16  # offset and length of a chunk, zarr's sharding_indexed codec
_INDEX_CHECKSUM_BYTES = 4
# Above one wanted image in so many, reading whole shards beats reading single chunks.
_SPARSE = 16
_DISK_FULL = (errno.ENOSPC, errno.EDQUOT)


@dataclass(frozen=True, kw_only=True)
class DatasetInfo:
    """What a dataset is, independent of how it was computed."""

    num_images: int
    num_pix: int
    """Pixels along a side."""
    pixel_scale: float
    """Arcsec per pixel."""
    classes: tuple[str, ...]
    """Class names; a label is an index into this tuple."""
    recipe: str
    """Name of the simulation recipe, or what the images were imported from."""
    instrument: str
    unit: str
    """Unit of the pixels, e.g. ``"e-/s"``."""
    noise_sigma: float
    """Background standard deviation of one pixel in ``unit``; 0 means noise-free."""
    lens_light: bool
    """Whether the images contain the light of the lens galaxy."""
    recipe_config: dict[str, Any]
    """The resolved recipe, JSON-able."""
    seed: int | None

    def __post_init__(self) -> None:
        for name in ("num_images", "num_pix", "pixel_scale"):
            value = getattr(self, name)
            if not value > 0:
                raise StoreError(f"A dataset needs {name} > 0, not {value}")
        # As JSON returns it (tuples become lists), so that equality survives the disk.
        config = json.loads(json.dumps(self.recipe_config))
        object.__setattr__(self, "recipe_config", config)

    def to_json(self) -> dict[str, Any]:
        """Return a JSON-able dictionary that `from_json` turns back into an equal object."""
        return dataclasses.asdict(self) | {"classes": list(self.classes)}

    @classmethod
    def from_json(cls, record: Mapping[str, Any]) -> "DatasetInfo":
        """Rebuild from what `to_json` returned."""
        return cls(**(dict(record) | {"classes": tuple(record["classes"])}))


class StoreWriter:
    """Writes a dataset shard by shard; any shard order, any number of threads.

    Use `StoreWriter.open`, then `write_shard` for each of `pending_shards`, then `finish`.
    """

    def __init__(self, path: Path, group: zarr.Group, info: DatasetInfo) -> None:
        self.path = path
        self.info = info
        self._group = group
        self._arrays = _arrays(group, path)

    @classmethod
    def open(
        cls, path: Path | str, info: DatasetInfo, truth_fields: Mapping[str, tuple[int, ...]]
    ) -> "StoreWriter":
        """Create a store, or go on with an unfinished one of the same content.

        Parameters
        ----------
        path : Path
            Folder of the store.
        info : DatasetInfo
        truth_fields : mapping of name to shape
            Shape of each field for one image; ``()`` is one number an image.

        Raises
        ------
        StoreError
            If something else is at ``path``: another dataset, one begun by other software
            versions (its images could differ), or anything that is not a store.
        """
        path = Path(path)
        with _disk_full_is_a_store_error(path):
            if not path.exists() or (path.is_dir() and not any(path.iterdir())):
                _create(path, info, truth_fields)
            group = _open_group(path, mode="r+")
            attributes = _attributes(group, path)
            _check_same(path, attributes, info, truth_fields)
            if not attributes["complete"]:
                _remove_partial_files(path)
        return cls(path, group, info)

    def pending_shards(self) -> list[range]:
        """Image numbers of each shard that is not finished yet."""
        if self._group.attrs["complete"]:
            return []
        labels = self._arrays["labels"]
        return [
            rows
            for shard, rows in enumerate(_shard_ranges(labels))
            if _damaged_file(self.path, self._arrays, shard) is not None
            or (_read(self.path, labels, rows) == _NOT_WRITTEN).any()
        ]

    def write_shard(
        self,
        rows: range,
        images: np.ndarray,
        labels: np.ndarray,
        truth: Mapping[str, np.ndarray],
    ) -> None:
        """Write one whole shard.

        Parameters
        ----------
        rows : range
            One of the ranges of `pending_shards`.
        images : (n, 1, y, x) float32
        labels : (n,) integer
            Indices into ``info.classes``.
        truth : mapping of name to (n, *shape) array
            Exactly the fields the store was opened with.

        Raises
        ------
        StoreError
            If the content does not fit the store, or the disk is full.
        """
        content = {"images": images} | {f"truth/{name}": truth[name] for name in truth}
        content["labels"] = labels  # last: they declare the shard finished
        self._check_content(rows, content)
        shard = rows.start // self._arrays["labels"].chunks[0]
        with _disk_full_is_a_store_error(self.path):
            # A partial last shard would be merged with what is there, damaged or not.
            for file in reversed(_shard_files(self.path, self._arrays, shard).values()):
                file.unlink(missing_ok=True)
            for name, values in content.items():
                self._arrays[name][rows.start : rows.stop] = values

    def finish(self) -> None:
        """Declare the dataset complete. Raises StoreError while shards are pending."""
        pending = self.pending_shards()
        if pending:
            raise StoreError(f"{self.path} cannot be finished: {len(pending)} shards are pending")
        if not self._group.attrs["complete"]:
            with _disk_full_is_a_store_error(self.path):
                self._group.attrs["complete"] = True

    def _check_content(self, rows: range, content: Mapping[str, np.ndarray]) -> None:
        if rows not in _shard_ranges(self._arrays["labels"]):
            raise StoreError(f"{rows} is not a shard of {self.path}")
        if content.keys() != self._arrays.keys():
            wrong = sorted(content.keys() ^ self._arrays.keys())
            raise StoreError(f"{self.path} was opened with other truth fields: {wrong} differ")
        for name, values in content.items():
            expected = (len(rows), *self._arrays[name].shape[1:])
            if values.shape != expected:
                raise StoreError(f"{name} of {rows} has shape {values.shape}, not {expected}")
        if not np.isfinite(content["images"]).all():
            raise StoreError(f"Images of {rows} hold values that are not finite")
        labels, num_classes = content["labels"], len(self.info.classes)
        if not ((labels >= 0) & (labels < num_classes)).all():
            raise StoreError(f"Labels of {rows} are not all in 0..{num_classes - 1}")


class ImageStore:
    """A complete dataset, read-only. Use `ImageStore.open`."""

    def __init__(self, path: Path, group: zarr.Group) -> None:
        attributes = _attributes(group, path)
        self.path = path
        self.info = DatasetInfo.from_json(attributes["info"])
        self.provenance: dict[str, Any] = attributes["provenance"]
        self._arrays = _arrays(group, path)

    @classmethod
    def open(cls, path: Path | str) -> "ImageStore":
        """Open a complete store.

        Raises
        ------
        StoreError
            If the store is missing, incomplete, truncated, of a newer schema, or not a store.
        """
        path = Path(path)
        if not path.exists():
            raise StoreError(f"There is no dataset at {path}")
        group = _open_group(path, mode="r")
        if not _attributes(group, path)["complete"]:
            raise StoreError(f"{path} is incomplete: run the command that made it again to resume")
        store = cls(path, group)
        for shard in range(len(_shard_ranges(store._arrays["labels"]))):
            damaged = _damaged_file(path, store._arrays, shard)
            if damaged is not None:
                raise StoreError(f"{path} is truncated: {damaged} is missing or has a wrong size")
        return store

    def __len__(self) -> int:
        return self.info.num_images

    @cached_property
    def labels(self) -> np.ndarray:
        """Labels, (N,) int64: indices into ``info.classes``."""
        return _read(self.path, self._arrays["labels"], slice(None)).astype(np.int64)

    @cached_property
    def truth(self) -> dict[str, np.ndarray]:
        """Truth by field, (N, *shape) float64; read at first use."""
        return {
            name.removeprefix("truth/"): _read(self.path, array, slice(None))
            for name, array in self._arrays.items()
            if name.startswith("truth/")
        }

    def images(self, rows: np.ndarray | list[int] | slice) -> np.ndarray:
        """Read images.

        Parameters
        ----------
        rows : (n,) non-negative integers in any order, or a slice

        Returns
        -------
        (n, 1, y, x) float32

        Raises
        ------
        StoreError
            If a file is corrupt.
        """
        array = self._arrays["images"]
        if isinstance(rows, slice):
            return _read(self.path, array, rows)
        rows = np.asarray(rows, dtype=np.int64)
        shard_of_row = rows // array.shards[0]
        shards = np.unique(shard_of_row)
        if len(rows) * _SPARSE < len(shards) * array.shards[0]:
            return _read(self.path, array.oindex, rows)
        images = np.empty((len(rows), *array.shape[1:]), dtype=np.float32)
        for shard in shards:
            wanted = np.flatnonzero(shard_of_row == shard)
            first = rows[wanted].min()
            block = _read(self.path, array, range(first, rows[wanted].max() + 1))
            images[wanted] = block[rows[wanted] - first]
        return images


def _create(path: Path, info: DatasetInfo, truth_fields: Mapping[str, tuple[int, ...]]) -> None:
    # Made beside its place and moved there whole: a store exists with all its metadata or not.
    draft = path.with_name(path.name + ".creating")
    shutil.rmtree(draft, ignore_errors=True)
    group = zarr.create_group(draft, zarr_format=3)
    rows = min(SHARD_IMAGES, math.ceil(info.num_images / CHUNK_IMAGES) * CHUNK_IMAGES)
    pixels = (1, info.num_pix, info.num_pix)
    common: dict[str, Any] = {
        "compressors": None,
        "config": {"write_empty_chunks": True},  # a missing file is damage, never "all zero"
    }
    group.create_array(
        "images",
        shape=(info.num_images, *pixels),
        chunks=(CHUNK_IMAGES, *pixels),
        shards=(rows, *pixels),
        dtype="float32",
        fill_value=math.nan,
        **common,
    )
    group.create_array(
        "labels",
        shape=(info.num_images,),
        chunks=(rows,),
        dtype="int8",
        fill_value=_NOT_WRITTEN,
        **common,
    )
    for name, shape in truth_fields.items():
        group.create_array(
            f"truth/{name}",
            shape=(info.num_images, *shape),
            chunks=(rows, *shape),
            dtype="float64",
            fill_value=math.nan,
            **common,
        )
    group.attrs.update(
        {
            "schema": SCHEMA_VERSION,
            "info": info.to_json(),
            "truth_fields": _fields_to_json(truth_fields),
            "provenance": provenance(),
            "complete": False,
        }
    )
    draft.rename(path)


def _fields_to_json(truth_fields: Mapping[str, tuple[int, ...]]) -> dict[str, list[int]]:
    return {name: list(shape) for name, shape in truth_fields.items()}


def _open_group(path: Path, *, mode: Literal["r", "r+"]) -> zarr.Group:
    if not (path / "zarr.json").is_file():
        raise StoreError(f"{path} is not a lenspinn dataset: it has no zarr.json")
    try:
        return zarr.open_group(path, mode=mode, zarr_format=3)
    except (ValueError, TypeError, KeyError, OSError) as error:
        raise StoreError(f"{path} is not a lenspinn dataset: {error}") from error


def _attributes(group: zarr.Group, path: Path) -> dict[str, Any]:
    attributes = dict(group.attrs)
    schema = attributes.get("schema")
    if not isinstance(schema, int) or "info" not in attributes:
        raise StoreError(f"{path} is a Zarr group but not a lenspinn dataset")
    if schema > SCHEMA_VERSION:
        raise StoreError(
            f"{path} has schema {schema}, written by a newer lenspinn; "
            f"this one reads schemas up to {SCHEMA_VERSION}"
        )
    return attributes


def _check_same(
    path: Path,
    found: Mapping[str, Any],
    info: DatasetInfo,
    truth_fields: Mapping[str, tuple[int, ...]],
) -> None:
    asked = info.to_json()
    differing = [key for key in asked if found["info"].get(key) != asked[key]]
    if found["truth_fields"] != _fields_to_json(truth_fields):
        differing.append("truth_fields")
    if differing:
        raise StoreError(
            f"{path} holds another dataset ({', '.join(differing)} differ): "
            "give another path or delete it"
        )
    # Hardware may change on the way; software may not, for it could change the images.
    now = provenance()
    software = [key for key in ("versions", "git") if found["provenance"][key] != now[key]]
    if software and not found["complete"]:
        raise StoreError(
            f"{path} was begun with other software ({', '.join(software)} differ): go on with "
            f"{[found['provenance'][key] for key in software]}, or delete it"
        )


def _arrays(group: zarr.Group, path: Path) -> dict[str, Any]:
    fields = _attributes(group, path)["truth_fields"]
    names = ["images", *(f"truth/{name}" for name in fields), "labels"]
    try:
        return {name: group[name] for name in names}
    except (ValueError, TypeError, KeyError, OSError) as error:
        raise StoreError(f"{path} is damaged: the array {error} cannot be opened") from error


def _shard_ranges(labels: Any) -> list[range]:
    size, total = labels.chunks[0], labels.shape[0]
    return [range(start, min(start + size, total)) for start in range(0, total, size)]


def _shard_files(path: Path, arrays: Mapping[str, Any], shard: int) -> dict[str, Path]:
    return {
        name: path / name / array.metadata.encode_chunk_key((shard, *(0 for _ in array.shape[1:])))
        for name, array in arrays.items()
    }


def _damaged_file(path: Path, arrays: Mapping[str, Any], shard: int) -> Path | None:
    """First file of a shard that is not there in full size, None if all are."""
    for name, file in _shard_files(path, arrays, shard).items():
        if not file.is_file() or file.stat().st_size != _file_bytes(arrays[name], shard):
            return file
    return None


def _file_bytes(array: Any, shard: int) -> int:
    """Size of a file: uncompressed chunks, the last one padded, and the index of a shard."""
    if array.shards is None:
        return math.prod(array.chunks) * array.dtype.itemsize
    rows = min(array.shards[0], array.shape[0] - shard * array.shards[0])
    chunks_written = math.ceil(rows / array.chunks[0])
    index_entries = array.shards[0] // array.chunks[0]
    return (
        chunks_written * math.prod(array.chunks) * array.dtype.itemsize
        + index_entries * _INDEX_ENTRY_BYTES
        + _INDEX_CHECKSUM_BYTES
    )


def _read(path: Path, array: Any, rows: np.ndarray | range | slice) -> np.ndarray:
    selection = slice(rows.start, rows.stop) if isinstance(rows, range) else rows
    try:
        return np.asarray(array[selection])
    except (ValueError, OSError, RuntimeError) as error:
        raise StoreError(f"{path} cannot be read, a file in it is corrupt: {error}") from error


def _remove_partial_files(path: Path) -> None:
    """Remove what zarr's write-then-rename leaves behind when it is killed."""
    for file in path.rglob("*.partial"):
        file.unlink()


@contextmanager
def _disk_full_is_a_store_error(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno not in _DISK_FULL:
            raise
        raise StoreError(
            f"The disk is full: {path} keeps its finished shards; make room and run the same "
            "command again to resume"
        ) from error
