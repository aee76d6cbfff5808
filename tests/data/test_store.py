import dataclasses
import errno
import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from lenspinn.data import store as store_module
from lenspinn.data.store import SHARD_IMAGES, ImageStore, StoreWriter
from lenspinn.errors import DataError, StoreError

from .conftest import SOMEWHERE, TRUTH_FIELDS, shard_content, small_info, write_pending

TWO_SHARDS_AND_A_BIT = 2 * SHARD_IMAGES + 20


def tree(folder: Path) -> dict[str, bytes]:
    return {
        str(file.relative_to(folder)): file.read_bytes()
        for file in folder.rglob("*")
        if file.is_file()
    }


def edit_root(path: Path, **attributes) -> None:
    metadata = json.loads((path / "zarr.json").read_text())
    metadata["attributes"].update(attributes)
    (path / "zarr.json").write_text(json.dumps(metadata))


def test_what_was_written_is_read_back(make_store):
    store = ImageStore.open(make_store(TWO_SHARDS_AND_A_BIT))
    rows = range(TWO_SHARDS_AND_A_BIT)
    images, labels, truth = shard_content(rows, store.info)
    assert len(store) == TWO_SHARDS_AND_A_BIT
    np.testing.assert_array_equal(store.images(slice(None)), images)
    np.testing.assert_array_equal(store.labels, labels)
    assert store.labels.dtype == np.int64
    assert store.truth.keys() == truth.keys()
    for name in truth:
        np.testing.assert_array_equal(store.truth[name], truth[name])
    assert store.provenance["versions"]["zarr"]


def test_one_field_of_the_truth_is_read_alone(make_store):
    store = ImageStore.open(make_store(20))
    np.testing.assert_array_equal(store.read_truth("point_x"), store.truth["point_x"])
    assert store.read_truth("source_galaxy") is None


@pytest.mark.parametrize("rows", [[3], [1550, 2, 2, 800], list(range(900, 100, -1)), []])
def test_any_rows_in_any_order_are_read(make_store, rows):
    store = ImageStore.open(make_store(TWO_SHARDS_AND_A_BIT))
    np.testing.assert_array_equal(store.images(rows), store.images(slice(None))[rows])


def test_shards_cover_every_image_once(tmp_path):
    writer = StoreWriter.open(tmp_path / "a.zarr", small_info(TWO_SHARDS_AND_A_BIT), TRUTH_FIELDS)
    pending = writer.pending_shards()
    assert [row for rows in pending for row in rows] == list(range(TWO_SHARDS_AND_A_BIT))
    assert max(len(rows) for rows in pending) == SHARD_IMAGES


def test_bytes_do_not_depend_on_shard_order_or_threads(tmp_path, make_store):
    writer = StoreWriter.open(tmp_path / "b.zarr", small_info(TWO_SHARDS_AND_A_BIT), TRUTH_FIELDS)
    with ThreadPoolExecutor(3) as pool:
        backwards = reversed(writer.pending_shards())
        list(
            pool.map(
                lambda rows: writer.write_shard(rows, *shard_content(rows, writer.info)), backwards
            )
        )
    writer.finish()
    assert tree(tmp_path / "b.zarr") == tree(make_store(TWO_SHARDS_AND_A_BIT))


def cut_short(path: Path) -> None:
    """Leave the store as if its writer had been killed after one shard and a half."""
    (path / "images" / "c" / "1").mkdir(parents=True)
    (path / "images" / "c" / "1" / "0.0a1b.partial").write_bytes(b"half an image")
    (path / "zarr.0a1b.partial").write_bytes(b"{")


def cut_labels(path: Path) -> None:
    (path / "labels" / "c" / "0").unlink()


def truncate_images(path: Path) -> None:
    file = path / "images" / "c" / "0" / "0" / "0" / "0"
    file.write_bytes(file.read_bytes()[:-100])


def truncate_truth(path: Path) -> None:
    (path / "truth" / "theta_E" / "c" / "0").write_bytes(b"")


def lose_truth(path: Path) -> None:
    (path / "truth" / "point_x" / "c" / "0" / "0").unlink()


