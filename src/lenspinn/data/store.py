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
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import cached_property
from pathlib import Path

import numpy as np
import zarr

from lenspinn.data.image_dataset import ImageDataset
from lenspinn.data.info import DatasetInfo
from lenspinn.data.layout import (
    AGAIN,
    CHUNK_IMAGES,
    NOT_WRITTEN,
    SCHEMA_VERSION,
    Attributes,
    StoredArray,
    TruthFields,
    check_is_store,
    open_arrays,
    open_group,
    read_attributes,
)
from lenspinn.data.provenance import provenance
from lenspinn.errors import StoreError
from lenspinn.files import FolderLock, draft_folder

__all__ = ["SCHEMA_VERSION", "SHARD_IMAGES", "DatasetInfo", "ImageStore", "StoreWriter"]

SHARD_IMAGES = 768
"""Number of images in one file, the unit of writing and of resuming: 12 MiB at 64 x 64 pixels."""

_DISK_FULL = (errno.ENOSPC, errno.EDQUOT)


class StoreWriter:
    """Writer of a dataset shard by shard, in any order of shards and with any number of threads.

    Use `StoreWriter.open`, then `write_shard` for each of `pending_shards`, then `finish`.
    """

    def __init__(self, path: Path, attributes: Attributes, lock: FolderLock) -> None:
        self.path = path
        self.info = attributes.info
        self._lock = lock
        self._group = open_group(path, mode="r+")
        self._arrays = open_arrays(self._group, path, attributes)

    @classmethod
    def open(cls, path: Path | str, info: DatasetInfo, truth_fields: TruthFields) -> "StoreWriter":
        """Create a store, or go on with an unfinished one of the same content.

        No other writer can open it until this one is closed, or its process ends.

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
        DataError
            If another process is writing it.
        """
        path = Path(path)
        with _disk_full_is_a_store_error(path):
            if not path.exists() or (path.is_dir() and not any(path.iterdir())):
                _create(path, info, truth_fields)
            check_is_store(path)
            lock = FolderLock(path)
            attributes = read_attributes(path)
            _check_same(path, attributes, info, truth_fields)
            if not attributes.complete:
                _remove_partial_files(path)
            return cls(path, attributes, lock)

    def close(self) -> None:
        """Release the store for other writers, as `finish` does too."""
        self._lock.release()

    def pending_shards(self) -> list[range]:
        """Return the image numbers of each shard that is not finished yet."""
        if self._group.attrs["complete"]:
            return []
        labels = self._arrays["labels"]
        return [
            rows
            for shard, rows in enumerate(labels.files.ranges)
            if _damaged_file(self._arrays, shard) is not None
            or (labels.read(slice(rows.start, rows.stop)) == NOT_WRITTEN).any()
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
        self.close()

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
        for name, values in content.items():
            if name.startswith("truth/"):
                _check_truth(name, values)
        labels, num_classes = content["labels"], len(self.info.classes)
        if not ((labels >= 0) & (labels < num_classes)).all():
            raise StoreError(f"Labels of {rows} are not all in 0..{num_classes - 1}")


class ImageStore(ImageDataset):
    """A complete dataset, read-only. Use `ImageStore.open`."""

    def __init__(self, path: Path, attributes: Attributes) -> None:
        self.path = path
        self.info = attributes.info
        self.provenance = attributes.provenance
        self._arrays = open_arrays(open_group(path, mode="r"), path, attributes)

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
            raise StoreError(f"There is no dataset at {path}: check the path")
        attributes = read_attributes(path)
        if not attributes.complete:
            raise StoreError(f"{path} is incomplete: run the command that made it again to resume")
        store = cls(path, attributes)
        for shard in range(store._arrays["labels"].files.num_files):
            damaged = _damaged_file(store._arrays, shard)
            if damaged is not None:
                raise StoreError(
                    f"{path} is truncated: {damaged} is missing or has a wrong size; {AGAIN}"
                )
        return store

    def __len__(self) -> int:
        return self.info.num_images

    @cached_property
    def labels(self) -> np.ndarray:
        """Labels, (N,) int64: indices into ``info.classes``.

        Raises
        ------
        StoreError
            If a file is corrupt, or holds a label of no class.
        """
        labels, num_classes = self._arrays["labels"].read(slice(None)), len(self.info.classes)
        if not ((labels >= 0) & (labels < num_classes)).all():
            raise StoreError(
                f"{self.path} is damaged: its labels are not all in 0..{num_classes - 1}; make the "
                "dataset again, or copy it again"
            )
        return labels.astype(np.int64)

    @cached_property
    def truth(self) -> dict[str, np.ndarray]:
        """Truth by field, (N, *shape) float64; read at first use.

        Raises
        ------
        StoreError
            As `read_truth`.
        """
        names = [name for name in self._arrays if name.startswith("truth/")]
        return {name.removeprefix("truth/"): self._read_truth(name) for name in names}

    def read_truth(self, field: str) -> np.ndarray | None:
        """Read one field of the truth, (N, *shape) float64, and no other; None if there is none.

        Raises
        ------
        StoreError
            If a file is corrupt, or holds what cannot be true: infinity, or a negative mass.
        """
        name = f"truth/{field}"
        return self._read_truth(name) if name in self._arrays else None

    def _read_truth(self, name: str) -> np.ndarray:
        values = self._arrays[name].read(slice(None))
        _check_truth(f"{self.path}: {name}", values)
        return values

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
            If a file is corrupt, or a pixel is not finite.
        IndexError
            If a row does not exist.
        """
        if isinstance(rows, slice):
            rows = np.arange(len(self))[rows]
        images = self._arrays["images"].files.read(np.asarray(rows, dtype=np.int64))
        if not np.isfinite(images).all():
            raise StoreError(
                f"{self.path} is damaged: images of it hold pixels that are not finite; make the "
                "dataset again, or copy it again"
            )
        return images


def _create(path: Path, info: DatasetInfo, truth_fields: TruthFields) -> None:
    # A store exists with all its metadata or not at all, also if another process makes it first.
    with suppress(FileExistsError), draft_folder(path) as draft:
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


def _check_truth(name: str, values: np.ndarray) -> None:
    """Refuse what cannot be true of an image; NaN stands for what does not exist or is unknown."""
    if np.isinf(values).any() or ("mass" in name.rpartition("/")[2] and (values < 0).any()):
        raise StoreError(f"{name} holds what cannot be true, infinity or a negative mass: {AGAIN}")


def _create_arrays(group: zarr.Group, info: DatasetInfo, truth_fields: TruthFields) -> None:
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
        fill_value=NOT_WRITTEN,
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


def _fields_to_json(truth_fields: TruthFields) -> dict[str, list[int]]:
    return {name: list(shape) for name, shape in truth_fields.items()}


def _check_same(
    path: Path, found: Attributes, info: DatasetInfo, truth_fields: TruthFields
) -> None:
    there, asked = found.info.to_json(), info.to_json()
    differing = [key for key in asked if there[key] != asked[key]]
    if found.truth_fields != {name: tuple(shape) for name, shape in truth_fields.items()}:
        differing.append("truth_fields")
    if differing:
        raise StoreError(
            f"{path} holds another dataset ({', '.join(differing)} differ): "
            "give another path or delete it"
        )
    # Hardware may change on the way; software may not, for it could change the images.
    now = provenance()
    software = [key for key in ("versions", "git") if found.provenance[key] != now[key]]
    if software and not found.complete:
        raise StoreError(
            f"{path} was begun with other software ({', '.join(software)} differ): go on with "
            f"{[found.provenance[key] for key in software]}, or delete it"
        )


def _damaged_file(arrays: Mapping[str, StoredArray], shard: int) -> Path | None:
    """Return the first file of a shard that is not there in full size, None if all are."""
    for array in arrays.values():
        if not array.files.is_whole(shard):
            return array.files.file(shard)
    return None


def _remove_partial_files(path: Path) -> None:
    """Remove the partial files that zarr leaves behind when its process is killed."""
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
