"""FITS cutouts in and out: pixels, pixel scale, and the facts their headers state."""

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from astropy.io import fits
from astropy.io.fits import Header

from lenspinn.data.bands import find_image, plane_of
from lenspinn.data.celestial import Celestial, celestial_of
from lenspinn.data.extensions import find_extension, other_images, stem_of
from lenspinn.data.fits_file import opened
from lenspinn.data.header import EXPOSURE_TIME, filter_name, number, text, zero_point
from lenspinn.data.pixel_scale import find_pixel_scale, stated_pixel_scale
from lenspinn.data.plausible_scale import check_pixel_scale
from lenspinn.errors import DataError, ImageError
from lenspinn.files import write_whole

__all__ = [
    "FitsMap",
    "TelescopeImage",
    "read_fits",
    "read_fits_images",
    "read_fits_table",
    "write_fits",
    "write_fits_maps",
]

Cards = Mapping[str, str | float | bool | None]
"""Keywords of a header, at most 8 letters each, and their values."""


@dataclass(frozen=True)
class TelescopeImage:
    """An image and what its file, FITS or HDF5, says about it; None where it says nothing."""

    data: np.ndarray
    """Pixels (y, x), float32, or float64 where the file has it; row 0 at the bottom; may be NaN."""
    pixel_scale: float
    """Pixel scale, arcsec per pixel."""
    stated_scale: float | None = None
    """Pixel scale that the file states where another one was given, arcsec; None where it states
    none."""
    unit: str | None = None
    """Unit of the pixels, as written in BUNIT."""
    telescope: str | None = None
    instrument: str | None = None
    filter: str | None = None
    exposure_time: float | None = None
    """Exposure time, s."""
    zero_point: float | None = None
    """AB magnitude of a flux of 1: MAGZERO or its like, else from PHOTFLAM and PHOTPLAM."""
    noise: np.ndarray | None = None
    """Noise map (y, x): standard deviations in the unit of the pixels."""
    extension: int = 0
    """Number of the extension that the image was read from."""
    stem: tuple[str, ...] = ()
    """Words in the name of that extension which its noise, PSF and mask share, e.g. the band."""
    others: int = 0
    """Number of other extensions that might be meant as well, where the caller named none."""
    celestial: Celestial | None = None
    """Sky coordinates of the pixels."""

    @property
    def names(self) -> str | None:
        """Telescope, instrument and filter, as far as the header names them."""
        names = (self.telescope, self.instrument, self.filter)
        return " ".join(dict.fromkeys(name for name in names if name)) or None


def read_fits(
    path: Path | str,
    *,
    pixel_scale: float | None = None,
    hdu: int | str | None = None,
    band: int | str | None = None,
) -> TelescopeImage:
    """Read an image from a FITS file.

    Parameters
    ----------
    path : Path
        FITS file, also compressed as a whole: .gz, .bz2, .xz, .zip with one file.
    pixel_scale : float, arcsec, optional
        Pixel scale that overrides the header's, needed where the header states none. By default the
        WCS of the image or of the file counts (CD matrix, or PC matrix and CDELT), then PIXSCALE
        and its like.
    hdu : int or str, optional
        Number, from 0, or name of the extension. By default the first whose name says that it is
        an image (SCI, VIS_FLUX, IMAGE), then the first whose name says nothing.
    band : int or str, optional
        Band. Of a cube (bands, y, x): number, from 1 as FITS counts, or name, where the header
        has BANDS, BAND1 or FILTER1; of extensions, a word in their names.

    Returns
    -------
    TelescopeImage

    Raises
    ------
    DataError
        If the file is missing, no regular file, truncated, damaged or no FITS file.
    ImageError
        If the file holds no image or several, or its pixel scale is unknown, absurd or not one
        number.
    """
    path = Path(path)
    wanted = None if band is None or not str(band).strip() else str(band).strip()
    with opened(path) as file:
        found = find_image(file, hdu, wanted)
        headers = (file.header(found), file.header(0))
        shape = file.shape(found)
        plane = None if len(shape) == 2 else plane_of(shape, headers, wanted, str(path))
        data = file.pixels(found)
        stem = stem_of(file.name(found))
        others = other_images(file, found) if hdu is None and wanted is None else 0
    if data.size == 0:
        raise ImageError(f"{path} holds an image without pixels, {shape}; give another")
    if pixel_scale is None:
        scale, stated = stated_pixel_scale(headers, str(path)), None
    else:
        scale, stated = check_pixel_scale(pixel_scale), _usable_scale(headers, str(path))
    return TelescopeImage(
        data=data if plane is None else np.ascontiguousarray(data[plane]),
        pixel_scale=scale,
        stated_scale=stated,
        unit=text(headers, "BUNIT"),
        telescope=text(headers, "TELESCOP"),
        instrument=text(headers, "INSTRUME"),
        filter=filter_name(headers),
        exposure_time=number(headers, *EXPOSURE_TIME),
        zero_point=zero_point(headers),
        extension=found,
        stem=stem,
        others=others,
        celestial=celestial_of(headers),
    )


