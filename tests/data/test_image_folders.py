from pathlib import Path

import numpy as np
import pytest

from lenspinn.data.image_folders import class_names, list_images
from lenspinn.errors import DataError

DEEPLENSE = ("axion", "cdm", "no_sub")


def classes(root: Path, *names: str, per_class: int = 2) -> Path:
    for name in names:
        (root / name).mkdir(parents=True)
        for i in range(per_class):
            np.save(root / name / f"{i}.npy", np.eye(8))
    return root


@pytest.mark.parametrize(
    ("found", "meant"),
    [
        (("no", "sphere", "vort"), ("no_sub", "cdm", "axion")),
        (("nosub", "sub"), ("no_sub", "cdm")),
        (("No-Sub", "CDM", "Vortex"), ("no_sub", "cdm", "axion")),
        (("no_sub", "Axion"), ("no_sub", "axion")),
        (("no sub", "Spheres", "wdm"), ("no_sub", "cdm", "wdm")),
        (("yes", "no"), ("yes", "no")),
        (("lens", "other"), ("lens", "other")),
        (("sphere", "ring"), ("sphere", "ring")),
        (("0", "1"), ("0", "1")),
    ],
)
def test_names_of_deeplense_stand_for_its_classes_and_others_for_themselves(found, meant):
    assert class_names(list(found)) == dict(zip(found, meant, strict=True))


@pytest.mark.parametrize(
    ("found", "message"),
    [
        (["cdm", "sphere", "axion"], "2 names, cdm and sphere, stand for class cdm"),
        (["axion"], "two classes or more are needed, and there is only axion"),
        ([], "and there is none"),
        (["a\nb", "c"], "cannot be the name of a class"),
        ([str(i) for i in range(101)], "101 classes are too many"),
    ],
)
def test_names_that_cannot_be_classes_are_refused(found, message):
    with pytest.raises(DataError, match=message):
        class_names(found)


@pytest.mark.parametrize("names", [("axion", "no_sub"), ("ring", "arc"), ("a", "b", "c", "d")])
def test_any_number_of_classes_is_listed_in_alphabetical_order(tmp_path, names):
    listing = list_images(classes(tmp_path, *names))
    assert listing.classes == tuple(sorted(names))
    assert listing.parts == ()
    found = [(listing.classes[p.label], p.path.parent.name, p.path.name) for p in listing.places]
    assert found == [(name, name, f"{i}.npy") for name in sorted(names) for i in range(2)]


def test_what_systems_put_beside_images_is_skipped(tmp_path):
    classes(tmp_path, *DEEPLENSE)
    for name in ("._0.npy", ".DS_Store", "Thumbs.db", "notes.txt"):
        (tmp_path / "cdm" / name).write_bytes(b"\x00\x05")
    (tmp_path / ".DS_Store").write_bytes(b"")
    (tmp_path / "._cdm").write_bytes(b"")
    (tmp_path / "__MACOSX").mkdir()
    (tmp_path / "cdm" / ".ipynb_checkpoints").mkdir()
    assert [place.label for place in list_images(tmp_path).places] == [0, 0, 1, 1, 2, 2]


def test_a_store_in_the_folder_is_no_class(tmp_path):
    classes(tmp_path, *DEEPLENSE, "data")
    (tmp_path / "data" / "zarr.json").write_text("{}")
    assert list_images(tmp_path).classes == DEEPLENSE


def test_suffixes_of_any_case_are_read(tmp_path):
    classes(tmp_path, *DEEPLENSE)
    (tmp_path / "cdm" / "0.npy").rename(tmp_path / "cdm" / "0.NPY")
    assert len(list_images(tmp_path).places) == 6


@pytest.mark.parametrize(
    ("folders", "parts"),
    [
        (("train", "val"), ("train", "validation")),
        (("Test", "Train", "validation"), ("train", "validation", "test")),
    ],
)
def test_parts_are_listed_in_one_go(tmp_path, folders, parts):
    for folder in folders:
        classes(tmp_path / folder, *DEEPLENSE, per_class=1)
    listing = list_images(tmp_path)
    assert listing.parts == parts
    assert [place.part for place in listing.places] == list(range(len(parts))) * 3
    assert [place.label for place in listing.places] == sorted([0, 1, 2] * len(parts))


def test_files_of_classes_hold_many_images_or_one(tmp_path):
    np.save(tmp_path / "nosub.npy", np.zeros((5, 8, 8)))
    np.save(tmp_path / "cdm.npy", np.zeros((8, 8)))
    listing = list_images(tmp_path)
    assert listing.classes == ("cdm", "no_sub")
    assert [(p.label, p.row) for p in listing.places] == [(0, None), *((1, i) for i in range(5))]


def test_files_of_other_classes_must_be_named(tmp_path):
    for name in ("ring", "arc", "masks"):
        np.save(tmp_path / f"{name}.npy", np.zeros((5, 8, 8)))
    with pytest.raises(DataError, match="nothing says of which class they are"):
        list_images(tmp_path)
    assert list_images(tmp_path, "ring,arc").classes == ("arc", "ring")


