"""DeepLense's folders of .npy files, read without executing what is pickled in them."""

import pickle
import re
from collections import Counter
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import torch
from tqdm import tqdm

from lenspinn.data.info import DatasetInfo
from lenspinn.data.store import StoreWriter
from lenspinn.data.transforms import background_sigma
from lenspinn.errors import DataError

CLASSES = ("axion", "cdm", "no_sub")
FOLDER_NAMES = {
    "axion": "axion",
    "vort": "axion",
    "cdm": "cdm",
    "sub": "cdm",
    "sphere": "cdm",
    "no_sub": "no_sub",
    "no": "no_sub",
}
"""Folder names in use, in any case, and the class each stands for."""

AXION_MASS = "axion_mass_eV"
"""Truth field of the mass that comes with an axion image; NaN elsewhere."""

_NUM_PROBED = 64  # images of which the background noise is measured
_PLAIN_TYPE = re.compile(r"[biuf][1248]|O8|b1")


def read_npy(path: Path | str) -> np.ndarray:
    """Read one image from a .npy file of DeepLense.

    The file holds a plain array, or a pickled object array ``[image, mass]`` as in the axion
    class. Pickles are read by an interpreter of its own that can build numeric arrays and
    nothing else: no code of the file is run.

    Parameters
    ----------
    path : Path

    Returns
    -------
    (y, x) float64
        The image; axes of length 1 in front are dropped.

    Raises
    ------
    DataError
        If the file is missing, is no .npy file, is truncated, holds anything but an image, or
        contains a pickle that asks for more than numpy arrays.
    """
    image, _ = _read_image_and_mass(Path(path))
    return image


