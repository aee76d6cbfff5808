import dataclasses
import io
import json
import shutil
import zipfile

import numpy as np
import pytest

from lenspinn.data.store import ImageStore
from lenspinn.errors import ConfigError, DataError
from lenspinn.train.folder import (
    check_folder,
    is_finished,
    named_settings,
    read_config,
    read_info,
    read_provenance,
    read_split,
    run_provenance,
    write_folder,
)

SPLIT = {
    "train": np.arange(6),
    "validation": np.arange(6, 8),
    "test": np.arange(8, 10),
}


@pytest.fixture
def begun(tiny_config):
    """A run folder just begun."""
    write_folder(tiny_config, ImageStore.open(tiny_config.data).info, SPLIT)
    return tiny_config


def test_what_was_written_is_read_back(begun):
    assert read_config(begun.out) == begun
    assert read_info(begun.out) == ImageStore.open(begun.data).info
    assert read_provenance(begun.out) == run_provenance()
    split = read_split(begun.out, 10)
    assert all((split[part] == SPLIT[part]).all() for part in SPLIT)
    assert not is_finished(begun.out)


def test_a_run_just_begun_may_go_on(begun):
    check_folder(begun, ImageStore.open(begun.data).info)


def test_settings_have_names_in_the_place_of_paths(begun, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    config = dataclasses.replace(begun, weights=tmp_path.parent / "first" / "model")
    settings = named_settings(config)
    assert (settings["data"], settings["out"]) == ("tiny.zarr", "run")
    assert settings["weights"] == "first/model"


def test_paths_of_a_run_through_a_link_are_those_of_the_run(begun, tmp_path):
    (tmp_path / "deeper").mkdir()
    (tmp_path / "deeper" / "link").symlink_to(begun.out)
    assert read_config(tmp_path / "deeper" / "link").data == begun.data


def test_a_run_copied_without_its_dataset_still_finds_it(begun, tmp_path):
    copy = shutil.copytree(begun.out, tmp_path / "somewhere" / "else" / "run")
    assert read_config(copy).data == begun.data.resolve()


@pytest.mark.parametrize("share", [0.0, 0.3, 0.5, 0.9, 0.99])
def test_a_configuration_cut_short_is_refused(begun, share):
    path = begun.out / "config.yaml"
    text = path.read_text()
    path.write_text(text[: int(share * len(text))])
    with pytest.raises(ConfigError, match=r"config\.yaml is cut short: copy the run folder again"):
        read_config(begun.out)


def test_a_configuration_cut_between_lines_is_refused(begun):
    path = begun.out / "config.yaml"
    lines = path.read_text().splitlines(keepends=True)
    path.write_text("".join(lines[: len(lines) // 2]))
    with pytest.raises(ConfigError, match="is cut short"):
        read_config(begun.out)


@pytest.mark.parametrize("name", ["data.json", "provenance.json"])
@pytest.mark.parametrize("content", ["", "{", "[]", "{}", '{"versions": 3}', "nan", "[" * 10**5])
def test_damaged_facts_are_refused_by_name(begun, name, content):
    (begun.out / name).write_text(content)
    with pytest.raises(DataError, match=name):
        read_info(begun.out) if name == "data.json" else read_provenance(begun.out)


def test_an_impossible_dataset_is_refused(begun):
    facts = json.loads((begun.out / "data.json").read_text())
    (begun.out / "data.json").write_text(json.dumps(facts | {"pixel_scale": 1e308}))
    with pytest.raises(DataError, match=r"data\.json cannot be used: pixel_scale"):
        read_info(begun.out)


def npy(array, shape=None):
    """Return a .npy file, by choice with another shape in its header."""
    file = io.BytesIO()
    header = np.lib.format.header_data_from_array_1_0(array)
    np.lib.format.write_array_header_1_0(file, header | ({} if shape is None else {"shape": shape}))
    return file.getvalue() + array.tobytes()


@pytest.mark.parametrize(
    "change",
    [
        {"test": np.array([8, 99])},
        {"test": np.array([-1])},
        {"test": np.array([0])},
        {"test": np.array([8.5])},
        {"test": np.array([[8]])},
        {"test": np.array(["x"], dtype=object)},
        {"test": None},
    ],
)
def test_a_split_of_other_images_is_refused(begun, change):
    parts = {part: rows for part, rows in (SPLIT | change).items() if rows is not None}
    np.savez(begun.out / "split.npz", **parts)
    with pytest.raises(DataError, match="does not say which images trained"):
        read_split(begun.out, 10)


@pytest.mark.parametrize("shape", [(10**18,), (10**10,), (3,), (1, 1)])
def test_an_array_that_declares_another_size_is_not_read(begun, shape):
    with zipfile.ZipFile(begun.out / "split.npz", "w") as archive:
        for part, rows in SPLIT.items():
            archive.writestr(f"{part}.npy", npy(rows, shape if part == "test" else None))
    with pytest.raises(DataError, match="does not say which images"):
        read_split(begun.out, 10)


@pytest.mark.parametrize("content", [b"", b"PK", b"PK\x03\x04" + bytes(100), bytes(10**6)])
def test_what_is_no_split_is_refused(begun, content):
    (begun.out / "split.npz").write_bytes(content)
    with pytest.raises(DataError, match=r"split\.npz does not say which images"):
        read_split(begun.out, 10)


def test_a_missing_split_is_named(begun):
    (begun.out / "split.npz").unlink()
    with pytest.raises(DataError, match=r"split\.npz is missing"):
        read_split(begun.out, 10)
