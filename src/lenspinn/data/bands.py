"""One band of a FITS file that holds several: a plane of a cube, or an extension."""

import re

from lenspinn.data.extensions import find_extension, role_of, stem_of
from lenspinn.data.fits_file import FitsFile
from lenspinn.data.header import Headers, filter_name, text
from lenspinn.errors import ImageError

__all__ = ["find_image", "plane_of"]


def find_image(file: FitsFile, hdu: int | str | None, band: str | None) -> int:
    """Return the number of the extension that holds an image, of a band if one is named.

    Raises
    ------
    ImageError
        If there is no image, or none of that band.
    """
    found = find_extension(file, "image", hdu)
    if band is None or hdu is not None or len(file.shape(found)) > 2:
        return found
    wanted = band.lower()
    if wanted == (filter_name((file.header(found), file.header(0))) or "").lower():
        return found
    images = [i for i in range(len(file)) if len(file.shape(i)) >= 2]
    likely = [i for i in images if role_of(file.name(i)) in ("image", "unknown")]
    for number in likely:
        if wanted in stem_of(file.name(number)):
            return number
    names = ", ".join(file.name(i) or str(i) for i in likely)
    raise ImageError(
        f"{file.path} has no band {band!r}, only images {names}: leave out band, or name one by "
        "image_hdu"
    )


def plane_of(shape: tuple[int, ...], headers: Headers, band: str | None, name: str) -> int:
    """Return which plane of a cube (planes, y, x) holds a band, counted from 0.

    Parameters
    ----------
    shape
        Shape of the cube.
    headers
        Headers that may name its bands.
    band
        Number of the band, counted from 1 as FITS counts, or its name.
    name
        Name of the file, for errors.

    Raises
    ------
    ImageError
        If no band is named, or one that the cube does not have.
    """
    named = _names(headers, shape[0]) if len(shape) == 3 else ()
    bands = f" (bands {', '.join(named)})" if named else ""
    said = f"{name} holds data of shape {shape}{bands}, not one image (y, x)"
    if len(shape) != 3:
        raise ImageError(f"{said}; cut out one image")
    choose = f"choose one by band, from 1 to {shape[0]}{', or by its name' if named else ''}"
    if band is None:
        raise ImageError(f"{said}; {choose}")
    lower = [other.lower() for other in named]
    if band.lower() in lower:
        return lower.index(band.lower())
    if re.fullmatch(r"\d{1,6}", band) and 1 <= int(band) <= shape[0]:
        return int(band) - 1
    raise ImageError(f"{name} has no band {band!r} among its {shape[0]}{bands}; {choose}")


def _names(headers: Headers, count: int) -> tuple[str, ...]:
    """Return the names of the planes of a cube; empty where the header does not name all."""
    joined = text(headers, "BANDS") or text(headers, "FILTERS") or ""
    for parts in (re.findall(r"[^\s,;/|]+", joined), list(joined)):
        if len(parts) == count:
            return tuple(parts)
    for stem in ("BAND", "FILTER", "FILT", "PLANE"):
        for first in (0, 1):
            found = [text(headers, f"{stem}{i}") for i in range(first, first + count)]
            if all(found):
                return tuple(str(name) for name in found)
    return ()
