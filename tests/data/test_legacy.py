import os
import shutil
from pathlib import Path

import numpy as np
import pytest

from lenspinn import cli
from lenspinn.data.legacy import AXION_MASS, PART, import_deeplense
from lenspinn.data.npy import read_npy
from lenspinn.data.store import ImageStore, StoreWriter
from lenspinn.errors import DataError

MASS = 3.2e-23


def lens(seed: int = 0, num_pix: int = 16) -> np.ndarray:
    return np.random.default_rng(seed).uniform(0.1, 1, (num_pix, num_pix))


def objects(*items) -> np.ndarray:
    array = np.empty(len(items), dtype=object)
    for i, item in enumerate(items):
        array[i] = item
    return array


@pytest.fixture
def deeplense(tmp_path) -> Path:
    folder = tmp_path / "Model_III"
    for label, name in enumerate(("axion", "cdm", "no_sub")):
        (folder / name).mkdir(parents=True)
        for i in range(3):
            content = lens(10 * label + i)
            if name == "axion":
                content = objects(content, MASS * (i + 1))
            np.save(folder / name / f"{name}_{9 - i}.npy", content, allow_pickle=True)
    (folder / "readme.txt").write_text("not a class")
    return folder


def imported(folder: Path, **options) -> ImageStore:
    options = {"pixel_scale": 0.08, "progress": False} | options
    return ImageStore.open(import_deeplense(folder, folder.parent / "a.zarr", **options))


def test_a_folder_of_classes_becomes_a_store(deeplense):
    store = imported(deeplense, instrument="HST")
    assert store.info.classes == ("axion", "cdm", "no_sub")
    assert (store.info.pixel_scale, store.info.instrument) == (0.08, "HST")
    np.testing.assert_array_equal(store.labels, [0, 0, 0, 1, 1, 1, 2, 2, 2])
    files = store.info.recipe_config["files"]
    assert files["axion"] == [f"axion/axion_{i}.npy" for i in (7, 8, 9)]
    np.testing.assert_array_equal(
        store.images([3])[0, 0], read_npy(deeplense / files["cdm"][0]).astype(np.float32)
    )
    np.testing.assert_array_equal(store.truth[AXION_MASS][:3], MASS * np.array([3, 2, 1]))
    assert np.isnan(store.truth[AXION_MASS][3:]).all()


