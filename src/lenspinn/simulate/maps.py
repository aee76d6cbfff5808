"""Small maps that describe an instrument: its PSF, the correlation of its noise."""

from pathlib import Path

import numpy as np

from lenspinn.data.fits import read_fits
from lenspinn.errors import ConfigError, LenspinnError
from lenspinn.regular_file import require_regular_file

__all__ = ["read_map"]

MOST_BYTES = 2**26
"""Largest file that is read, bytes; a map of 1001 x 1001 numbers has 2^23."""

SCALE_TOLERANCE = 0.01
"""Largest relative difference between the pixels of a map and those of the instrument."""


def read_map(path: str, pixel_scale: float, key: str) -> np.ndarray:
    """Read a square map with an odd number of pixels, the middle one of which is its centre.

    Parameters
    ----------
    path
        FITS or .npy file.
    pixel_scale
        Pixel scale of the instrument, arcsec.
    key
        Key of the recipe, for error messages.

    Returns
    -------
    (size, size) float64

    Raises
    ------
    ConfigError
        If the file cannot be read, is of another shape, holds values that are not finite, or says
        that its pixels are of another size; a file that does not say is taken to be right.
    """
    try:
        require_regular_file(Path(path), "a map", most_bytes=MOST_BYTES, error=ConfigError)
        values = _read(Path(path), pixel_scale)
    except (LenspinnError, OSError, ValueError) as error:
        raise ConfigError(f"{key}: {error}") from None
    if values.ndim != 2 or values.shape[0] != values.shape[1] or values.shape[0] % 2 == 0:
        shape = " x ".join(map(str, values.shape)) or "a single number"
        raise ConfigError(f"{key}: {path} is {shape}; it must be square, with an odd size")
    if values.dtype.kind not in "iuf":
        raise ConfigError(f"{key}: {path} holds {values.dtype.name}, and numbers are needed")
    if not np.isfinite(values).all():
        raise ConfigError(f"{key}: {path} holds values that are not finite")
    return values.astype(np.float64)


def _read(path: Path, pixel_scale: float) -> np.ndarray:
    if path.suffix == ".npy":
        return _read_npy(path)
    try:
        image = read_fits(path)
    except LenspinnError:  # perhaps it states no pixel scale; any other fault is raised again
        return read_fits(path, pixel_scale=pixel_scale).data
    if abs(image.pixel_scale / pixel_scale - 1) > SCALE_TOLERANCE:
        raise ConfigError(
            f"{path} has pixels of {image.pixel_scale:g} arcsec, the instrument {pixel_scale:g}"
        )
    return image.data


def _read_npy(path: Path) -> np.ndarray:
    try:
        # Mapped: a header that declares more than there is must not take memory.
        return np.asarray(np.load(path, mmap_mode="r", allow_pickle=False))
    except Exception as error:  # numpy raises many kinds for garbled headers
        raise ConfigError(f"{path} is no .npy file of numbers: {error}") from None
