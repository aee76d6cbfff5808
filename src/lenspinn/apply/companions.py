"""What comes with the FITS image of a lens: noise map, PSF and mask."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float

from lenspinn.data.fits import FitsImage, read_fits
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


def read_with_companions(
    image: Path,
    *,
    noise: Path | None = None,
    psf: Path | None = None,
    mask: Path | None = None,
    pixel_scale: float | None = None,
) -> tuple[FitsImage, Companions]:
    """Read a FITS image and what comes with it.

    Parameters
    ----------
    image
        FITS file, or a folder with ``data.fits`` and, if there are any, ``noise_map.fits``,
        ``psf.fits`` and ``mask_extra_galaxies.fits``.
    noise, psf, mask
        FITS files; they go before those of the folder.
    pixel_scale
        Arcsec per pixel; by default what the header of the image says.

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
    found = read_fits(image, pixel_scale=pixel_scale)
    pixels = {
        key: None if path is None else read_fits(path, pixel_scale=found.pixel_scale).data
        for key, path in files.items()
    }
    return found, Companions(**pixels)


def _in_folder(folder: Path, key: str) -> Path | None:
    path = folder / IN_FOLDER[key]
    return path if path.exists() else None