@pytest.mark.parametrize(
    "damage", [cut_short, cut_labels, truncate_images, truncate_truth, lose_truth]
)
def test_an_interrupted_store_run_again_has_the_same_bytes(tmp_path, make_store, damage):
    whole = make_store(TWO_SHARDS_AND_A_BIT)
    path, info = tmp_path / "resumed.zarr", small_info(TWO_SHARDS_AND_A_BIT)
    write_pending(StoreWriter.open(path, info, TRUTH_FIELDS), at_most=1)
    damage(path)
    writer = StoreWriter.open(path, info, TRUTH_FIELDS)
    write_pending(writer)
    writer.finish()
    assert tree(path) == tree(whole)


def test_finished_shards_are_not_pending_again(tmp_path):
    path, info = tmp_path / "a.zarr", small_info(TWO_SHARDS_AND_A_BIT)
    writer = StoreWriter.open(path, info, TRUTH_FIELDS)
    done = writer.pending_shards()[1]
    writer.write_shard(done, *shard_content(done, info))
    writer.close()
    again = StoreWriter.open(path, info, TRUTH_FIELDS).pending_shards()
    assert [rows.start for rows in again] == [0, 2 * SHARD_IMAGES]


@pytest.mark.parametrize("name", ["a.zarr.creating", "a.zarr.part"])
def test_a_folder_beside_a_new_store_is_not_touched(tmp_path, name):
    (tmp_path / name).mkdir()
    (tmp_path / name / "thesis.tex").write_text("years of work")
    StoreWriter.open(tmp_path / "a.zarr", small_info(4), TRUTH_FIELDS)
    assert (tmp_path / name / "thesis.tex").read_text() == "years of work"
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([name, "a.zarr"])


def test_a_second_writer_is_told_to_wait(tmp_path):
    path, info = tmp_path / "a.zarr", small_info(4)
    writer = StoreWriter.open(path, info, TRUTH_FIELDS)
    with pytest.raises(DataError, match="is being written by another process: wait"):
        StoreWriter.open(path, info, TRUTH_FIELDS)
    write_pending(writer)
    writer.finish()
    assert StoreWriter.open(path, info, TRUTH_FIELDS).pending_shards() == []


def test_a_store_that_another_process_made_meanwhile_is_gone_on_with(tmp_path, monkeypatch):
    path, info = tmp_path / "a.zarr", small_info(4)
    create_arrays = store_module._create_arrays

    def be_overtaken(group, *arguments):
        create_arrays(group, *arguments)
        monkeypatch.setattr(store_module, "_create_arrays", create_arrays)
        StoreWriter.open(path, info, TRUTH_FIELDS).close()

    monkeypatch.setattr(store_module, "_create_arrays", be_overtaken)
    writer = StoreWriter.open(path, info, TRUTH_FIELDS)
    write_pending(writer)
    writer.finish()
    assert len(ImageStore.open(path)) == 4
    assert list(tmp_path.iterdir()) == [path]


WRITE_FOR_EVER = """
import sys
sys.path.insert(0, sys.argv[2])
from conftest import SOMEWHERE, TRUTH_FIELDS, shard_content, small_info
from lenspinn.data import store
store.provenance = lambda: SOMEWHERE
info = small_info(int(sys.argv[3]), num_pix=32)
writer = store.StoreWriter.open(sys.argv[1], info, TRUTH_FIELDS)
shards = [(rows, shard_content(rows, info)) for rows in writer.pending_shards()]
while True:
    for rows, content in shards:
        writer.write_shard(rows, *content)
        print("shard", flush=True)
"""


def test_a_killed_process_run_again_leaves_the_same_bytes(tmp_path, monkeypatch):
    killed, whole = tmp_path / "killed.zarr", tmp_path / "whole.zarr"
    arguments = [str(killed), str(Path(__file__).parent), str(TWO_SHARDS_AND_A_BIT)]
    command = [sys.executable, "-c", WRITE_FOR_EVER, *arguments]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"shard\n"  # the next is being written
        process.kill()
    monkeypatch.setattr(store_module, "provenance", lambda: SOMEWHERE)
    for path in (killed, whole):
        info = small_info(TWO_SHARDS_AND_A_BIT, num_pix=32)
        writer = StoreWriter.open(path, info, TRUTH_FIELDS)
        write_pending(writer)
        writer.finish()
    assert tree(killed) == tree(whole)


