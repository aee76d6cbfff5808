"""Probabilities of a network for each image, kept beside its evaluation."""

import hashlib
import io
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float64, Int, UInt64

from lenspinn.errors import DataError
from lenspinn.evaluate.image_set import ImageSet
from lenspinn.files import write_whole

__all__ = ["FILE", "Predictions", "read_predictions", "write_predictions"]

FILE = "predictions.npz"
DIGEST_BYTES = 8
AT_ONCE = 768
"""Number of images read at a time."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Predictions:
    """Probabilities of images, and a digest that identifies each image."""

    digests: UInt64[np.ndarray, " images"]
    """Digest of the pixels of each image."""
    labels: Int[np.ndarray, " images"]
    probabilities: Float64[np.ndarray, "images classes"]
    classes: tuple[str, ...]


def write_predictions(
    test: ImageSet,
    probabilities: Float64[np.ndarray, "images classes"],
    classes: tuple[str, ...],
    folder: Path,
) -> Path:
    """Write the probabilities of a set of images into ``predictions.npz``."""
    content = io.BytesIO()
    np.savez_compressed(
        content,
        digests=_digests(test),
        labels=test.labels,
        probabilities=probabilities,
        classes=np.array(classes),
    )
    return write_whole(folder / FILE, content.getvalue())


def read_predictions(folder: Path) -> Predictions:
    """Read what `write_predictions` wrote.

    Raises
    ------
    DataError
        The file is missing or damaged.
    """
    path = folder / FILE
    if not path.is_file():
        raise DataError(
            f"{folder} has no {FILE}: evaluate the run with this version of lenspinn first "
            "(`lenspinn evaluate`)"
        )
    try:
        with np.load(path, allow_pickle=False) as file:
            content = {name: file[name] for name in ("digests", "labels", "probabilities")}
            found = Predictions(**content, classes=tuple(file["classes"].tolist()))
    except Exception as error:  # whatever numpy makes of a file that is none
        raise DataError(f"{path} is damaged: evaluate the run again") from error
    shapes = (found.digests.shape, found.labels.shape, found.probabilities.shape)
    number = len(found.labels)
    if shapes != ((number,), (number,), (number, len(found.classes))) or not number:
        raise DataError(f"{path} is damaged: evaluate the run again")
    return found


def _digests(test: ImageSet) -> UInt64[np.ndarray, " images"]:
    found = []
    for start in range(0, len(test.indices), AT_ONCE):
        for image in test.store.images(test.indices[start : start + AT_ONCE]):
            digest = hashlib.blake2b(image.tobytes(), digest_size=DIGEST_BYTES).digest()
            found.append(int.from_bytes(digest, "little"))
    return np.array(found, dtype=np.uint64)
