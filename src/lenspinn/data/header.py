"""Cards of FITS headers, which may come from a stranger: a bad card counts as absent."""

import math
import re
from typing import Any

from astropy.io.fits import Header

__all__ = ["Headers", "card", "filter_name", "number", "text", "zero_point"]

Headers = tuple[Header, ...]
"""Headers that describe an image: its own, then that of the file."""

EXPOSURE_TIME = ("EXPTIME", "TEXPTIME", "EFFEXPTM", "EXPOSURE", "XPOSURE")
ZERO_POINT = ("MAGZERO", "MAGZPT", "MAGZEROP", "ZEROPNT", "MAGZP")
WHEELS = 6
"""Largest number of a filter wheel in the cards FILTER1, FILTER2, ... and FILTNAM1, ..."""
OPEN_WHEEL = re.compile(r"CLEAR\w*|N/?A|NONE|EMPTY|OPEN|BLANK|", re.IGNORECASE)


def card(header: Header, key: str) -> Any:
    """Return the value of a card; None where there is none, it is blank or cannot be parsed."""
    try:
        value = header.get(key)
    except Exception:  # e.g. EXPTIME = NaN, which is no FITS and fails when its value is asked for
        return None
    return value if isinstance(value, str | int | float) else None


def text(headers: Headers, key: str) -> str | None:
    """Return the text of a card in the first header that has it; None if no header has it."""
    for header in headers:
        value = card(header, key)
        if value is not None and str(value).strip():
            return str(value).strip()
    return None


def number(headers: Headers, *keys: str) -> float | None:
    """Return the first finite number that one of the cards holds; None if no card does."""
    for key in keys:
        for header in headers:
            value = card(header, key)
            if isinstance(value, int | float) and not isinstance(value, bool):
                as_float = _float(value)
                if math.isfinite(as_float):
                    return as_float
    return None


def filter_name(headers: Headers) -> str | None:
    """Return FILTER, or else the filters of wheels that are not clear (FILTER1, FILTER2)."""
    wheels = [f"{stem}{i}" for stem in ("FILTER", "FILTNAM") for i in range(1, WHEELS + 1)]
    for keys in (["FILTER"], wheels, ["FILTNAM", "FILT", "BAND"]):
        names = [name for key in keys if (name := text(headers, key))]
        names = [name for name in dict.fromkeys(names) if not OPEN_WHEEL.fullmatch(name)]
        if names:
            return " ".join(names)
    return None


def zero_point(headers: Headers) -> float | None:
    """Return the AB magnitude of a flux of 1, as stated, or from PHOTFLAM and PHOTPLAM."""
    stated = number(headers, *ZERO_POINT)
    if stated is not None:
        return stated
    flux, pivot = (number(headers, key) for key in ("PHOTFLAM", "PHOTPLAM"))
    if not flux or not pivot or min(flux, pivot) < 0:
        return None
    # From erg/s/cm2/A and Angstrom to AB: ACS Data Handbook, section 5.1.1.
    return -2.5 * math.log10(flux) - 5 * math.log10(pivot) - 2.408


def _float(value: int | float) -> float:
    try:
        return float(value)
    except OverflowError:  # a card with hundreds of digits
        return math.inf
