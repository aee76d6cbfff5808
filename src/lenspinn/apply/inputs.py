"""Files that `apply_model` reads: .npy, FITS and HDF5 images, and whole datasets."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float

from lenspinn.data.fits_file import FITS_SUFFIXES
from lenspinn.data.hdf5 import HDF5_SUFFIXES
from lenspinn.data.npy import read_npy
from lenspinn.data.plausible_scale import check_pixel_scale
from lenspinn.data.store import ImageStore
from lenspinn.data.transforms import check_image
from lenspinn.errors import DataError
from lenspinn.measure.companions import (
    Companions,
    FileOptions,
    is_hdf5,
    is_lens_folder,
    read_with_companions,
)
from lenspinn.measure.output_names import output_names, unique_names

COMMAND = "apply"
"""Command whose JSON files are searched for names of images."""


@dataclass(frozen=True, kw_only=True, eq=False)
class ImageFile:
    """Image as its file holds it."""

    name: str
    """Name with which the files written about the image begin."""
    path: Path
    pixels: Float[np.ndarray, "y x"]
    """Pixels, float32, in `unit`; in a telescope's file NaN leaves a pixel out."""
    pixel_scale: float | None
    """Pixel scale, arcsec per pixel; None if the file does not state it."""
    unit: str | None = None
    instrument: str | None = None
    from_telescope: bool = False
    """Whether the file is a telescope's; an array is taken to be like the training images."""
    known: Companions = field(default_factory=Companions)


@dataclass(frozen=True, kw_only=True, eq=False)
class ImageTable:
    """Dataset of images."""

    name: str
    path: Path
    store: ImageStore


def read_inputs(
    paths: Sequence[str | Path], options: FileOptions | None = None, out: Path | None = None
) -> list[ImageFile | ImageTable]:
    """Read and check every input, before anything is done with the first.

    Parameters
    ----------
    paths
        .npy, FITS and HDF5 files, folders of one lens (`lenspinn.measure.companions`) and folders
        of datasets; one named twice is read once.
    options
        Files and extensions that go with one FITS or HDF5 image, and the pixel scale of single
        images, which overrides what their files say.
    out
        Folder that answers are written into; names of images are such that they replace none of
        another image there.

    Raises
    ------
    DataError
        A file is missing or of another kind, or cannot be read as what it claims to be; or what is
        for one telescope's file is given with several images, or with one that is none.
    ImageError
        An image is not square or too small, has pixels that are not finite (many, if it is a
        telescope's), is constant, or is a telescope's image without a pixel scale.
    StoreError
        A folder is not a complete dataset.
    """
    options = options or FileOptions()
    unique = list(dict.fromkeys(Path(path) for path in paths))
    if not unique:
        raise DataError("no image was given: name .npy, FITS or HDF5 files, or folders of datasets")
    if options.pixel_scale is not None:
        check_pixel_scale(options.pixel_scale)
    given = options.for_telescope_files
    if given and (len(unique) > 1 or not _is_telescope_file(unique[0])):
        raise DataError(
            f"{' and '.join(given)} can be given with one FITS or HDF5 image only, not with "
            f"{', '.join(map(str, unique))}"
        )
    names = unique_names(unique) if out is None else output_names(unique, out, COMMAND)
    return [_read(path, name, options) for path, name in zip(unique, names, strict=True)]


def _is_telescope_file(path: Path) -> bool:
    return path.name.lower().endswith(FITS_SUFFIXES) or is_hdf5(path) or is_lens_folder(path)


def _read(path: Path, name: str, options: FileOptions) -> ImageFile | ImageTable:
    if path.is_dir() and not is_lens_folder(path):
        return ImageTable(name=name, path=path, store=ImageStore.open(path))
    if not path.exists():
        raise DataError(f"there is no file {path}")
    if path.name.lower().endswith(".npy"):
        pixels = _single(read_npy(path))
        image = ImageFile(name=name, path=path, pixels=pixels, pixel_scale=options.pixel_scale)
    elif _is_telescope_file(path):
        found, known = read_with_companions(path, options)
        image = ImageFile(
            name=name,
            path=path,
            pixels=_single(found.data),
            pixel_scale=found.pixel_scale,
            unit=found.unit,
            instrument=found.names,
            from_telescope=True,
            known=known,
        )
    else:
        raise DataError(
            f"{path} is neither a .npy file, a FITS file (.fits, .fit, also .gz, .bz2, .zip), an "
            f"HDF5 file ({', '.join(HDF5_SUFFIXES)}) nor the folder of a dataset"
        )
    check_image(torch.from_numpy(image.pixels), str(path), may_miss=image.from_telescope)
    return image


def _single(pixels: np.ndarray) -> np.ndarray:
    """Convert to float32; a value too large becomes infinite, which `check_image` refuses."""
    with np.errstate(over="ignore"):
        return np.ascontiguousarray(pixels, dtype=np.float32)