def test_an_interrupted_import_is_resumed_by_the_same_call(deeplense, monkeypatch):
    def killed(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(StoreWriter, "write_shard", killed)
        with pytest.raises(KeyboardInterrupt):
            imported(deeplense)
    assert len(imported(deeplense)) == 9


def test_an_import_inside_its_folder_can_be_repeated(deeplense):
    for _ in range(2):
        out = import_deeplense(deeplense, deeplense / "out", pixel_scale=0.08, progress=False)
    assert ImageStore.open(out).info.classes == ("axion", "cdm", "no_sub")


def test_two_classes_of_ones_own_have_no_mass(deeplense):
    shutil.rmtree(deeplense / "axion")
    (deeplense / "cdm").rename(deeplense / "ring")
    (deeplense / "no_sub").rename(deeplense / "Arc")
    store = imported(deeplense)
    assert store.info.classes == ("Arc", "ring")
    assert store.labels.tolist() == [0, 0, 0, 1, 1, 1]
    assert store.truth == {}


FORMS = {
    "rows": lambda image: objects(*image),
    "flat": np.ravel,
    "channels last": lambda image: image[:, :, None],
    "three channels": lambda image: np.stack([image] * 3, axis=-1),
    "channels first": lambda image: image[None],
    "big-endian": lambda image: image.astype(">f8"),
    "fortran": np.asfortranarray,
}


@pytest.mark.parametrize("form", FORMS)
def test_every_form_gives_the_same_images(deeplense, form):
    expected = imported(deeplense).images(slice(None))
    shutil.rmtree(deeplense.parent / "a.zarr")
    for path in deeplense.glob("*/*.npy"):
        np.save(path, FORMS[form](read_npy(path)), allow_pickle=True)
    np.testing.assert_array_equal(imported(deeplense).images(slice(None)), expected)


@pytest.mark.parametrize("shape", [(16, 16), (1, 16, 16), (16, 16, 1), (256,)])
def test_packed_images_become_a_store_in_their_order(tmp_path, shape):
    images = np.stack([lens(seed) for seed in range(6)])
    folder = tmp_path / "packed"
    folder.mkdir()
    np.save(folder / "images.npy", images.reshape(6, *shape))
    np.save(folder / "labels.npy", np.arange(6) % 3)
    store = imported(folder, classes="no,sphere,vort")
    assert store.info.classes == ("axion", "cdm", "no_sub")
    assert store.labels.tolist() == [2, 1, 0, 2, 1, 0]
    np.testing.assert_array_equal(store.images(slice(None))[:, 0], images.astype(np.float32))


def test_the_part_of_each_image_is_kept(deeplense):
    whole = deeplense.parent / "whole"
    for part in ("train", "val"):
        shutil.copytree(deeplense, whole / part)
    store = imported(whole)
    assert store.info.recipe_config["parts"] == ["train", "validation"]
    assert store.truth[PART].tolist() == [0, 0, 0, 1, 1, 1] * 3
    assert store.info.recipe_config["files"]["cdm"][3] == "val/cdm/cdm_7.npy"


def test_labels_that_agree_with_the_folders_are_accepted(deeplense):
    for label, name in enumerate(("cdm", "no_sub")):
        for path in (deeplense / name).iterdir():
            np.save(path, objects(read_npy(path).ravel(), float(label)), allow_pickle=True)
    assert imported(deeplense).labels.tolist() == [0, 0, 0, 1, 1, 1, 2, 2, 2]


def test_the_reported_folders_are_imported_or_refused_in_a_sentence(shared_data, tmp_path):
    cases = shared_data.parent / "cases"
    if not cases.is_dir():
        pytest.skip(f"needs the reported cases at {cases}")
    for number, case in enumerate(("11-npy-rows", "23-mac")):
        out = tmp_path / f"{number}.zarr"
        import_deeplense(cases / case, out, pixel_scale=0.05, progress=False)
        assert ImageStore.open(out).labels.tolist() == [0, 0, 1, 1, 2, 2]
    with pytest.raises(DataError, match=r"hold \[image, label\] with the labels 0 and 1 in one"):
        import_deeplense(
            cases / "12-npy-flat-label", tmp_path / "c.zarr", pixel_scale=0.05, progress=False
        )


def with_an_empty_class(folder: Path) -> None:
    for file in (folder / "cdm").iterdir():
        file.unlink()


def with_another_size(folder: Path) -> None:
    np.save(folder / "cdm" / "cdm_7.npy", lens(num_pix=20))


def with_an_oblong(folder: Path) -> None:
    np.save(folder / "axion" / "axion_7.npy", lens()[:, :15])


def with_not_a_number(folder: Path) -> None:
    np.save(folder / "no_sub" / "x.npy", np.full((16, 16), np.nan))


def with_huge_values(folder: Path) -> None:
    np.save(folder / "no_sub" / "x.npy", 1e300 * lens())


def with_tiny_values(folder: Path) -> None:
    np.save(folder / "no_sub" / "x.npy", 1e-300 * lens())


def with_a_blank(folder: Path) -> None:
    np.save(folder / "no_sub" / "x.npy", np.ones((16, 16)))


def with_few_pixels(folder: Path) -> None:
    np.save(folder / "axion" / "axion_7.npy", lens(num_pix=7))


def with_a_mass_elsewhere(folder: Path) -> None:
    np.save(folder / "cdm" / "x.npy", objects(lens(), MASS), allow_pickle=True)


def with_a_negative_mass(folder: Path) -> None:
    np.save(folder / "axion" / "x.npy", objects(lens(), -MASS), allow_pickle=True)


def with_two_labels_in_a_class(folder: Path) -> None:
    for i in range(2):
        np.save(folder / "cdm" / f"x{i}.npy", objects(lens(), i), allow_pickle=True)


def with_one_label_in_two_classes(folder: Path) -> None:
    for name in ("cdm", "no_sub"):
        np.save(folder / name / "x.npy", objects(lens(), 1), allow_pickle=True)


def with_a_pipe(folder: Path) -> None:
    os.mkfifo(folder / "cdm" / "x.npy")


def with_dates(folder: Path) -> None:
    np.save(folder / "cdm" / "x.npy", np.zeros((16, 16), "M8[D]"))


BAD = {
    with_an_empty_class: r"no \.npy file of class cdm",
    with_another_size: r"cdm_7\.npy has shape \(20, 20\), the first image \(16, 16\)",
    with_an_oblong: r"axion_7\.npy has shape \(16, 15\); images must be square",
    with_not_a_number: r"x\.npy has pixels that are NaN",
    with_huge_values: r"x\.npy has values of 1e\+300, beyond float32",
    with_tiny_values: r"x\.npy has values of 1e-300, beyond float32",
    with_a_blank: r"x\.npy has one value in all its pixels",
    with_few_pixels: r"axion_7\.npy has shape \(7, 7\); .* at least 8 pixels",
    with_a_mass_elsewhere: r"x\.npy holds an image and the mass of an axion, but is of class cdm",
    with_a_negative_mass: r"x\.npy .*neither a label .* nor the mass of an axion",
    with_two_labels_in_a_class: "with the labels 0 and 1 in one class",
    with_one_label_in_two_classes: "with the same label 1 in two classes",
    with_a_pipe: r"x\.npy .* a pipe or device",
    with_dates: r"x\.npy .* holds dates",
    shutil.rmtree: "There is no folder",
}


@pytest.mark.parametrize("spoil", BAD)
def test_a_folder_with_a_bad_file_is_refused_before_anything_is_written(deeplense, spoil):
    spoil(deeplense)
    with pytest.raises(DataError, match=BAD[spoil]):
        imported(deeplense)
    assert [path.name for path in deeplense.parent.iterdir() if path != deeplense] == []


def test_a_bad_file_among_many_is_found_before_anything_is_written(deeplense):
    for i in range(300):
        shutil.copy(deeplense / "cdm" / "cdm_7.npy", deeplense / "cdm" / f"{i:03}.npy")
    np.save(deeplense / "cdm" / "151.npy", np.full((16, 16), np.inf))
    with pytest.raises(DataError, match=r"151\.npy has pixels"):
        imported(deeplense)
    assert not (deeplense.parent / "a.zarr").exists()


def test_images_too_large_to_be_written_together_are_refused(deeplense, monkeypatch):
    monkeypatch.setattr("lenspinn.data.legacy._MAX_PIXELS_AT_ONCE", 16 * 16 * 16 - 1)
    with pytest.raises(DataError, match="too large for 9 images in one dataset"):
        imported(deeplense)


@pytest.mark.parametrize("pixel_scale", [0.0, -0.05, np.nan, np.inf, 1e308, 1e-9])
def test_an_absurd_pixel_scale_is_refused(deeplense, pixel_scale):
    with pytest.raises(DataError, match=r"pixel_scale is .*; give the size of a pixel in arcsec"):
        imported(deeplense, pixel_scale=pixel_scale)


def test_the_command_names_the_classes_of_packed_labels(tmp_path):
    np.save(tmp_path / "X.npy", np.stack([lens(seed) for seed in range(4)]))
    np.save(tmp_path / "y.npy", [0, 1, 0, 1])
    words = ["import", str(tmp_path), str(tmp_path / "a.zarr"), "--pixel_scale", "0.05"]
    assert cli.main([*words, "--classes", "no,sub"]) == 0
    assert ImageStore.open(tmp_path / "a.zarr").info.classes == ("cdm", "no_sub")