@pytest.mark.parametrize("wanted", ["axion,cdm", "vort, sphere"])
def test_those_classes_can_be_chosen_that_are_wanted(tmp_path, wanted):
    classes(tmp_path, *DEEPLENSE, "previews")
    assert list_images(tmp_path, wanted).classes == ("axion", "cdm")


def pack(folder: Path, images: str = "images", labels: str = "labels", num: int = 4) -> None:
    folder.mkdir(exist_ok=True)
    np.save(folder / f"{images}.npy", np.zeros((num, 8, 8)))
    np.save(folder / f"{labels}.npy", np.arange(num) % 2)


def test_the_labels_of_packed_arrays_are_names_where_none_are_given(tmp_path):
    pack(tmp_path)
    listing = list_images(tmp_path)
    assert listing.classes == ("0", "1")
    assert [(p.label, p.row) for p in listing.places] == [(0, 0), (1, 1), (0, 2), (1, 3)]


def test_the_labels_of_packed_arrays_are_named_in_their_order(tmp_path):
    pack(tmp_path)
    listing = list_images(tmp_path, "sub,axion")
    assert listing.classes == ("axion", "cdm")
    assert [place.label for place in listing.places] == [1, 0, 1, 0]


def test_packed_arrays_may_be_in_parts_too(tmp_path):
    pack(tmp_path, "X_test", "y_test", 2)
    pack(tmp_path, "X_train", "y_train", 4)
    listing = list_images(tmp_path, "a,b")
    assert listing.parts == ("train", "test")
    assert [place.part for place in listing.places] == [0, 0, 0, 0, 1, 1]


def test_packed_arrays_may_be_in_folders_of_parts(tmp_path):
    pack(tmp_path / "train")
    pack(tmp_path / "val")
    assert list_images(tmp_path).parts == ("train", "validation")


def spoil_packed_and_part(root: Path) -> None:
    pack(root)
    pack(root, "X_train", "y_train")


def spoil_part_unlike(root: Path) -> None:
    pack(root / "train")
    classes(root / "val", "a", "b")


def spoil_part_beside_class(root: Path) -> None:
    classes(root / "train", "a", "b")
    classes(root, "c")


def spoil_part_twice(root: Path) -> None:
    classes(root / "val", "a", "b")
    classes(root / "validation", "a", "b")


def spoil_part_without_class(root: Path) -> None:
    classes(root / "train", "a", "b", "c")
    classes(root / "val", "a", "b")


def spoil_part_without_classes(root: Path) -> None:
    classes(root / "train", "a", "b")
    classes(root, "test")


def spoil_loose_file(root: Path) -> None:
    np.save(classes(root, "a", "b") / "stray.npy", np.eye(8))


def spoil_flat_folder(root: Path) -> None:
    classes(root, "a")
    (root / "a").rename(root / "images")


def spoil_flat_files(root: Path) -> None:
    for i in range(3):
        np.save(root / f"{i}.npy", np.eye(8))


def spoil_deeper(root: Path) -> None:
    classes(root / "a", "train")
    classes(root, "b")


def spoil_empty_class(root: Path) -> None:
    classes(root, "a", "b")
    (root / "c").mkdir()


def spoil_other_files(root: Path) -> None:
    classes(root, "a", "b")
    (root / "c").mkdir()
    (root / "c" / "x.png").write_bytes(b"")


def spoil_everything(root: Path) -> None:
    """Leave the folder empty."""


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (spoil_packed_and_part, "in parts that are not all alike"),
        (spoil_part_unlike, "in parts that are not all alike"),
        (spoil_part_beside_class, "has the parts train and beside them c"),
        (spoil_part_twice, "one of them twice"),
        (spoil_part_without_class, "has no class c in its part validation"),
        (spoil_part_without_classes, "nothing says of which class they are"),
        (spoil_loose_file, "has the folder a and beside it stray.npy"),
        (spoil_flat_folder, "two classes or more are needed, and there is only images"),
        (spoil_flat_files, "nothing says of which class they are"),
        (spoil_deeper, "holds the folder train"),
        (spoil_empty_class, "has no .npy file of class c: put"),
        (spoil_other_files, "has no .npy file of class c, but .png: put"),
        (spoil_everything, "two classes or more are needed, and there is none"),
    ],
)
def test_a_folder_whose_images_are_ambiguous_is_refused(tmp_path, spoil, message):
    spoil(tmp_path)
    with pytest.raises(DataError, match=message):
        list_images(tmp_path)


@pytest.mark.parametrize("wanted", ["", "axion,", "axion,axion", "axion,wdm", "axion"])
def test_classes_that_cannot_be_chosen_are_refused(tmp_path, wanted):
    with pytest.raises(DataError, match=r"give different names|nothing for class wdm|only axion"):
        list_images(classes(tmp_path, *DEEPLENSE), wanted)


def test_a_folder_that_is_missing_is_named(tmp_path):
    with pytest.raises(DataError, match=r"There is no folder .*nowhere"):
        list_images(tmp_path / "nowhere")
