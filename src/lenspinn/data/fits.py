"""FITS cutouts in and out: pixels, pixel scale, and the facts their headers state."""

import math
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from astropy.io import fits
from astropy.io.fits import Header

from lenspinn.errors import DataError, ImageError

ARCSEC_PER_UNIT = {"deg": 3600.0, "arcmin": 60.0, "arcsec": 1.0}
"""Units of a celestial axis (CUNIT); degrees where none is given, as the standard says."""

PLAUSIBLE_SCALE = (1e-3, 10.0)
"""Arcsec per pixel. Outside of it a header's numbers are no pixel scale of a lens image, e.g. the
CDELT of 1 that programs write where they know none."""

SQUARE_TOLERANCE = 0.01
"""Largest relative difference between the sides of a pixel that counts as square."""


@dataclass(frozen=True)
class TelescopeImage:
    """An image and what its file, FITS or HDF5, says about it; None where it says nothing."""

    data: np.ndarray
    """(y, x) float32, row 0 at the bottom."""
    pixel_scale: float
    """Arcsec per pixel."""
    unit: str | None = None
    """Of the pixels, as written in BUNIT."""
    telescope: str | None = None
    instrument: str | None = None
    filter: str | None = None
    exposure_time: float | None = None
    """Seconds."""
    zero_point: float | None = None
    """AB magnitude of a flux of 1: MAGZERO or its like, else from PHOTFLAM and PHOTPLAM."""
    noise: np.ndarray | None = None
    """(y, x) float32: standard deviations, in the unit of the pixels."""


def read_fits(
    path: Path | str, *, pixel_scale: float | None = None, hdu: int | str | None = None
) -> TelescopeImage:
    """Read an image from a FITS file.

    Parameters
    ----------
    path : Path
    pixel_scale : float, arcsec, optional
        Overrides what the header says. Needed where it says nothing; otherwise the WCS counts
        (CD matrix, or PC matrix and CDELT), then the keyword PIXSCALE.
    hdu : int or str, optional
        Number or name of the extension; the first that holds an image by default.

    Returns
    -------
    TelescopeImage

    Raises
    ------
    DataError
        If the file is missing, truncated or no FITS file.
    ImageError
        If it holds no two-dimensional image, or its pixel scale is unknown or not one number.
    """
    path = Path(path)
    with _opened(path) as hdus:
        found = _find_image(hdus, hdu, path)
        data, header = _pixels(found, path), found.header
        primary = hdus[0].header
    return TelescopeImage(
        data=data,
        pixel_scale=_pixel_scale(header, path) if pixel_scale is None else float(pixel_scale),
        unit=_text(header, primary, "BUNIT"),
        telescope=_text(header, primary, "TELESCOP"),
        instrument=_text(header, primary, "INSTRUME"),
        filter=_text(header, primary, "FILTER"),
        exposure_time=_number(header, primary, "EXPTIME", "TEXPTIME", "EFFEXPTM", "EXPOSURE"),
        zero_point=_zero_point(header, primary),
    )


def read_fits_images(path: Path | str, hdus: Sequence[int]) -> list[np.ndarray]:
    """Read some of the images of a FITS file, e.g. postage stamps, opening it once.

    Parameters
    ----------
    path : Path
    hdus : sequence of int
        Numbers of their extensions; the primary one is 0.

    Returns
    -------
    list of (y, x) float32
        In the order of `hdus`; their shapes may differ.

    Raises
    ------
    DataError
        If the file is missing, truncated or no FITS file.
    ImageError
        If an extension is not there, or holds no two-dimensional image.
    """
    path = Path(path)
    with _opened(path) as found:
        return [_pixels(_find_image(found, hdu, path), path) for hdu in hdus]


def read_fits_table(path: Path | str, columns: Sequence[str]) -> dict[str, np.ndarray]:
    """Read columns of the first table of a FITS file.

    Parameters
    ----------
    path : Path
    columns : sequence of str
        Names, in upper or lower case.

    Returns
    -------
    dict of (rows, ...)
        By the names that were asked for.

    Raises
    ------
    DataError
        If the file is missing, truncated or no FITS file, or holds no table or not all columns.
    """
    path = Path(path)
    with _opened(path) as hdus:
        table = next((hdu for hdu in hdus if isinstance(hdu, fits.BinTableHDU)), None)
        if table is None:
            raise DataError(f"{path} holds no table")
        there = [name.upper() for name in table.columns.names]
        for name in columns:
            if name.upper() not in there:
                raise DataError(f"{path} has no column {name!r}, only {', '.join(there)}")
        return {name: np.array(table.data[name]) for name in columns}


def write_fits(
    path: Path | str, data: np.ndarray, pixel_scale: float, **cards: str | float | None
) -> Path:
    """Write an image, replacing what is there.

    Parameters
    ----------
    path : Path
    data : (y, x)
        Stored as float32, row 0 at the bottom.
    pixel_scale : float, arcsec
        Written as PIXSCALE.
    **cards
        More header keywords, e.g. ``BUNIT="e-/s"``; at most 8 letters each.

    Returns
    -------
    Path
    """
    header = Header([("PIXSCALE", pixel_scale, "arcsec per pixel"), *cards.items()])
    image = fits.PrimaryHDU(np.asarray(data, dtype=np.float32), header)
    image.writeto(path, overwrite=True)
    return Path(path)