def _usable_scale(headers: tuple[Header, Header], path: str) -> float | None:
    """Return what headers say; None also where that is why the scale is given by hand."""
    try:
        return find_pixel_scale(headers, path)
    except ImageError:
        return None


def read_fits_images(path: Path | str, hdus: Sequence[int]) -> list[np.ndarray]:
    """Read some of the images of a FITS file, e.g. postage stamps, opening it once.

    Parameters
    ----------
    path : Path
    hdus : sequence of int
        Numbers of the extensions of the images; the primary one is 0.

    Returns
    -------
    list of (y, x) float32
        Images in the order of `hdus`; their shapes may differ.

    Raises
    ------
    DataError
        If the file is missing, truncated or no FITS file.
    ImageError
        If an extension is not there, or holds no two-dimensional image.
    """
    path = Path(path)
    images = []
    with opened(path) as file:
        for hdu in hdus:
            number = find_extension(file, "image", hdu)
            if len(file.shape(number)) != 2:
                raise ImageError(
                    f"Extension {hdu} of {path} holds data of shape {file.shape(number)}, not one "
                    "image (y, x)"
                )
            images.append(file.pixels(number).astype(np.float32))
    return images


def read_fits_table(path: Path | str, columns: Sequence[str]) -> dict[str, np.ndarray]:
    """Read columns of the first table of a FITS file.

    Parameters
    ----------
    path : Path
    columns : sequence of str
        Names of the columns, in upper or lower case.

    Returns
    -------
    dict of (rows, ...)
        Columns by the names that were asked for.

    Raises
    ------
    DataError
        If the file is missing, truncated or no FITS file, or holds no table or not all columns.
    """
    path = Path(path)
    with opened(path) as file:
        there = file.table_columns()
        if there is None:
            raise DataError(f"{path} holds no table")
        for name in columns:
            if name.upper() not in there:
                raise DataError(f"{path} has no column {name!r}, only {', '.join(there)}")
        return {name: file.table_column(name) for name in columns}


def write_fits(
    path: Path | str, data: np.ndarray, pixel_scale: float, **cards: str | float | None
) -> Path:
    """Write an image, replacing an existing file.

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


@dataclass(frozen=True, kw_only=True, eq=False)
class FitsMap:
    """One extension of a file to be written."""

    data: np.ndarray
    """Pixels (y, x), stored as float32, row 0 at the bottom."""
    cards: Cards
    """Cards of the header of the extension."""
    sky: Header | None = None
    """WCS of the extension; see `lenspinn.data.celestial.Celestial.cards`."""


def write_fits_maps(path: Path | str, maps: Mapping[str, FitsMap], cards: Cards) -> Path:
    """Write several images into one file, whole or not at all, replacing an existing file.

    Parameters
    ----------
    path : Path
    maps
        Extensions by name.
    cards
        Cards of the primary header, which has no image.

    Returns
    -------
    Path
    """
    hdus = [fits.PrimaryHDU(header=Header(list(cards.items())))]
    for name, part in maps.items():
        header = Header() if part.sky is None else part.sky.copy()
        header.update(part.cards)
        hdus.append(fits.ImageHDU(np.asarray(part.data, dtype=np.float32), header, name=name))
    buffer = io.BytesIO()
    fits.HDUList(hdus).writeto(buffer)
    return write_whole(Path(path), buffer.getvalue())
