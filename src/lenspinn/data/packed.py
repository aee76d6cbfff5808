"""Arrays of many images with an array of their labels, as ``images.npy`` and ``labels.npy``."""

import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from lenspinn.data.npy import MAX_LABEL, open_stack
from lenspinn.errors import DataError

PARTS = {
    "train": "train",
    "training": "train",
    "val": "validation",
    "valid": "validation",
    "validation": "validation",
    "test": "test",
    "testing": "test",
}
"""Names of the parts of a dataset, in lower case, and the part that each stands for."""

IMAGE_NAMES = ("images", "image", "imgs", "x", "data")
LABEL_NAMES = ("labels", "label", "targets", "target", "y")
"""Words in the name of a file, in lower case, that mark it as images or as labels."""


@dataclass(frozen=True)
class Packed:
    """A file of images and the file of their labels."""

    images: Path
    labels: Path
    part: str
    """Part of the dataset, one of the values of `PARTS`, or empty."""


def find_packed(inside: list[Path], part: str = "") -> list[Packed]:
    """Find the pairs of arrays in a folder.

    Parameters
    ----------
    inside : list of Path
        Files and folders in the folder. Files are told by the words of their names: ``images.npy``
        and ``labels.npy``, ``X.npy`` and ``y.npy``, or ``X_train.npy`` and ``y_train.npy`` and so
        on for each part.
    part : str
        Part of the dataset that the folder is; empty if it is none.

    Raises
    ------
    DataError
        If one array of a pair is missing or occurs twice, or there are other .npy files or folders
        beside the pairs.
    """
    found: dict[tuple[str, str], list[Path]] = {}
    others = []
    for path in inside:
        if path.suffix.lower() != ".npy" and not path.is_dir():
            continue
        kind, of_part = _meaning(path)
        if kind:
            found.setdefault((of_part or part, kind), []).append(path)
        else:
            others.append(path.name)
    if not any(kind == "labels" for _, kind in found):
        return []
    parts = sorted({of_part for of_part, _ in found})
    pairs = [(found.get((p, "images"), []), found.get((p, "labels"), []), p) for p in parts]
    for images, labels, _ in pairs:
        if (len(images), len(labels)) != (1, 1) or others:
            names = [path.name for path in images + labels] + others[:2]
            raise DataError(
                f"{inside[0].parent} has {', '.join(names)}: one array of images and one of "
                "their labels is needed and nothing beside them; move the rest away"
            )
    return [Packed(images[0], labels[0], p) for images, labels, p in pairs]


def read_labels(packed: Packed, names: list[str] | None) -> np.ndarray:
    """Read the labels of packed images and compare them with the images.

    Parameters
    ----------
    packed : Packed
    names : list of str, optional
        Class names that the labels 0, 1, ... stand for.

    Returns
    -------
    (n,) int64
        Labels; every label from 0 to the highest occurs.

    Raises
    ------
    DataError
        If the labels are not whole numbers 0, 1, 2, ... (or one of n columns marked in each row),
        not as many as the images, all equal, or not those of the names.
    """
    images, labels = open_stack(packed.images), open_stack(packed.labels)
    if len(labels) != len(images):
        raise DataError(
            f"{packed.labels} has {len(labels)} labels and {packed.images.name} {len(images)} "
            "images: give as many labels as images, in the same order"
        )
    if labels.ndim > 2 or labels.shape[1:] > (MAX_LABEL + 1,):
        raise DataError(
            f"{packed.labels} has shape {labels.shape}; give one label for each image, (n,)"
        )
    values = np.asarray(labels, dtype=np.float64)
    values = _from_columns(values, packed.labels) if values.shape[1:] > (1,) else values.ravel()
    found = np.unique(values)
    last = MAX_LABEL if names is None else len(names) - 1
    if not (np.isin(values, np.arange(last + 1))).all():
        wrong = found[~np.isin(found, np.arange(last + 1))][0]
        raise DataError(
            f"{packed.labels} has the label {wrong:g}; labels are whole numbers from 0 to {last}"
            + ("" if names is None else f", for {', '.join(names)}")
        )
    if len(found) < 2:
        raise DataError(
            f"{packed.labels} has the label {found[0]:g} alone: two classes or more are needed; "
            "look whether the labels were saved"
        )
    missing = sorted(set(range(last + 1 if names else int(found[-1]) + 1)) - set(found.tolist()))
    if missing:
        raise DataError(
            f"{packed.labels} has no label {missing[0]}, but {found[-1]:g}: number the classes "
            "0, 1, 2, ... without a gap" + ("" if names is None else ", and name those alone")
        )
    return values.astype(np.int64)


def _meaning(path: Path) -> tuple[str, str]:
    """Return the kind (images or labels) and part of a file, each empty if its name has none."""
    if path.is_dir():
        return "", ""
    words = re.split(r"[_\-. ]+", path.stem.lower())
    part = [PARTS[word] for word in words if word in PARTS]
    rest = [word for word in words if word not in PARTS]
    if len(rest) != 1 or len(part) > 1:
        return "", ""
    kind = "images" if rest[0] in IMAGE_NAMES else "labels" if rest[0] in LABEL_NAMES else ""
    return kind, "".join(part)


def _from_columns(rows: np.ndarray, path: Path) -> np.ndarray:
    marked = (rows == 1).sum(axis=1) == 1
    if not (marked & ((rows == 0).sum(axis=1) == rows.shape[1] - 1)).all():
        raise DataError(f"{path} has columns, but not one 1 among 0 in every row; give labels (n,)")
    return rows.argmax(axis=1).astype(np.float64)
