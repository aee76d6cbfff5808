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

import errno
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

from lenspinn.data.info import DatasetInfo
from lenspinn.data.provenance import provenance
from lenspinn.data.shards import ShardFiles
from lenspinn.errors import StoreError

__all__ = ["SCHEMA_VERSION", "SHARD_IMAGES", "DatasetInfo", "ImageStore", "StoreWriter"]

SCHEMA_VERSION = 1
SHARD_IMAGES = 768
"""Images in one file: the unit of writing and of resuming. 12 MiB at 64 x 64 pixels."""

CHUNK_IMAGES = 16
"""Images in one chunk of a file: the least that is read at once."""

_NOT_WRITTEN = -1
_DISK_FULL = (errno.ENOSPC, errno.EDQUOT)


@dataclass(frozen=True)
class _Array:
    """A stored array: its values by way of zarr, and the files they are in."""

    values: Any
    files: ShardFiles

    def read(self, rows: slice) -> np.ndarray:
        try:
            return np.asarray(self.values[rows])
        except (ValueError, OSError, RuntimeError) as error:
            raise StoreError(f"A file in {self.files.folder} is corrupt: {error}") from error


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
            for shard, rows in enumerate(labels.files.ranges)
            if _damaged_file(self._arrays, shard) is not None
            or (labels.read(slice(rows.start, rows.stop)) == _NOT_WRITTEN).any()
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
        shard = self._arrays["labels"].files.ranges.index(rows)
        with _disk_full_is_a_store_error(self.path):
            # A partial last shard would be merged with what is there, damaged or not.
            for array in reversed(self._arrays.values()):
                array.files.remove(shard)
            for name, values in content.items():
                self._arrays[name].values[rows.start : rows.stop] = values

    def finish(self) -> None:
        """Declare the dataset complete. Raises StoreError while shards are pending."""
        pending = self.pending_shards()
        if pending:
            raise StoreError(f"{self.path} cannot be finished: {len(pending)} shards are pending")
        if not self._group.attrs["complete"]:
            with _disk_full_is_a_store_error(self.path):
                self._group.attrs["complete"] = True

    def _check_content(self, rows: range, content: Mapping[str, np.ndarray]) -> None:
        if rows not in self._arrays["labels"].files.ranges:
            raise StoreError(f"{rows} is not a shard of {self.path}")
        if content.keys() != self._arrays.keys():
            wrong = sorted(content.keys() ^ self._arrays.keys())
            raise StoreError(f"{self.path} was opened with other truth fields: {wrong} differ")
        for name, values in content.items():
            expected = (len(rows), *self._arrays[name].files.shape[1:])
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
        for shard in range(len(store._arrays["labels"].files.ranges)):
            damaged = _damaged_file(store._arrays, shard)
            if damaged is not None:
                raise StoreError(f"{path} is truncated: {damaged} is missing or has a wrong size")
        return store

    def __len__(self) -> int:
        return self.info.num_images

    @cached_property
    def labels(self) -> np.ndarray:
        """Labels, (N,) int64: indices into ``info.classes``."""
        return self._arrays["labels"].read(slice(None)).astype(np.int64)

    @cached_property
    def truth(self) -> dict[str, np.ndarray]:
        """Truth by field, (N, *shape) float64; read at first use."""
        return {
            name.removeprefix("truth/"): array.read(slice(None))
            for name, array in self._arrays.items()
            if name.startswith("truth/")
        }

    def read_truth(self, field: str) -> np.ndarray | None:
        """Read one field of the truth, (N, *shape) float64, and no other; None if there is none."""
        array = self._arrays.get(f"truth/{field}")
        return None if array is None else array.read(slice(None))

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
        IndexError
            If a row does not exist.
        """
        if isinstance(rows, slice):
            rows = np.arange(len(self))[rows]
        return self._arrays["images"].files.read(np.asarray(rows, dtype=np.int64))


def _create(path: Path, info: DatasetInfo, truth_fields: Mapping[str, tuple[int, ...]]) -> None:
    # Made beside its place and moved there whole: a store exists with all its metadata or not.
    draft = path.with_name(path.name + ".creating")
    shutil.rmtree(draft, ignore_errors=True)
    group = zarr.create_group(draft, zarr_format=3)
    _create_arrays(group, info, truth_fields)
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


def _create_arrays(
    group: zarr.Group, info: DatasetInfo, truth_fields: Mapping[str, tuple[int, ...]]
) -> None:
    rows = min(SHARD_IMAGES, math.ceil(info.num_images / CHUNK_IMAGES) * CHUNK_IMAGES)
    pixels = (1, info.num_pix, info.num_pix)
    group.create_array(
        "images",
        shape=(info.num_images, *pixels),
        chunks=(CHUNK_IMAGES, *pixels),
        shards=(rows, *pixels),
        dtype="float32",
        fill_value=math.nan,
        compressors=None,
    )
    group.create_array(
        "labels",
        shape=(info.num_images,),
        chunks=(rows,),
        dtype="int8",
        fill_value=_NOT_WRITTEN,
        compressors=None,
    )
    for name, shape in truth_fields.items():
        group.create_array(
            f"truth/{name}",
            shape=(info.num_images, *shape),
            chunks=(rows, *shape),
            dtype="float64",
            fill_value=math.nan,
            compressors=None,
        )


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


def _arrays(group: zarr.Group, path: Path) -> dict[str, _Array]:
    fields = _attributes(group, path)["truth_fields"]
    names = ["images", *(f"truth/{name}" for name in fields), "labels"]
    try:
        return {name: _array(group[name], path / name) for name in names}
    except (ValueError, TypeError, KeyError, OSError) as error:
        raise StoreError(f"{path} is damaged: the array {error} cannot be opened") from error


def _array(values: Any, folder: Path) -> _Array:
    # All NaN is a value like others: a missing file is damage, never "all equal to the default".
    values = values.with_config({"write_empty_chunks": True})
    sharded = values.shards is not None
    files = ShardFiles(
        folder,
        values.shape,
        shard_rows=(values.shards if sharded else values.chunks)[0],
        chunk_rows=values.chunks[0] if sharded else None,
        dtype=values.dtype,
    )
    return _Array(values, files)


def _damaged_file(arrays: Mapping[str, _Array], shard: int) -> Path | None:
    """First file of a shard that is not there in full size, None if all are."""
    for array in arrays.values():
        if not array.files.is_whole(shard):
            return array.files.file(shard)
    return None


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