def test_a_complete_store_opens_for_writing_with_nothing_pending(make_store):
    path = make_store(4)
    before = tree(path)
    writer = StoreWriter.open(path, small_info(4), TRUTH_FIELDS)
    assert writer.pending_shards() == []
    writer.finish()
    assert tree(path) == before


@pytest.mark.parametrize("change", [{"seed": 4}, {"recipe_config": {"centre": (0.0, 0.2)}}])
def test_a_store_of_another_dataset_is_not_overwritten(make_store, change):
    path = make_store(4)
    before = tree(path)
    other = dataclasses.replace(small_info(4), **change)
    with pytest.raises(StoreError, match=f"another dataset .{next(iter(change))} differ"):
        StoreWriter.open(path, other, TRUTH_FIELDS)
    assert tree(path) == before


def test_a_store_begun_by_other_software_is_not_continued(tmp_path, monkeypatch):
    path, info = tmp_path / "a.zarr", small_info(4)
    StoreWriter.open(path, info, TRUTH_FIELDS)
    newer = store_module.provenance() | {"git": {"commit": "f00", "dirty": False}}
    monkeypatch.setattr(store_module, "provenance", lambda: newer)
    with pytest.raises(StoreError, match=r"begun with other software \(git differ"):
        StoreWriter.open(path, info, TRUTH_FIELDS)


def test_a_folder_of_something_else_is_not_overwritten(tmp_path):
    (tmp_path / "thesis.tex").write_text("years of work")
    with pytest.raises(StoreError, match="not a lenspinn dataset"):
        StoreWriter.open(tmp_path, small_info(4), TRUTH_FIELDS)
    assert (tmp_path / "thesis.tex").read_text() == "years of work"


def test_an_unfinished_store_is_not_declared_complete(tmp_path):
    writer = StoreWriter.open(tmp_path / "a.zarr", small_info(4), TRUTH_FIELDS)
    with pytest.raises(StoreError, match="1 shards are pending"):
        writer.finish()


def wrong_rows(images, labels, truth):
    return range(1, 4), images[1:], labels[1:], {name: truth[name][1:] for name in truth}


def wrong_shape(images, labels, truth):
    return range(4), images[:, 0], labels, truth


def wrong_label(images, labels, truth):
    return range(4), images, labels + 1, truth


def wrong_field(images, labels, truth):
    return range(4), images, labels, truth | {"mass": labels}


def negative_mass(images, labels, truth):
    return range(4), images, labels, truth | {"axion_mass": np.array([1.0, np.nan, -1.0, 1.0])}


def infinite_truth(images, labels, truth):
    return range(4), images, labels, truth | {"theta_E": np.full(4, np.inf)}


def not_finite(images, labels, truth):
    return range(4), images / np.float32(np.nan), labels, truth


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (wrong_rows, "not a shard"),
        (wrong_shape, "has shape"),
        (wrong_label, "not all in 0..2"),
        (wrong_field, "mass"),
        (not_finite, "not finite"),
        (infinite_truth, "theta_E holds what cannot be true"),
        (negative_mass, "axion_mass holds what cannot be true"),
    ],
)
def test_content_that_does_not_fit_is_refused(tmp_path, spoil, message):
    fields = TRUTH_FIELDS | ({"axion_mass": ()} if spoil is negative_mass else {})
    writer = StoreWriter.open(tmp_path / "a.zarr", small_info(4), fields)
    content = shard_content(range(4), writer.info)
    with pytest.raises(StoreError, match=message):
        writer.write_shard(*spoil(*content))
    assert len(writer.pending_shards()) == 1


def test_a_full_disk_keeps_finished_shards_and_says_how_to_resume(tmp_path, monkeypatch):
    path, info = tmp_path / "a.zarr", small_info(TWO_SHARDS_AND_A_BIT)
    writer = StoreWriter.open(path, info, TRUTH_FIELDS)
    write_pending(writer, at_most=1)
    full = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    class FullDisk:
        def __setitem__(self, rows, values):
            raise full

    images = dataclasses.replace(writer._arrays["images"], values=FullDisk())
    monkeypatch.setitem(writer._arrays, "images", images)
    with pytest.raises(StoreError, match=r"a\.zarr keeps its finished shards"):
        write_pending(writer, at_most=1)
    writer.close()
    assert len(StoreWriter.open(path, info, TRUTH_FIELDS).pending_shards()) == 2


