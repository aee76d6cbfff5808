"""The files `apply_model` reads: .npy and FITS images, and whole datasets."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float

from lenspinn.data.fits import FitsImage, read_fits
from lenspinn.data.legacy import read_npy
from lenspinn.data.store import ImageStore
from lenspinn.data.transforms import check_image
from lenspinn.errors import DataError

FITS_SUFFIXES = (".fits", ".fit", ".fits.gz")


@dataclass(frozen=True, kw_only=True, eq=False)
class ImageFile:
    """One image as its file holds it."""

    name: str
    """For the files that are written about it."""
    path: Path
    pixels: Float[np.ndarray, "y x"]
    """float32, in `unit`."""
    pixel_scale: float | None
    """Arcsec per pixel; None if the file does not say."""
    unit: str | None = None
    instrument: str | None = None


@dataclass(frozen=True, kw_only=True, eq=False)
class ImageTable:
    """A dataset of images."""

    name: str
    path: Path
    store: ImageStore


def read_inputs(
    paths: Sequence[str | Path], *, pixel_scale: float | None = None
) -> list[ImageFile | ImageTable]:
    """Read and check every input, before anything is done with the first.

    Parameters
    ----------
    paths
        .npy files, FITS files and folders of datasets; one named twice is read once.
    pixel_scale
        Arcsec per pixel of .npy and FITS images; it overrides what a FITS header says.

    Raises
    ------
    DataError
        A file is missing or of another kind, or cannot be read as what it claims to be.
    ImageError
        An image is not square or too small, has pixels that are not finite, is constant, or is a
        FITS image without a pixel scale.
    StoreError
        A folder is not a complete dataset.
    """
    unique = list(dict.fromkeys(Path(path) for path in paths))
    if not unique:
        raise DataError("no image was given: name .npy or FITS files, or folders of datasets")
    if pixel_scale is not None and not pixel_scale > 0:
        raise DataError(f"pixel_scale is {pixel_scale}; it must be positive arcsec per pixel")
    names = unique_names(unique)
    return [_read(path, name, pixel_scale) for path, name in zip(unique, names, strict=True)]


def unique_names(paths: Sequence[Path]) -> list[str]:
    """Name each path by its last parts, as many as tell all apart.

    Parameters
    ----------
    paths
        All different.

    Returns
    -------
    list of str
        Parts joined by ``_``, without the suffix. ``x/data.fits`` and ``y/data.fits`` become
        ``x_data`` and ``y_data``.
    """
    stems = [[*path.absolute().parts[1:-1], _stem(path)] for path in paths]
    depth = 1
    while depth < max(map(len, stems), default=1):
        if len({"_".join(stem[-depth:]) for stem in stems}) == len(stems):
            break
        depth += 1
    names = ["_".join(stem[-depth:]) for stem in stems]
    # Same place and stem, other suffix: the suffix is all that tells them apart.
    return [
        name if names.count(name) == 1 else name + "_" + path.suffix.lstrip(".")
        for name, path in zip(names, paths, strict=True)
    ]


def _stem(path: Path) -> str:
    return Path(path.name.removesuffix(".gz")).stem


def _read(path: Path, name: str, pixel_scale: float | None) -> ImageFile | ImageTable:
    suffix = path.name.lower()
    if path.is_dir():
        return ImageTable(name=name, path=path, store=ImageStore.open(path))
    if not path.exists():
        raise DataError(f"there is no file {path}")
    if suffix.endswith(".npy"):
        pixels = _single(read_npy(path))
        image = ImageFile(name=name, path=path, pixels=pixels, pixel_scale=pixel_scale)
    elif suffix.endswith(FITS_SUFFIXES):
        fits = read_fits(path, pixel_scale=pixel_scale)
        image = ImageFile(
            name=name,
            path=path,
            pixels=_single(fits.data),
            pixel_scale=fits.pixel_scale,
            unit=fits.unit,
            instrument=_instrument(fits),
        )
    else:
        raise DataError(
            f"{path} is neither a .npy file, a FITS file ({', '.join(FITS_SUFFIXES)}) nor the "
            "folder of a dataset"
        )
    check_image(torch.from_numpy(image.pixels), str(path))
    return image


def _instrument(fits: FitsImage) -> str | None:
    """Telescope, instrument and filter, as far as the header names them."""
    names = (fits.telescope, fits.instrument, fits.filter)
    return " ".join(dict.fromkeys(name for name in names if name)) or None


def _single(pixels: np.ndarray) -> np.ndarray:
    """To float32; what is too large for it becomes infinite, which `check_image` refuses."""
    with np.errstate(over="ignore"):
        return np.ascontiguousarray(pixels, dtype=np.float32)
