"""The size of the pixels of an image, as its header states it.

The matrix of the celestial axes is read here and not by `astropy.wcs`, which takes a header with a
broken card for one without, and a singular or sheared matrix for a scale.
"""

import math

import astropy.units
import numpy as np
from astropy.io.fits import Header

from lenspinn.data.header import Headers, card, number
from lenspinn.data.plausible_scale import is_plausible
from lenspinn.errors import ImageError

__all__ = [
    "find_pixel_scale",
    "square_pixel_scale",
    "stated_pixel_scale",
]

SQUARE_TOLERANCE = 0.01
"""Largest relative difference between the sides of a pixel that counts as square, and cosine of the
angle between them."""

KEYWORDS = (
    "PIXSCALE", "PIXSCAL", "PIXELSCL", "PIXSCL", "PIXELSCALE", "PIXSIZE", "SECPIX", "PIX_SCAL",
    "PSCALE", "D001SCAL",
)  # fmt: skip
PAIRS = (
    ("PIXSCAX", "PIXSCAY"), ("PIXSCALX", "PIXSCALY"), ("PIXSCAL1", "PIXSCAL2"),
    ("SECPIX1", "SECPIX2"), ("XPIXSCAL", "YPIXSCAL"), ("PXSCAL1", "PXSCAL2"),
    ("PIXAR_X", "PIXAR_Y"),
)  # fmt: skip
"""Cards in use for arcsec per pixel: `KEYWORDS` for both axes, `PAIRS` for one axis each."""
AXES = (1, 2)
INSTEAD = "give it as pixel_scale, in arcsec"


def stated_pixel_scale(headers: Headers, name: str) -> float:
    """Return the pixel scale of an image, arcsec.

    Parameters
    ----------
    headers
        Header of the image and that of the file, whose matrix counts where the image has none.
    name
        Name of the file, for errors.

    Raises
    ------
    ImageError
        As `find_pixel_scale`, or if no pixel scale is stated.
    """
    scale = find_pixel_scale(headers, name)
    if scale is None:
        raise ImageError(
            f"{name} does not state its pixel scale (no celestial WCS, no PIXSCALE): {INSTEAD}"
        )
    return scale


def find_pixel_scale(headers: Headers, name: str) -> float | None:
    """Return the pixel scale of an image, arcsec; None where nothing plausible is stated.

    The matrix of the WCS counts (CD, or PC and CDELT), then `PAIRS` and `KEYWORDS`.

    Raises
    ------
    ImageError
        If a card of the matrix is no number, or pixels are not square, sheared or without area.
    """
    for header in headers:
        matrix = _matrix(header, name)
        sides = None if matrix is None else np.hypot(*matrix)
        if matrix is not None and sides is not None and any(map(is_plausible, sides)):
            return square_pixel_scale(matrix, name)
    for pair in PAIRS:
        both = [number(headers, key) for key in pair]
        if all(side is not None and is_plausible(side) for side in both):
            return square_pixel_scale(np.diag(np.array(both)), name)
    stated = (number(headers, key) for key in (*KEYWORDS, *(key for pair in PAIRS for key in pair)))
    return next((abs(s) for s in stated if s is not None and is_plausible(abs(s))), None)


def square_pixel_scale(matrix: np.ndarray, name: str) -> float:
    """Return the pixel scale of a matrix (2, 2) from pixels to arcsec.

    Raises
    ------
    ImageError
        If its pixels are not square, sheared, without area, or of an absurd size.
    """
    across, along = map(float, np.hypot(*matrix))
    if abs(across - along) > SQUARE_TOLERANCE * across:
        raise ImageError(
            f"{name} has pixels of {across:.4g} x {along:.4g} arcsec, only square ones are "
            f"supported: resample it, or {INSTEAD}"
        )
    with np.errstate(over="ignore", invalid="ignore"):
        sheared = abs(float(matrix[:, 0] @ matrix[:, 1]))
    if not sheared <= SQUARE_TOLERANCE * across * along:
        raise ImageError(
            f"{name} has pixels that are sheared or have no area, by the matrix of its WCS: "
            f"{INSTEAD}"
        )
    scale = float(np.sqrt(across * along))
    if not is_plausible(scale):
        raise ImageError(f"{name} says no pixel scale of a lens image, {scale:g} arcsec: {INSTEAD}")
    return scale


def _matrix(header: Header, name: str) -> np.ndarray | None:
    """Return the matrix from pixels to arcsec, None where the header has no matrix of angles.

    FITS standard 4.0 (2018), section 8.1: the CD matrix, or else PC matrix (default: unity) times
    CDELT (default: 1).
    """

    def entry(key: str, default: float) -> float:
        value = card(header, key) if key in header else default
        if isinstance(value, bool | str) or value is None or not math.isfinite(value):
            raise ImageError(
                f"{name} has no number in {key}, which its pixel scale needs: {INSTEAD}"
            )
        return float(value)

    has_pc = any(f"PC{i}_{j}" in header for i in AXES for j in AXES)
    if any(f"CD{i}_{j}" in header for i in AXES for j in AXES):
        rows = [[entry(f"CD{i}_{j}", 0.0) for j in AXES] for i in AXES]
    elif has_pc or all(f"CDELT{i}" in header for i in AXES):
        rows = [
            [entry(f"CDELT{i}", 1.0) * entry(f"PC{i}_{j}", float(i == j)) for j in AXES]
            for i in AXES
        ]
    else:
        return None
    units = [_arcsec_per_unit(header, i) for i in AXES]
    with np.errstate(over="ignore"):
        return None if None in units else np.array(rows) * np.array(units, dtype=float)[:, None]


def _arcsec_per_unit(header: Header, axis: int) -> float | None:
    """Return arcsec per CUNIT, by the standard degrees where none is given; None if no angle."""
    stated = card(header, f"CUNIT{axis}")
    try:
        unit = astropy.units.Unit(str(stated or "deg").strip().lower() or "deg")
        return float(unit.to("arcsec"))
    except (ValueError, TypeError):  # no unit, or one of another quantity
        return None
