import json
import os
from pathlib import Path
from typing import Any

import pytest

from lenspinn.data.layout import open_arrays, open_group, read_attributes
from lenspinn.errors import StoreError

from .conftest import TRUTH_FIELDS


def edit(path: Path, *keys: str | int, value: Any) -> None:
    """Change one value of a JSON file."""
    content = json.loads(path.read_text())
    inner = content
    for key in keys[:-1]:
        inner = inner[key]
    inner[keys[-1]] = value
    path.write_text(json.dumps(content))


def open_all(path: Path) -> None:
    open_arrays(open_group(path, mode="r"), path, read_attributes(path))


def test_a_store_says_what_was_written(make_store):
    attributes = read_attributes(make_store(20))
    assert attributes.complete
    assert attributes.truth_fields == TRUTH_FIELDS
    assert attributes.info.num_images == 20


@pytest.mark.parametrize(
    ("keys", "value"),
    [
        (("schema",), True),
        (("schema",), -1),
        (("complete",), "yes"),
        (("info",), []),
        (("info", "pixel_scale"), 1e308),
        (("truth_fields",), None),
        (("truth_fields", "theta_E"), [10**18]),
        (("truth_fields", "../x"), []),
        (("provenance",), {}),
        (("provenance", "versions"), 3),
        (("provenance", "git"), {"commit": 7}),
    ],
)
def test_attributes_that_no_store_has_are_refused(make_store, keys, value):
    path = make_store(4)
    edit(path / "zarr.json", "attributes", *keys, value=value)
    with pytest.raises(StoreError):
        read_attributes(path)


@pytest.mark.parametrize("array", ["images", "labels", "truth/point_x"])
@pytest.mark.parametrize(
    ("keys", "value"),
    [
        (("shape", 0), 10**18),
        (("data_type",), "complex128"),
        (("chunk_grid", "configuration", "chunk_shape", 0), 10**18),
        (("chunk_grid", "configuration", "chunk_shape", 0), 0),
        (("chunk_grid", "configuration", "chunk_shape", 0), 1.5),
        (("chunk_grid",), None),
        (("codecs",), []),
        (("codecs", 0, "name"), "gzip"),
        (("fill_value",), 7),
        (("chunk_key_encoding", "configuration", "separator"), "."),
        (("node_type",), "group"),
    ],
)
def test_arrays_that_are_not_ours_are_refused(make_store, array, keys, value):
    path = make_store(4)
    edit(path / array / "zarr.json", *keys, value=value)
    with pytest.raises(StoreError, match="does not describe an array of lenspinn of 4 images"):
        open_all(path)


@pytest.mark.parametrize("inner", [0, -16, 5, 10**18, "16"])
def test_chunks_that_are_not_ours_are_refused(make_store, inner):
    path = make_store(4)
    keys = ("codecs", 0, "configuration", "chunk_shape", 0)
    edit(path / "images" / "zarr.json", *keys, value=inner)
    with pytest.raises(StoreError, match="does not describe an array"):
        open_all(path)


@pytest.mark.parametrize("name", ["zarr.json", "labels/zarr.json"])
def test_a_pipe_in_place_of_a_file_is_not_opened(make_store, name):
    path = make_store(4)
    (path / name).unlink()
    os.mkfifo(path / name)
    with pytest.raises(StoreError):
        open_all(path)


def test_nothing_of_a_folder_that_is_no_store_is_opened(tmp_path):
    with pytest.raises(StoreError, match=r"it has no zarr\.json"):
        open_group(tmp_path, mode="r")
