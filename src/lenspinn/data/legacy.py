"""Stores made of datasets of .npy files, DeepLense's and similar ones."""

from pathlib import Path
from typing import Any

import numpy as np
import torch
from tqdm import tqdm

from lenspinn.data.background import SMALLEST_IMAGE, background_sigma
from lenspinn.data.image_folders import Listing, Place, list_images
from lenspinn.data.info import DatasetInfo, check_pixel_scale
from lenspinn.data.layout import CHUNK_IMAGES
from lenspinn.data.npy import open_stack, read_image_and_number, single_image
from lenspinn.data.store import SHARD_IMAGES, StoreWriter
from lenspinn.errors import DataError

AXION_MASS = "axion_mass_eV"
"""Name of the truth field for the axion mass that comes with an image, eV; NaN elsewhere."""

PART = "part"
"""Name of the truth field for the part of an image, an index into ``recipe_config["parts"]``."""

_NUM_PROBED = 64  # images of which the background noise is measured
_MAX_PIXELS_AT_ONCE = 3 * 2**26  # of images that are written together: 768 of 512 x 512


def import_deeplense(
    folder: Path | str,
    out: Path | str,
    *,
    pixel_scale: float,
    classes: str | None = None,
    instrument: str = "unknown",
    unit: str = "unknown",
    progress: bool = True,
) -> Path:
    """Turn a folder of .npy images into a store; all of them are checked before it is written.

    Images are ordered by class, part (train, validation, test) and file name; images of packed
    arrays keep their order. File names are kept in the store's ``info.recipe_config``, the mass of
    axion images and the part in its truth. The same call resumes an interrupted one.

    Parameters
    ----------
    folder : Path
        Folder with one folder of .npy files for each class, or with ``images.npy`` and
        ``labels.npy``, or with folders ``train``, ``val`` and ``test`` of these. Names of
        DeepLense's classes (`lenspinn.data.image_folders.FOLDER_NAMES`) stand for axion, cdm and
        no_sub; other names are classes of their own.
    out : Path
        Store to write.
    pixel_scale : float, arcsec
        Pixel scale, which DeepLense's files do not state: 0.05 for Model I, 0.101 for II, 0.08 for
        III.
    classes : str
        Names with commas between them, for example axion,cdm,no_sub: what the labels 0, 1, ... of
        packed arrays stand for, or which of the folders to take. By default all folders are taken,
        and labels are names themselves.
    instrument, unit : str
        Instrument of the images and unit of their pixels, for the record.
    progress : bool
        Show a progress bar.

    Returns
    -------
    Path
        The store.

    Raises
    ------
    DataError
        If the folder has none of these layouts, a class or part is ambiguous or empty, a file is
        not an image like the others or has another label than its folder. Nothing is written then.
    StoreError
        If the pixel scale is absurd, or there is something else at `out`.
    """
    folder, out = Path(folder), Path(out)
    check_pixel_scale(pixel_scale)
    listing = list_images(folder, classes)
    reader = _Reader(listing)
    numbers, noise_sigma = reader.check(progress=progress)
    truth = _truth(listing, numbers)
    info = DatasetInfo(
        num_images=len(listing.places),
        num_pix=reader.num_pix,
        pixel_scale=pixel_scale,
        classes=listing.classes,
        recipe="imported",
        instrument=instrument,
        unit=unit,
        noise_sigma=noise_sigma,
        lens_light=False,
        recipe_config=_record(folder, listing),
        seed=None,
    )
    writer = StoreWriter.open(out, info, dict.fromkeys(truth, ()))
    labels = np.array([place.label for place in listing.places])
    for rows in tqdm(writer.pending_shards(), unit="shard", disable=not progress):
        chosen = slice(rows.start, rows.stop)
        fields = {name: values[chosen] for name, values in truth.items()}
        writer.write_shard(rows, reader.images(listing.places[chosen]), labels[chosen], fields)
    writer.finish()
    return out


