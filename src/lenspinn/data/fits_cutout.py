"""The part of a FITS file around a position on the sky, as a small FITS file of the same kind.

A mosaic of a survey holds thousands of lenses. The part keeps the names of the extensions, the
headers and the WCS, so that it can be read in the same way as the whole file.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from astropy.io import fits
from astropy.io.fits import Header
from astropy.nddata import Cutout2D, NoOverlapError

from lenspinn.data.bands import find_image
from lenspinn.data.celestial import Celestial, celestial_of
from lenspinn.data.fits_file import FitsFile, opened
from lenspinn.errors import ImageError

__all__ = ["SkySquare", "cut_out"]

MOST_SIDE = 2048
"""Largest side of a cutout, pixels: a lens is far smaller."""
STORAGE = ("BSCALE", "BZERO", "BLANK", "ZBLANK", "CHECKSUM", "DATASUM")
"""Cards that state how the whole image is stored, and do not hold for a part of it."""


@dataclass(frozen=True, kw_only=True)
class SkySquare:
    """A square on the sky, and the sky coordinates of an image."""

    ra: float
    """Right ascension of the middle, degrees."""
    dec: float
    """Declination of the middle, degrees."""
    size: float
    """Side of the square, arcsec."""
    celestial: Celestial
    """Sky coordinates of the pixels of the image."""
    shape: tuple[int, int]
    """Shape of the image, rows and columns."""

    @classmethod
    def in_image(
        cls,
        path: Path,
        *,
        ra: float,
        dec: float,
        size: float,
        hdu: int | str | None = None,
        band: int | str | None = None,
    ) -> "SkySquare":
        """Find a square in the image of a FITS file, which `read_fits` would read.

        Raises
        ------
        DataError
            If the file cannot be read.
        ImageError
            If the file holds no flat image, or the image has no WCS.
        """
        with opened(path) as file:
            number = find_image(file, hdu, None if band is None else str(band))
            celestial = celestial_of((file.header(number), file.header(0)))
            shape = file.shape(number)
        if celestial is None or len(shape) != 2:
            raise ImageError(
                f"{path} has no image with a celestial WCS, which ra and dec need; leave them out"
            )
        return cls(ra=ra, dec=dec, size=size, celestial=celestial, shape=(shape[0], shape[1]))

    def of(self, pixels: object, path: Path) -> Cutout2D:
        """Cut the square out of an image that has the same pixels, read from a file."""
        if not self.size > 0:
            raise ImageError(f"size is {self.size:g}; give a side of the cutout in arcsec, above 0")
        try:
            cutout = self.celestial.cutout(pixels, self.ra, self.dec, self.size)
        except (NoOverlapError, ValueError) as error:
            raise ImageError(
                f"{path} does not show ra {self.ra:.6g}, dec {self.dec:.6g}; give an image that "
                "does"
            ) from error
        return cutout

    def check_side(self, path: Path) -> None:
        """Refuse a square of more pixels than a lens has any use for, before they are read."""
        x0, y0 = self.celestial.pixel(self.ra, self.dec)
        x1, y1 = self.celestial.pixel(self.ra, self.dec + self.size / 3600)
        side = float(np.hypot(x1 - x0, y1 - y0))
        if side > MOST_SIDE:
            raise ImageError(
                f"a cutout of {self.size:g} arcsec of {path} has {side:.0f} pixels a side; give a "
                f"size of up to {MOST_SIDE} pixels"
            )


def cut_out(path: Path, square: SkySquare, out: Path) -> Path:
    """Write the part of a FITS file that lies in a square on the sky.

    Parameters
    ----------
    path
        FITS file. All its images of `SkySquare.shape` are cut; images of other shapes, such as a
        PSF, are kept, and cubes and tables left out.
    square
        Square on the image; a noise map or mask has the same pixels.
    out
        File to write.

    Returns
    -------
    Path
        The file ``out``.

    Raises
    ------
    DataError
        If the file cannot be read.
    ImageError
        If the image does not show that place, no image of the file has the shape, or the square is
        too large.
    """
    square.check_side(path)
    whole = square.of(np.broadcast_to(np.float32(0), square.shape), path)
    (x, y), (left, below) = whole.origin_original, whole.origin_cutout
    first = (x - left, y - below)
    with opened(path) as file:
        if not any(file.shape(number) == square.shape for number in range(len(file))):
            raise ImageError(
                f"{path} holds no image of {square.shape[0]} x {square.shape[1]} pixels, as the "
                "one that is cut has"
            )
        hdus = [_part(file, number, square, first) for number in range(len(file))]
    fits.HDUList(hdus).writeto(out, overwrite=True)
    return out


def _part(file: FitsFile, number: int, square: SkySquare, first: tuple[int, int]) -> Any:
    """Return one extension: cut, or whole, or its header alone where it is no flat image."""
    kind = fits.ImageHDU if number else fits.PrimaryHDU
    header, shape = file.header(number).copy(), file.shape(number)
    for card in STORAGE:
        header.remove(card, ignore_missing=True)
    if shape == square.shape:
        cutout = file.cut(number, lambda section: square.of(section, file.path))
        return kind(np.array(cutout.data), _moved(header, *first))
    if len(shape) == 2:
        return kind(file.pixels(number), header)
    if number:
        return kind(header=Header([("EXTNAME", file.name(number))]))
    return kind(header=_moved(header, *first))  # the primary header, valid for all extensions


def _moved(header: Header, columns: int, rows: int) -> Header:
    """Count the reference pixel of a header, to which SIP also refers, from a new first pixel."""
    for card, by in (("CRPIX1", columns), ("CRPIX2", rows)):
        if isinstance(header.get(card), int | float):
            header[card] = header[card] - by
    return header
