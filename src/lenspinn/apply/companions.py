"""What comes with the image of a lens: noise map, PSF and mask."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float

from lenspinn.data.fits import TelescopeImage, read_fits
from lenspinn.data.hdf5 import HDF5_SUFFIXES, read_hdf5, read_hdf5_psf
from lenspinn.errors import DataError

IMAGE = "data.fits"
IN_FOLDER = {"noise": "noise_map.fits", "psf": "psf.fits", "mask": "mask_extra_galaxies.fits"}
"""Names of files in the folder of a lens."""

AnyPixels = Float[np.ndarray, "_ _"]


@dataclass(frozen=True, kw_only=True, eq=False)
class Companions:
    """Pixels that go with an image; None for what is not known."""

    noise: AnyPixels | None = None
    """Standard deviations, in the unit of the image."""
    psf: AnyPixels | None = None
    """In pixels of the image."""
    mask: AnyPixels | None = None
    """Anything but 0 leaves a pixel out."""


def is_lens_folder(path: Path) -> bool:
    """Return whether a folder holds one lens, not a dataset."""
    return (path / IMAGE).is_file()


def is_hdf5(path: Path) -> bool:
    """Return whether a file has the name of an HDF5 file."""
    return path.name.lower().endswith(HDF5_SUFFIXES)


def read_with_companions(
    image: Path,
    *,
    noise: Path | None = None,
    psf: Path | None = None,
    mask: Path | None = None,
    pixel_scale: float | None = None,
) -> tuple[TelescopeImage, Companions]:
    """Read an image and what comes with it.

    Parameters
    ----------
    image
        FITS file; HDF5 file of lenstronomy, which has its noise (`lenspinn.data.read_hdf5`); or a
        folder with ``data.fits`` and, if there are any, ``noise_map.fits``, ``psf.fits`` and
        ``mask_extra_galaxies.fits``.
    noise, psf, mask
        FITS files, the PSF also an HDF5 file; they go before those of the folder or file.
    pixel_scale
        Arcsec per pixel; by default what the file of the image says.

    Raises
    ------
    DataError, ImageError
        If a file is missing or cannot be read.
    """
    files = {"noise": noise, "psf": psf, "mask": mask}
    if image.is_dir():
        files = {key: path or _in_folder(image, key) for key, path in files.items()}
        if not is_lens_folder(image):
            raise DataError(f"the folder {image} holds no {IMAGE}")
        image = image / IMAGE
    if is_hdf5(image):
        found = read_hdf5(image, pixel_scale=pixel_scale)
    else:
        found = read_fits(image, pixel_scale=pixel_scale)
    pixels = {
        key: None if path is None else _pixels(path, key, found.pixel_scale)
        for key, path in files.items()
    }
    if pixels["noise"] is None:
        pixels["noise"] = found.noise
    return found, Companions(**pixels)


def _pixels(path: Path, key: str, pixel_scale: float) -> AnyPixels:
    if key == "psf" and is_hdf5(path):
        return read_hdf5_psf(path)
    return read_fits(path, pixel_scale=pixel_scale).data


def _in_folder(folder: Path, key: str) -> Path | None:
    path = folder / IN_FOLDER[key]
    return path if path.exists() else None