class _Reader:
    """Reader of listed images, which refuses images that are not like the first."""

    def __init__(self, listing: Listing) -> None:
        self.listing = listing
        self._stacks: dict[Path, np.ndarray] = {}
        first = listing.places[0]
        shape = self._raw(first)[0].shape
        if shape[0] != shape[1] or shape[0] < SMALLEST_IMAGE:
            raise DataError(
                f"{_name(first)} has shape {shape}; images must be square, (y, x), of at least "
                f"{SMALLEST_IMAGE} pixels a side: cut them, or save flat images as (n, y, x)"
            )
        self.num_pix = shape[0]
        at_once = min(SHARD_IMAGES, max(CHUNK_IMAGES, len(listing.places))) * self.num_pix**2
        if at_once > _MAX_PIXELS_AT_ONCE:
            raise DataError(
                f"{_name(first)} has shape {shape}, too large for {len(listing.places)} images "
                "in one dataset: cut them to a smaller square around the lens"
            )

    def check(self, *, progress: bool) -> tuple[np.ndarray, float]:
        """Read every image once; return the number that came with each, and the median noise."""
        places = self.listing.places
        numbers = np.full(len(places), np.nan)
        step = max(1, len(places) // _NUM_PROBED)
        noise = []
        shown = tqdm(places, "check", leave=False, unit="image", disable=None if progress else True)
        for i, place in enumerate(shown):
            image, number = self._read(place)
            if number is not None:
                numbers[i] = number
            if i % step == 0:
                noise.append(background_sigma(torch.from_numpy(image[None, None])))
        return numbers, float(torch.cat(noise).median())

    def images(self, places: tuple[Place, ...]) -> np.ndarray:
        """Read images, (n, 1, y, x) float32."""
        return np.stack([self._read(place)[0] for place in places])[:, None]

    def _read(self, place: Place) -> tuple[np.ndarray, float | None]:
        """Read an image (y, x) float32 and its number."""
        found, number = self._raw(place)
        if found.shape != (self.num_pix, self.num_pix):
            raise DataError(
                f"{_name(place)} has shape {found.shape}, the first image "
                f"{(self.num_pix, self.num_pix)}: all images must have one size"
            )
        if not np.isfinite(found).all():
            raise DataError(
                f"{_name(place)} has pixels that are NaN or infinite: fill them or leave it out"
            )
        with np.errstate(over="ignore", under="ignore"):
            image = found.astype(np.float32)
        if not np.isfinite(image).all() or (found.any() and not image.any()):
            raise DataError(
                f"{_name(place)} has values of {np.abs(found).max():.0e}, beyond float32: "
                "give all images in another unit"
            )
        if image.min() == image.max():
            raise DataError(f"{_name(place)} has one value in all its pixels: leave it out")
        return image, number

    def _raw(self, place: Place) -> tuple[np.ndarray, float | None]:
        if place.row is None:
            return read_image_and_number(place.path)
        if place.path not in self._stacks:
            self._stacks[place.path] = open_stack(place.path)
        return single_image(self._stacks[place.path][place.row], _name(place)), None


def _name(place: Place) -> str:
    return str(place.path) if place.row is None else f"{place.path} (image {place.row})"


def _truth(listing: Listing, numbers: np.ndarray) -> dict[str, np.ndarray]:
    """Return truth by field, from the numbers that came with the images; labels are no truth."""
    is_mass = (numbers > 0) & (numbers < 1)
    _check_labels(listing, np.where(is_mass, np.nan, numbers))
    for place in (listing.places[row] for row in np.flatnonzero(is_mass)):
        name = listing.classes[place.label]
        if name.lower() != "axion":
            raise DataError(
                f"{_name(place)} holds an image and the mass of an axion, but is of class {name}: "
                "move it to the folder axion, or save the image alone"
            )
    truth = {AXION_MASS: np.where(is_mass, numbers, np.nan)} if is_mass.any() else {}
    if listing.parts:
        truth[PART] = np.array([float(place.part) for place in listing.places])
    return truth


def _check_labels(listing: Listing, carried: np.ndarray) -> None:
    """Refuse labels in the files, NaN where there is none, that contradict their folders."""
    of_class: dict[int, int] = {}
    of_label: dict[float, int] = {}
    for row in np.flatnonzero(~np.isnan(carried)).tolist():
        place, label = listing.places[row], float(carried[row])
        first = of_class.setdefault(place.label, row)
        if carried[first] != label:
            raise DataError(
                f"{_name(listing.places[first])} and {_name(place)} hold [image, label] with the "
                f"labels {carried[first]:g} and {label:g} in one class: sort the files into one "
                "folder for each class, or save the images without labels"
            )
        same = listing.places[of_label.setdefault(label, row)]
        if same.label != place.label:
            raise DataError(
                f"{_name(same)} and {_name(place)} hold [image, label] with the same label "
                f"{label:g} in two classes: put them in one folder, or save the images without "
                "labels"
            )


def _record(folder: Path, listing: Listing) -> dict[str, Any]:
    """Return the folder and file names of the images, without paths of this machine."""
    files: dict[str, dict[str, None]] = {name: {} for name in listing.classes}
    for place in listing.places:
        inside = place.path.relative_to(folder)
        files[listing.classes[place.label]][str(inside)] = None
    record = {"folder": folder.resolve().name, "files": {n: list(f) for n, f in files.items()}}
    return record | ({"parts": list(listing.parts)} if listing.parts else {})
