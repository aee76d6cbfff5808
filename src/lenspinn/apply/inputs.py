"""The files `apply_model` reads: .npy, FITS and HDF5 images, and whole datasets."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float

from lenspinn.apply.companions import (
    Companions,
    is_hdf5,
    is_lens_folder,
    read_with_companions,
)
from lenspinn.data.fits import TelescopeImage
from lenspinn.data.hdf5 import HDF5_SUFFIXES
from lenspinn.data.npy import read_npy
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
    from_telescope: bool = False
    """Whether it is a telescope's file; an array is taken to be what the training images are."""
    known: Companions = field(default_factory=Companions)


@dataclass(frozen=True, kw_only=True, eq=False)
class ImageTable:
    """A dataset of images."""

    name: str
    path: Path
    store: ImageStore


def read_inputs(
    paths: Sequence[str | Path],
    *,
    pixel_scale: float | None = None,
    noise: Path | None = None,
    psf: Path | None = None,
) -> list[ImageFile | ImageTable]:
    """Read and check every input, before anything is done with the first.

    Parameters
    ----------
    paths
        .npy, FITS and HDF5 files, folders of one lens (`lenspinn.apply.companions`) and folders of
        datasets; one named twice is read once.
    pixel_scale
        Arcsec per pixel of single images; it overrides what their files say.
    noise, psf
        Files that go with one FITS or HDF5 image.

    Raises
    ------
    DataError
        A file is missing or of another kind, or cannot be read as what it claims to be; or a noise
        map or PSF is given with several images, or with one that is no telescope's file.
    ImageError
        An image is not square or too small, has pixels that are not finite, is constant, or is a
        telescope's image without a pixel scale.
    StoreError
        A folder is not a complete dataset.
    """
    unique = list(dict.fromkeys(Path(path) for path in paths))
    if not unique:
        raise DataError("no image was given: name .npy, FITS or HDF5 files, or folders of datasets")
    if pixel_scale is not None and not pixel_scale > 0:
        raise DataError(f"pixel_scale is {pixel_scale}; it must be positive arcsec per pixel")
    files = {"noise": noise, "psf": psf}
    given = [name for name, path in files.items() if path is not None]
    if given and (len(unique) > 1 or not _is_telescope_file(unique[0])):
        raise DataError(
            f"{' and '.join(given)} can be given with one FITS or HDF5 image only, not with "
            f"{', '.join(map(str, unique))}"
        )
    names = unique_names(unique)
    return [_read(path, name, pixel_scale, files) for path, name in zip(unique, names, strict=True)]


def _is_telescope_file(path: Path) -> bool:
    return path.name.lower().endswith(FITS_SUFFIXES) or is_hdf5(path) or is_lens_folder(path)


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


def _read(
    path: Path, name: str, pixel_scale: float | None, files: dict[str, Path | None]
) -> ImageFile | ImageTable:
    if path.is_dir() and not is_lens_folder(path):
        return ImageTable(name=name, path=path, store=ImageStore.open(path))
    if not path.exists():
        raise DataError(f"there is no file {path}")
    if path.name.lower().endswith(".npy"):
        pixels = _single(read_npy(path))
        image = ImageFile(name=name, path=path, pixels=pixels, pixel_scale=pixel_scale)
    elif _is_telescope_file(path):
        found, known = read_with_companions(path, pixel_scale=pixel_scale, **files)
        image = ImageFile(
            name=name,
            path=path,
            pixels=_single(found.data),
            pixel_scale=found.pixel_scale,
            unit=found.unit,
            instrument=_instrument(found),
            from_telescope=True,
            known=known,
        )
    else:
        raise DataError(
            f"{path} is neither a .npy file, a FITS file ({', '.join(FITS_SUFFIXES)}), an HDF5 "
            f"file ({', '.join(HDF5_SUFFIXES)}) nor the folder of a dataset"
        )
    check_image(torch.from_numpy(image.pixels), str(path))
    return image


def _instrument(image: TelescopeImage) -> str | None:
    """Telescope, instrument and filter, as far as the header names them."""
    names = (image.telescope, image.instrument, image.filter)
    return " ".join(dict.fromkeys(name for name in names if name)) or None


def _single(pixels: np.ndarray) -> np.ndarray:
    """To float32; what is too large for it becomes infinite, which `check_image` refuses."""
    with np.errstate(over="ignore"):
        return np.ascontiguousarray(pixels, dtype=np.float32)