@contextmanager
def _opened(path: Path) -> Iterator[fits.HDUList]:
    """Open a file for reading; what cannot be read of it is a `DataError`."""
    try:
        # What astropy warns about is either mended by it or fails below.
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with fits.open(path, memmap=False) as hdus:
                yield hdus
    except DataError:
        raise
    except OSError as error:
        reason = error.strerror or str(error).partition(",")[0]
        raise DataError(f"{path} cannot be read as FITS: {reason}") from error
    except (TypeError, ValueError) as error:
        raise DataError(f"{path} is truncated or corrupt: {error}") from error


def _pixels(found: Any, path: Path) -> np.ndarray:
    """Return the one image of an extension, (y, x) float32."""
    data = found.data
    while data.ndim > 2 and data.shape[0] == 1:
        data = data[0]
    if data.ndim != 2:
        raise ImageError(f"{path} holds data of shape {data.shape}, not one image (y, x)")
    return np.ascontiguousarray(data, dtype=np.float32)


def _find_image(hdus: fits.HDUList, wanted: int | str | None, path: Path) -> Any:
    if wanted is None:
        for found in hdus:
            if found.is_image and found.header["NAXIS"] >= 2:
                return found
        raise ImageError(f"{path} holds no image")
    try:
        found = hdus[wanted]
    except (KeyError, IndexError) as error:
        names = [f"{i} {hdu.name}".strip() for i, hdu in enumerate(hdus)]
        there = names if isinstance(wanted, str) else f"0 to {len(names) - 1}"
        raise ImageError(f"{path} has no extension {wanted!r}, only {there}") from error
    if not found.is_image or found.data is None:
        raise ImageError(f"Extension {wanted!r} of {path} holds no image")
    return found


def _pixel_scale(header: Header, path: Path) -> float:
    sides = _wcs_pixel_sides(header)
    if sides is not None and all(_is_plausible(side) for side in sides):
        across, along = sides
        if abs(across - along) > SQUARE_TOLERANCE * across:
            raise ImageError(
                f"{path} has pixels of {across:.4g} x {along:.4g} arcsec, only square ones are "
                "supported"
            )
        return math.sqrt(across * along)
    scale = _number(header, header, "PIXSCALE")
    if scale is not None and _is_plausible(scale):
        return scale
    raise ImageError(
        f"{path} does not state its pixel scale (no celestial WCS, no PIXSCALE): give it as "
        "pixel_scale, in arcsec"
    )


def _wcs_pixel_sides(header: Header) -> tuple[float, float] | None:
    """Return the sides of a pixel in arcsec, None where the header has no matrix.

    FITS standard 4.0 (2018), section 8.1: the CD matrix, or else PC matrix (default: unity)
    times CDELT.
    """
    axes = (1, 2)
    if any(f"CD{i}_{j}" in header for i in axes for j in axes):
        matrix = [[header.get(f"CD{i}_{j}", 0.0) for j in axes] for i in axes]
    elif all(f"CDELT{i}" in header for i in axes):
        matrix = [
            [header[f"CDELT{i}"] * header.get(f"PC{i}_{j}", float(i == j)) for j in axes]
            for i in axes
        ]
    else:
        return None
    units = [ARCSEC_PER_UNIT.get(str(header.get(f"CUNIT{i}", "deg")).strip()) for i in axes]
    if None in units:
        return None
    in_arcsec = np.array(matrix, dtype=float) * np.array(units, dtype=float)[:, None]
    across, along = np.hypot(*in_arcsec)
    return float(across), float(along)


def _is_plausible(scale: float) -> bool:
    low, high = PLAUSIBLE_SCALE
    return low <= scale <= high


def _zero_point(header: Header, primary: Header) -> float | None:
    stated = _number(header, primary, "MAGZERO", "MAGZPT", "MAGZEROP", "ZEROPNT")
    if stated is not None:
        return stated
    flux, pivot = (_number(header, primary, key) for key in ("PHOTFLAM", "PHOTPLAM"))
    if not flux or not pivot or min(flux, pivot) < 0:
        return None
    # From erg/s/cm2/A and Angstrom to AB: ACS Data Handbook, section 5.1.1.
    return -2.5 * math.log10(flux) - 5 * math.log10(pivot) - 2.408


def _text(header: Header, primary: Header, key: str) -> str | None:
    value = header.get(key, primary.get(key))
    return str(value).strip() or None if value is not None else None


def _number(header: Header, primary: Header, *keys: str) -> float | None:
    for key in keys:
        value = header.get(key, primary.get(key))
        if isinstance(value, int | float) and not isinstance(value, bool):
            return float(value)
    return None
