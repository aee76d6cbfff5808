"""Folders and patterns that stand for a table: a row for each image of a lens that is there."""

import glob
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa

from lenspinn.data.extensions import role_of
from lenspinn.data.fits_file import FITS_SUFFIXES
from lenspinn.data.hdf5 import HDF5_SUFFIXES
from lenspinn.errors import DataError
from lenspinn.measure.companions import IMAGE, IN_FOLDER, is_hdf5, is_lens_folder

__all__ = ["find_images", "is_pattern"]

SUFFIXES = (*FITS_SUFFIXES, *HDF5_SUFFIXES, ".npy")
"""Suffixes of files that hold an image."""
BAND_IMAGE, BAND_PSF = "image_", "psf_"
"""Beginnings of the names of HDF5 files of a band, as dolphin names them."""
OTHER_ROLES = ("noise", "variance", "weight", "psf", "mask")
"""Words in names of files that are not images of a lens but belong to one."""


def is_pattern(path: Path) -> bool:
    """Return whether a path is a pattern, as ``lenses/*.fits`` is, and nothing has that name."""
    return glob.has_magic(str(path)) and not path.exists()


def find_images(place: Path) -> pa.Table:
    """Make a table of the images in a folder, or of those that a pattern names.

    Parameters
    ----------
    place
        A folder of one lens (with ``data.fits``); a folder of such folders, or of folders with
        ``BAND_data.fits`` or ``image_BAND.h5``; a folder of images; or a pattern that names any of
        them.

    Returns
    -------
    pyarrow.Table
        Table in the order of names, of columns ``image`` and ``noise``, ``psf`` and ``mask``: a
        file
        ``X_data.fits`` brings ``X_noise_map.fits``, ``X_psf.fits`` and
        ``X_mask_extra_galaxies.fits`` of its folder, and ``image_X.h5`` brings ``psf_X.h5``.

    Raises
    ------
    DataError
        There is no image.
    """
    if place.is_dir():
        found = [place] if is_lens_folder(place) else [*_inside(place, sorted(place.iterdir()))]
    else:
        named = [Path(name) for name in sorted(glob.glob(str(place), recursive=True))]
        found = [*_inside(None, named)]
    if not found:
        raise DataError(
            f"{place} names no image of a lens: give a table, a folder of images "
            f"({', '.join(FITS_SUFFIXES[:3])}, {', '.join(HDF5_SUFFIXES)}, .npy) or of folders "
            f"with {IMAGE}, or a pattern"
        )
    rows = [{"image": str(path), **_beside(path)} for path in found]
    schema = pa.schema([(name, pa.string()) for name in ("image", *IN_FOLDER)])
    return pa.Table.from_pylist(rows, schema=schema)


def _inside(folder: Path | None, entries: list[Path]) -> Iterator[Path]:
    """Return the images among files and folders; of a folder in the folder, all of its images."""
    for path in entries:
        if path.is_dir() and is_lens_folder(path):
            yield path
        elif path.is_dir():
            bands = [*path.glob(f"*_{IMAGE}"), *path.glob(f"{BAND_IMAGE}*.h5")]
            yield from (file for file in sorted(bands) if file.is_file())
        elif path.is_file() and _is_image(path):
            yield path


def _is_image(path: Path) -> bool:
    """Return whether the name of a file is that of an image, not of what comes with one."""
    if not path.name.lower().endswith(SUFFIXES):
        return False
    others = path.name.endswith(tuple(IN_FOLDER.values()))
    others |= role_of(path.name.split(".")[0]) in OTHER_ROLES
    return _is_named_for_itself(path) or not others


def _is_named_for_itself(path: Path) -> bool:
    return path.name.endswith(f"_{IMAGE}")


def _beside(image: Path) -> dict[str, str]:
    """Return noise map, PSF and mask that lie beside an image and begin as it does."""
    if _is_named_for_itself(image):
        band = image.name.removesuffix(IMAGE)
        there = {kind: image.with_name(f"{band}{name}") for kind, name in IN_FOLDER.items()}
    elif image.name.startswith(BAND_IMAGE) and is_hdf5(image):
        there = {"psf": image.with_name(f"{BAND_PSF}{image.name.removeprefix(BAND_IMAGE)}")}
    else:
        return {}
    return {kind: str(path) for kind, path in there.items() if path.is_file()}