def import_deeplense(
    folder: Path | str,
    out: Path | str,
    *,
    pixel_scale: float,
    instrument: str = "unknown",
    unit: str = "unknown",
    progress: bool = True,
) -> Path:
    """Turn a DeepLense folder of classes into a store.

    Images are ordered by class, then file name. File names are kept in the store's
    ``info.recipe_config["files"]``, the mass of axion images in its truth. Interrupted, the same
    call resumes.

    Parameters
    ----------
    folder : Path
        Holds one folder of .npy files for each of the three classes, named as in `FOLDER_NAMES`.
    out : Path
        Store to write.
    pixel_scale : float, arcsec
        DeepLense's files do not say: 0.05 for Model I, 0.101 for II, 0.08 for III.
    instrument, unit : str
        What the images were taken with and measured in, for the record.
    progress : bool
        Show a progress bar.

    Returns
    -------
    Path
        The store.

    Raises
    ------
    DataError
        If a class has no folder or two, or a file is not an image like the others.
    StoreError
        If there is something else at `out`.
    """
    folder, out = Path(folder), Path(out)
    files = _class_files(folder)
    ordered = [(label, file) for label, name in enumerate(CLASSES) for file in files[name]]
    first = _read_image_and_mass(ordered[0][1])[0]
    probed = [file for _, file in ordered[:: max(1, len(ordered) // _NUM_PROBED)]]
    info = DatasetInfo(
        num_images=len(ordered),
        num_pix=first.shape[-1],
        pixel_scale=pixel_scale,
        classes=CLASSES,
        recipe="imported",
        instrument=instrument,
        unit=unit,
        noise_sigma=_median_noise(probed, first.shape),
        lens_light=False,
        recipe_config={
            "folder": folder.resolve().name,
            "files": {name: [file.name for file in files[name]] for name in CLASSES},
        },
        seed=None,
    )
    writer = StoreWriter.open(out, info, {AXION_MASS: ()})
    for rows in tqdm(writer.pending_shards(), unit="shard", disable=not progress):
        chosen = ordered[rows.start : rows.stop]
        images, masses = _read_like([file for _, file in chosen], first.shape)
        labels = np.array([label for label, _ in chosen])
        writer.write_shard(rows, images, labels, {AXION_MASS: masses})
    writer.finish()
    return out


def _class_files(folder: Path) -> dict[str, list[Path]]:
    if not folder.is_dir():
        raise DataError(f"There is no folder {folder}")
    folders = {path: FOLDER_NAMES.get(path.name.lower()) for path in sorted(folder.iterdir())}
    times = Counter(name for path, name in folders.items() if name and path.is_dir())
    for name in CLASSES:
        if times[name] != 1:
            known = [alias for alias, meant in FOLDER_NAMES.items() if meant == name]
            raise DataError(
                f"{folder} has {times[name]} folders for class {name}: exactly one of "
                f"{known} is needed"
            )
    files = {name: sorted(path.glob("*.npy")) for path, name in folders.items() if name}
    for name, found in files.items():
        if not found:
            raise DataError(f"{folder} has no .npy file of class {name}")
    return files


def _read_like(files: list[Path], shape: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray]:
    """Images (n, 1, y, x) float32 and axion masses (n,), all images of one square shape."""
    images = np.empty((len(files), 1, shape[-1], shape[-1]), dtype=np.float32)
    masses = np.empty(len(files))
    for i, file in enumerate(files):
        image, masses[i] = _read_image_and_mass(file)
        if image.shape != images.shape[2:]:
            raise DataError(f"{file} has shape {image.shape}, the first image {images.shape[2:]}")
        if not np.isfinite(image).all():
            raise DataError(f"{file} has pixels that are NaN or infinite")
        images[i] = image
    return images, masses


def _median_noise(files: list[Path], shape: tuple[int, ...]) -> float:
    images, _ = _read_like(files, shape)
    return float(background_sigma(torch.from_numpy(images)).median())


def _read_image_and_mass(path: Path) -> tuple[np.ndarray, float]:
    try:
        with path.open("rb") as file:
            content = _read_array(file)
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror or error}") from error
    # Anything can come out of a broken or hostile pickle.
    except Exception as error:
        raise DataError(f"{path} is not a .npy file lenspinn reads: {error}") from error
    mass = np.nan
    if content.dtype.hasobject:
        if content.shape != (2,):
            raise DataError(f"{path} holds objects of shape {content.shape}, not [image, mass]")
        content, mass = content
    try:
        image, mass = np.asarray(content, dtype=np.float64), float(mass)
    except (TypeError, ValueError) as error:
        raise DataError(f"{path} holds {type(content).__name__}, not an image") from error
    while image.ndim > 2 and image.shape[0] == 1:
        image = image[0]
    if image.ndim != 2:
        raise DataError(f"{path} has shape {image.shape}, not that of one image (y, x)")
    return image, mass


def _read_array(file: BinaryIO) -> np.ndarray:
    version = np.lib.format.read_magic(file)
    readers = {
        (1, 0): np.lib.format.read_array_header_1_0,
        (2, 0): np.lib.format.read_array_header_2_0,
    }
    if version not in readers:
        raise DataError(f"version {version} of the format is unknown")
    shape, _, dtype = readers[version](file)
    if dtype.hasobject:
        content = _ArrayUnpickler(file).load()
        if not isinstance(content, _Array):
            raise DataError(f"its pickle holds {type(content).__name__}, not an array")
        return content.values
    position = file.tell()
    available = file.seek(0, 2) - position
    # Before numpy makes room for whatever the header claims.
    needed = dtype.itemsize * int(np.prod(shape, dtype=object))
    if available < needed:
        raise DataError(f"truncated, {available} bytes of {needed}")
    file.seek(0)
    return np.lib.format.read_array(file, allow_pickle=False)


class _ArrayUnpickler(pickle.Unpickler):
    """Rebuilds numpy's arrays and numbers, with the classes below in place of numpy's own.

    numpy's would believe what a pickle says about sizes and types, down to reading memory that
    is not theirs.
    """

    def find_class(self, module: str, name: str) -> Any:
        try:
            return _STAND_INS[module, name]
        except KeyError:
            raise DataError(
                f"its pickle asks for {module}.{name}, only numpy arrays are allowed"
            ) from None


class _Type:
    """A numeric type, or that of Python objects."""

    __slots__ = ("dtype",)

    def __init__(self, spec: str, align: bool, copy: bool) -> None:
        if not _PLAIN_TYPE.fullmatch(spec):
            raise DataError(f"its pickle has data of type {spec!r}, only numbers are allowed")
        self.dtype = np.dtype(spec)

    def __setstate__(self, state: tuple) -> None:
        self.dtype = self.dtype.newbyteorder(state[1])


class _Array:
    """An array of numbers; or of Python objects, along one axis."""

    __slots__ = ("values",)

    def __init__(self, kind: object, shape: tuple[int, ...], typecode: bytes) -> None:
        self.values = np.empty(0)  # the pickle's next step is to fill it

    def __setstate__(self, state: tuple) -> None:
        _, shape, kind, is_fortran, content = state
        if kind.dtype.hasobject:
            self.values = np.empty(len(content), dtype=object)
            for i, item in enumerate(content):
                self.values[i] = item.values if isinstance(item, _Array | _Number) else item
        else:
            self.values = np.frombuffer(content, kind.dtype)
        self.values = self.values.reshape(shape, order="F" if is_fortran else "C")


class _Number:
    """One number of a numeric type."""

    __slots__ = ("values",)

    def __init__(self, kind: _Type, content: bytes) -> None:
        (self.values,) = np.frombuffer(content, kind.dtype)

    def __setstate__(self, state: object) -> None:
        raise DataError("its pickle gives a number a state")


_STAND_INS: dict[tuple[str, str], object] = {
    ("numpy", "ndarray"): object(),  # named by a pickle, never called
    ("numpy", "dtype"): _Type,
    # numpy 1, then numpy 2.
    ("numpy.core.multiarray", "_reconstruct"): _Array,
    ("numpy.core.multiarray", "scalar"): _Number,
    ("numpy._core.multiarray", "_reconstruct"): _Array,
    ("numpy._core.multiarray", "scalar"): _Number,
}
