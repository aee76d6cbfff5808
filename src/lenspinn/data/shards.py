"""The files behind a stored array: their names, their sizes, and single images out of them.

A store's arrays are never compressed, so this follows from the array's shape alone: see "sharding
codec" and "chunk key encoding" in the Zarr v3 specification.
"""

import errno
import math
import os
import stat
from dataclasses import dataclass, field
from io import FileIO
from pathlib import Path

import numpy as np

from lenspinn.errors import StoreError

_INDEX_ENTRY_BYTES = 16  # offset and length of a chunk, two little-endian 64-bit numbers
_INDEX_CHECKSUM_BYTES = 4


@dataclass(frozen=True)
class ShardFiles:
    """Files of one array, cut along its first axis only."""

    folder: Path
    shape: tuple[int, ...]
    shard_rows: int
    """Number of rows in a file."""
    chunk_rows: int | None
    """Number of rows in a chunk of a file; None where the file is one plain chunk."""
    dtype: np.dtype
    _offsets: dict[int, np.ndarray] = field(default_factory=dict, compare=False, repr=False)

    @property
    def num_files(self) -> int:
        """Number of files."""
        return math.ceil(self.shape[0] / self.shard_rows)

    @property
    def ranges(self) -> list[range]:
        """Rows of each file."""
        return [self._range(shard) for shard in range(self.num_files)]

    def _range(self, shard: int) -> range:
        start = shard * self.shard_rows
        return range(start, min(start + self.shard_rows, self.shape[0]))

    def file(self, shard: int) -> Path:
        """Path of a file."""
        return self.folder.joinpath("c", str(shard), *("0" for _ in self.shape[1:]))

    def is_whole(self, shard: int) -> bool:
        """Whether the file is there in full size, and a regular one."""
        try:
            state = self.file(shard).stat()
        except OSError:
            return False
        return stat.S_ISREG(state.st_mode) and state.st_size == self._num_bytes(shard)

    def remove(self, shard: int) -> None:
        """Delete the file if it is there."""
        self.file(shard).unlink(missing_ok=True)

    def read(self, rows: np.ndarray) -> np.ndarray:
        """Read single rows of a chunked array; zarr would take a hundred times as long.

        Parameters
        ----------
        rows : (n,) int64, any order

        Raises
        ------
        StoreError
            If a file is missing or corrupt.
        IndexError
            If a row does not exist.
        """
        if len(rows) and not (rows.min() >= 0 and rows.max() < self.shape[0]):
            raise IndexError(f"{self.folder} holds rows 0..{self.shape[0] - 1}, not all of {rows}")
        found = np.empty((len(rows), *self.shape[1:]), dtype=self.dtype)
        shard_of_row = rows // self.shard_rows
        for shard in np.unique(shard_of_row).tolist():
            places = np.flatnonzero(shard_of_row == shard)
            try:
                with self.file(shard).open("rb", buffering=0) as file:
                    self._read_into(found, places, file, shard, rows[places] % self.shard_rows)
            except (OSError, ValueError) as error:
                raise StoreError(f"{self.file(shard)} cannot be read: {error}") from error
        return found

    def _read_into(
        self, found: np.ndarray, places: np.ndarray, file: FileIO, shard: int, rows: np.ndarray
    ) -> None:
        assert self.chunk_rows is not None
        offsets = self._chunk_offsets(shard, file)
        starts = offsets[rows // self.chunk_rows] + rows % self.chunk_rows * self._row_bytes
        for start, place in zip(starts.tolist(), places.tolist(), strict=True):
            file.seek(start)
            if file.readinto(found[place]) != self._row_bytes:
                raise OSError(errno.EIO, "a row is missing")

    def _chunk_offsets(self, shard: int, file: FileIO) -> np.ndarray:
        """Return the byte at which each chunk of a file begins, from the index at its end."""
        if shard not in self._offsets:
            num_bytes = self._index_entries * _INDEX_ENTRY_BYTES
            file.seek(-num_bytes - _INDEX_CHECKSUM_BYTES, os.SEEK_END)
            index = np.frombuffer(file.read(num_bytes), dtype="<u8").reshape(-1, 2)
            self._offsets[shard] = index[:, 0].astype(np.int64)
        return self._offsets[shard]

    def _num_bytes(self, shard: int) -> int:
        if self.chunk_rows is None:
            return self.shard_rows * self._row_bytes
        # Chunks wholly beyond the end of the array are not written.
        chunks = math.ceil(len(self._range(shard)) / self.chunk_rows)
        index_bytes = self._index_entries * _INDEX_ENTRY_BYTES + _INDEX_CHECKSUM_BYTES
        return chunks * self.chunk_rows * self._row_bytes + index_bytes

    @property
    def _index_entries(self) -> int:
        assert self.chunk_rows is not None
        return self.shard_rows // self.chunk_rows

    @property
    def _row_bytes(self) -> int:
        return math.prod(self.shape[1:]) * self.dtype.itemsize
