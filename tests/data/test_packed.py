from pathlib import Path

import numpy as np
import pytest

from lenspinn.data.packed import Packed, find_packed, read_labels
from lenspinn.errors import DataError


def pack(folder: Path, labels, images=None) -> Packed:
    np.save(folder / "images.npy", np.zeros((len(labels), 4, 4)) if images is None else images)
    np.save(folder / "labels.npy", labels, allow_pickle=True)
    return Packed(folder / "images.npy", folder / "labels.npy", "")


@pytest.mark.parametrize(
    ("images", "labels"),
    [
        ("images", "labels"),
        ("X", "y"),
        ("x", "Y"),
        ("data", "targets"),
        ("Images", "Label"),
    ],
)
def test_the_two_arrays_are_known_by_their_names(tmp_path, images, labels):
    inside = [tmp_path / f"{images}.npy", tmp_path / f"{labels}.npy", tmp_path / "readme.txt"]
    assert find_packed(inside) == [Packed(inside[0], inside[1], "")]


def test_each_part_may_have_its_arrays(tmp_path):
    names = ("X_train", "y_train", "X_test", "y_test", "val-images", "val-labels")
    found = find_packed([tmp_path / f"{name}.npy" for name in names])
    assert {(p.part, p.images.stem, p.labels.stem) for p in found} == {
        ("train", "X_train", "y_train"),
        ("test", "X_test", "y_test"),
        ("validation", "val-images", "val-labels"),
    }


def test_arrays_in_the_folder_of_a_part_belong_to_it(tmp_path):
    inside = [tmp_path / "images.npy", tmp_path / "labels.npy"]
    assert [found.part for found in find_packed(inside, "train")] == ["train"]


def test_without_labels_there_are_no_packed_arrays(tmp_path):
    assert find_packed([tmp_path / "images.npy", tmp_path / "axion.npy"]) == []


@pytest.mark.parametrize(
    "names", [("labels",), ("images", "X", "labels"), ("images", "labels", "masks")]
)
def test_arrays_without_a_partner_are_refused(tmp_path, names):
    with pytest.raises(DataError, match="one array of images and one of their labels is needed"):
        find_packed([tmp_path / f"{name}.npy" for name in names])


def test_folders_of_classes_beside_packed_arrays_are_refused(tmp_path):
    (tmp_path / "axion").mkdir()
    inside = [tmp_path / "axion", tmp_path / "images.npy", tmp_path / "labels.npy"]
    with pytest.raises(DataError, match="nothing beside them"):
        find_packed(inside)


@pytest.mark.parametrize(
    "labels",
    [
        np.array([0, 2, 1, 0]),
        np.array([0, 2, 1, 0], ">i2"),
        np.array([0.0, 2.0, 1.0, 0.0]),
        np.array([[0], [2], [1], [0]]),
        np.eye(3)[[0, 2, 1, 0]],
    ],
)
def test_labels_are_read_as_numbers_or_marked_columns(tmp_path, labels):
    found = read_labels(pack(tmp_path, labels), None)
    assert found.dtype == np.int64
    np.testing.assert_array_equal(found, [0, 2, 1, 0])


def test_true_and_false_are_two_classes(tmp_path):
    assert read_labels(pack(tmp_path, np.array([True, False])), None).tolist() == [1, 0]


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (np.zeros(4, int), "has the label 0 alone: two classes or more are needed"),
        (np.array([0, 1, -1]), "has the label -1; labels are whole numbers from 0 to 99"),
        (np.array([0, 1, 1000]), "has the label 1000"),
        (np.array([0, 1, 0.5]), "has the label 0.5"),
        (np.array([0, 1, np.nan]), "has the label nan"),
        (np.array([0, 1, np.inf]), "has the label inf"),
        (np.array([1, 2, 3]), "has no label 0"),
        (np.array([0, 1, 3]), "has no label 2"),
        (np.zeros((3, 2, 2)), r"has shape \(3, 2, 2\)"),
        (np.zeros((3, 101)), r"has shape \(3, 101\)"),
        (np.full((3, 2), 0.5), "not one 1 among 0 in every row"),
        (np.ones((3, 2)), "not one 1 among 0 in every row"),
        (np.array(["axion", "cdm"]), "holds text"),
        (np.array([0, 1], dtype=object), "holds objects"),
        (np.array([0, 1], dtype="M8[D]"), "holds dates"),
        (np.array([0, 1], dtype=complex), "holds complex numbers"),
    ],
)
def test_labels_that_are_none_are_refused(tmp_path, labels, message):
    with pytest.raises(DataError, match=rf"labels\.npy .*{message}"):
        read_labels(pack(tmp_path, labels), None)


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (np.array([0, 1, 2]), "has the label 2; .* from 0 to 1, for lens, none"),
        (np.array([0, 0]), "has the label 0 alone"),
    ],
)
def test_labels_without_a_name_are_refused(tmp_path, labels, message):
    with pytest.raises(DataError, match=message):
        read_labels(pack(tmp_path, labels), ["lens", "none"])


def test_names_without_a_label_are_refused(tmp_path):
    with pytest.raises(DataError, match=r"has no label 2, .* and name those alone"):
        read_labels(pack(tmp_path, np.array([0, 1])), ["a", "b", "c"])


@pytest.mark.parametrize("number", [3, 5])
def test_other_numbers_of_labels_than_images_are_refused(tmp_path, number):
    packed = pack(tmp_path, np.arange(number) % 2, np.zeros((4, 4, 4)))
    with pytest.raises(DataError, match=rf"has {number} labels and images\.npy 4 images"):
        read_labels(packed, None)
