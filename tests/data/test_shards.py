from pathlib import Path

import numpy as np
import pytest

from lenspinn.data.shards import ShardFiles
from lenspinn.errors import StoreError

# Two files of four rows in chunks of two, the second half full: 3 chunks a, b, c of pixels.
SHAPE = (6, 3)
ROWS = np.arange(18, dtype="<f4").reshape(SHAPE)


def index(*offsets_and_sizes: int) -> bytes:
    return np.array(offsets_and_sizes, dtype="<u8").tobytes() + b"sums"


@pytest.fixture
def files(tmp_path: Path) -> ShardFiles:
    for shard in (0, 1):
        (tmp_path / "c" / str(shard)).mkdir(parents=True)
    # Chunks may lie in any order: the index says where.
    first = ROWS[2:4].tobytes() + ROWS[0:2].tobytes() + index(24, 24, 0, 24)
    second = ROWS[4:6].tobytes() + index(0, 24, 2**64 - 1, 2**64 - 1)
    (tmp_path / "c" / "0" / "0").write_bytes(first)
    (tmp_path / "c" / "1" / "0").write_bytes(second)
    return ShardFiles(tmp_path, SHAPE, shard_rows=4, chunk_rows=2, dtype=np.dtype("<f4"))


@pytest.mark.parametrize("rows", [[0], [5, 0, 3, 3], [], range(6)])
def test_rows_are_read_in_the_order_asked_for(files, rows):
    rows = np.array(rows, dtype=np.int64)
    np.testing.assert_array_equal(files.read(rows), ROWS[rows])


def test_ranges_cover_the_rows(files):
    assert files.ranges == [range(4), range(4, 6)]


def test_a_whole_file_is_known_by_its_size(files):
    assert files.is_whole(0)
    assert files.is_whole(1)
    with files.file(1).open("ab") as file:
        file.write(b"x")
    assert not files.is_whole(1)
    files.remove(0)
    files.remove(0)
    assert not files.is_whole(0)


def test_a_file_of_one_plain_chunk_is_padded_to_a_full_one(tmp_path):
    files = ShardFiles(tmp_path, (5,), shard_rows=4, chunk_rows=None, dtype=np.dtype("int8"))
    (tmp_path / "c").mkdir()
    files.file(1).write_bytes(b"1234")
    assert files.is_whole(1)


@pytest.mark.parametrize("row", [-1, 6])
def test_a_row_that_does_not_exist_is_an_error(files, row):
    with pytest.raises(IndexError, match=r"holds rows 0\.\.5"):
        files.read(np.array([row]))


def test_a_missing_file_is_an_error_not_zeros(files):
    files.remove(1)
    with pytest.raises(StoreError, match=r"cannot be read: .*No such file"):
        files.read(np.array([0, 5]))


@pytest.mark.parametrize("offset", [2**64 - 1, 2**40])
def test_a_corrupt_index_is_an_error_not_an_image(files, offset):
    content = files.file(1).read_bytes()
    files.file(1).write_bytes(content[:24] + index(offset, 24, 0, 0))
    with pytest.raises(StoreError, match=r"1/0 cannot be read"):
        files.read(np.array([4]))