def test_a_missing_store_is_named(tmp_path):
    with pytest.raises(StoreError, match=r"no dataset at .*nowhere\.zarr"):
        ImageStore.open(tmp_path / "nowhere.zarr")


def test_a_file_is_not_a_store(tmp_path):
    (tmp_path / "a.zarr").write_text("text")
    with pytest.raises(StoreError, match="not a lenspinn dataset"):
        ImageStore.open(tmp_path / "a.zarr")


@pytest.mark.parametrize("root", ["not json", "{}", '{"zarr_format": 3, "node_type": "group"}'])
def test_a_foreign_or_broken_zarr_folder_is_not_a_store(tmp_path, root):
    (tmp_path / "zarr.json").write_text(root)
    with pytest.raises(StoreError, match="not a lenspinn dataset"):
        ImageStore.open(tmp_path)


def test_an_unfinished_store_is_not_read(tmp_path):
    StoreWriter.open(tmp_path / "a.zarr", small_info(4), TRUTH_FIELDS)
    with pytest.raises(StoreError, match="incomplete"):
        ImageStore.open(tmp_path / "a.zarr")


@pytest.mark.parametrize("reader", [True, False])
def test_a_newer_schema_is_refused(make_store, reader):
    path = make_store(4)
    edit_root(path, schema=2)
    with pytest.raises(StoreError, match="schema 2, written by a newer lenspinn"):
        ImageStore.open(path) if reader else StoreWriter.open(path, small_info(4), TRUTH_FIELDS)


@pytest.mark.parametrize("damage", [cut_labels, truncate_images, truncate_truth, lose_truth])
def test_a_truncated_store_is_refused(make_store, damage):
    path = make_store(TWO_SHARDS_AND_A_BIT)
    damage(path)
    with pytest.raises(StoreError, match=r"truncated: .* is missing or has a wrong size"):
        ImageStore.open(path)


def test_a_store_without_one_of_its_arrays_is_refused(make_store):
    path = make_store(4)
    (path / "truth" / "theta_E" / "zarr.json").unlink()
    with pytest.raises(StoreError, match="truth/theta_E"):
        ImageStore.open(path)


def test_a_corrupt_shard_is_an_error_not_an_image(make_store):
    path = make_store(4)
    file = path / "images" / "c" / "0" / "0" / "0" / "0"
    content = file.read_bytes()
    file.write_bytes(content[:-20] + b"\xff" * 20)
    with pytest.raises(StoreError, match="cannot be read"):
        ImageStore.open(path).images(slice(None))


def test_an_image_number_that_does_not_exist_is_an_error(make_store):
    with pytest.raises(IndexError):
        ImageStore.open(make_store(4)).images([4])


@pytest.mark.parametrize("value", [0.0, np.nan])
def test_a_field_of_one_value_is_not_taken_for_a_missing_file(tmp_path, value):
    writer = StoreWriter.open(tmp_path / "a.zarr", small_info(20), {"mass": ()})
    zeros = np.zeros((20, 1, 8, 8), np.float32)
    writer.write_shard(range(20), zeros, np.zeros(20, int), {"mass": np.full(20, value)})
    writer.finish()
    store = ImageStore.open(tmp_path / "a.zarr")
    np.testing.assert_array_equal(store.images(slice(None)), zeros)
    np.testing.assert_array_equal(store.truth["mass"], np.full(20, value))


def write_over(path: Path, value: np.ndarray) -> None:
    """Replace the first bytes of a file of a store."""
    with path.open("r+b") as file:
        file.write(value.tobytes())


@pytest.mark.parametrize(
    ("file", "value", "read", "message"),
    [
        ("labels/c/0", np.int8(3), lambda store: store.labels, r"labels are not all in 0\.\.2"),
        ("labels/c/0", np.int8(-1), lambda store: store.labels, r"labels are not all in 0\.\.2"),
        ("truth/theta_E/c/0", np.inf, lambda store: store.truth, "theta_E holds what cannot"),
        ("images/c/0/0/0/0", np.float32(np.nan), lambda s: s.images([0]), "not finite"),
    ],
)
def test_a_store_with_impossible_values_is_refused(make_store, file, value, read, message):
    path = make_store(4)
    write_over(path / file, np.asarray(value))
    store = ImageStore.open(path)
    with pytest.raises(StoreError, match=message):
        read(store)
