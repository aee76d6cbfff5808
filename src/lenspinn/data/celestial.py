"""Sky coordinates of the pixels of a FITS image, from and to the WCS of a header."""

import copy
import math
import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
from astropy.coordinates import SkyCoord
from astropy.io.fits import Header
from astropy.nddata import Cutout2D
from astropy.units import arcsec
from astropy.wcs import WCS, Sip
from astropy.wcs.utils import wcs_to_celestial_frame

from lenspinn.data.plausible_scale import is_plausible

__all__ = ["Celestial", "arcsec_cards", "celestial_of"]

REFERENCE = ("CRVAL1", "CRVAL2", "CRPIX1", "CRPIX2")
"""Cards of the reference position and pixel."""


class Celestial:
    """Sky coordinates of the pixels of an image, by the WCS of its header.

    Pixels are counted from 0, column and row; a whole number is the centre of a pixel.

    Parameters
    ----------
    wcs
        WCS of two celestial axes, in degrees.
    """

    def __init__(self, wcs: WCS) -> None:
        self._wcs = wcs

    @property
    def frame(self) -> str:
        """Frame of the sky coordinates, as in RADESYS: ICRS, FK5 and so on."""
        return str(self._wcs.wcs.radesys).strip() or "ICRS"

    @property
    def equatorial(self) -> bool:
        """Whether the sky coordinates are right ascension and declination."""
        return str(self._wcs.wcs.lngtyp).strip() == "RA"

    def position(self, column: float, row: float) -> tuple[float, float]:
        """Return longitude (right ascension) and latitude (declination), degrees."""
        longitude, latitude = self._wcs.all_pix2world([[column, row]], 0)[0]
        return float(longitude), float(latitude)

    def pixel(self, longitude: float, latitude: float) -> tuple[float, float]:
        """Return column and row of a position in degrees."""
        column, row = self._wcs.all_world2pix([[longitude, latitude]], 0)[0]
        return float(column), float(row)

    def cutout(self, pixels: Any, longitude: float, latitude: float, size: float) -> Cutout2D:
        """Cut a square around a position out of an image that has this WCS.

        Parameters
        ----------
        pixels : (y, x)
            An array, or a ``HDU.section``, of which astropy reads only the part that is needed.
            Pixels of the square beyond the image become NaN.
        longitude, latitude
            Position of the middle of the square, degrees.
        size
            Side of the square, arcsec.

        Raises
        ------
        astropy.nddata.NoOverlapError
            If no pixel of the square is in the image.
        """
        frame = wcs_to_celestial_frame(self._wcs)
        place = SkyCoord(longitude, latitude, unit="deg", frame=frame)
        return Cutout2D(
            pixels, place, size * arcsec, wcs=self._wcs, mode="partial", fill_value=np.nan
        )

    def east_of_north(self, column: float, row: float, angle: float) -> float:
        """Convert the angle of an axis at a pixel to a position angle.

        Parameters
        ----------
        column, row
            Position of the pixel.
        angle : degrees
            Angle counter-clockwise from the direction in which columns rise.

        Returns
        -------
        float
            Position angle, degrees from north to east, from 0 to 180.
        """
        step = 0.5
        dx, dy = step * math.cos(math.radians(angle)), step * math.sin(math.radians(angle))
        before = self.position(column - dx, row - dy)
        after = self.position(column + dx, row + dy)
        east = (after[0] - before[0] + 180) % 360 - 180
        east *= math.cos(math.radians((after[1] + before[1]) / 2))
        return math.degrees(math.atan2(east, after[1] - before[1])) % 180

    def cards(self, first_column: int, first_row: int) -> Header:
        """Return the WCS of a cutout of the image, as the cards of a header.

        Parameters
        ----------
        first_column, first_row
            First column and row of the cutout in the image; they may be negative.
        """
        wcs = copy.deepcopy(self._wcs)
        origin = np.array([first_column, first_row], dtype=float)
        wcs.wcs.crpix -= origin
        if wcs.sip is not None:
            sip = wcs.sip
            wcs.sip = Sip(sip.a, sip.b, sip.ap, sip.bp, sip.crpix - origin)
        return wcs.to_header(relax=True)


def celestial_of(headers: Sequence[Header]) -> Celestial | None:
    """Return the sky coordinates of an image.

    Parameters
    ----------
    headers
        Headers of the image and of its file; the first that has a celestial WCS counts.

    Returns
    -------
    Celestial or None
        Sky coordinates; None where no header has a WCS that can be used.
    """
    for header in headers:
        wcs = _celestial_wcs(header)
        if wcs is not None:
            return Celestial(wcs)
    return None


def _celestial_wcs(header: Header) -> WCS | None:
    """Return the two celestial axes of a header, if it has them and they can be used.

    Astropy raises exceptions of every kind for a WCS that is wrong.
    """
    try:
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")
            if not _is_complete(header):
                return None
            wcs = WCS(header)
            if not wcs.has_celestial:
                return None
            wcs = wcs.celestial
            centre = [(side + 1) / 2 for side in (header["NAXIS1"], header["NAXIS2"])]
            usable = np.isfinite(wcs.all_pix2world([centre], 1)).all()
            area = abs(float(np.linalg.det(wcs.pixel_scale_matrix)))
            usable &= is_plausible(3600 * math.sqrt(area))
    except Exception:
        return None
    return wcs if usable else None


def _is_complete(header: Header) -> bool:
    """Return whether a header states its reference point; astropy reads what is no number as 0."""
    return "CTYPE1" in header and all(
        isinstance(header.get(card), int | float) for card in REFERENCE
    )


def arcsec_cards(num_pix: int, pixel_scale: float) -> Header:
    """Return the linear WCS of a square image that is not on the sky, in arcsec from its middle.

    Parameters
    ----------
    num_pix, pixel_scale
        Side of the image in pixels, and of a pixel in arcsec.
    """
    header = Header()
    for axis in (1, 2):
        header[f"CTYPE{axis}"] = "LINEAR"
        header[f"CUNIT{axis}"] = "arcsec"
        header[f"CRPIX{axis}"] = (num_pix + 1) / 2
        header[f"CRVAL{axis}"] = 0.0
        header[f"CDELT{axis}"] = pixel_scale
    return header
