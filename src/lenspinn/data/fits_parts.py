"""Noise, PSF and mask that come with an image in FITS files, with the facts in their headers."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from lenspinn.data.bands import plane_of
from lenspinn.data.extensions import Role, companion_of, find_extension, role_of
from lenspinn.data.fits_file import FitsFile, opened
from lenspinn.data.header import Headers, card, number, text
from lenspinn.data.pixel_scale import find_pixel_scale
from lenspinn.errors import ImageError

__all__ = ["FitsPart", "read_own_parts", "read_part"]

OVERSAMPLING = ("OVERSAMP", "OVERSMPL", "OVSAMP", "PSFOVER", "SUPERSAM", "SUBSAMP")
"""Cards for the number of pixels of a PSF along one of the image."""
STEP = ("PSF_SAMP", "PSFSAMP")
"""Cards of PSFEx for the inverse of that number."""
BY_UTYPE: dict[str, Role] = {
    "stddevuncertainty": "noise",
    "varianceuncertainty": "variance",
    "inversevariance": "weight",
}
"""Role of an extension by the value that astropy's CCDData writes in UTYPE."""
HARMLESS_PLANES = ("DETECTED", "DETECTED_NEGATIVE", "HIGH_VARIANCE", "NOT_DEBLENDED")
"""Planes of a Rubin mask (MP_NAME cards) that mark pixels of sources, which are not bad."""


@dataclass(frozen=True, kw_only=True, eq=False)
class FitsPart:
    """Noise, PSF or mask of an image, from a FITS file."""

    data: np.ndarray
    """Values (y, x), float32 or float64; in a mask, 0 where a pixel counts."""
    label: str
    """Extension and file that the array was read from, in words."""
    role: Role
    """Role by the name of the extension, or else by the name of the file."""
    unit: str | None = None
    pixel_scale: float | None = None
    """Pixel scale of a PSF, arcsec per pixel; None where it is not stated."""
    oversampling: float | None = None
    """Number of pixels of a PSF along one pixel of the image; None where it is not stated."""
    own: bool = False
    """Whether the array stands in the file of the image."""


def read_part(
    path: Path,
    kind: str,
    *,
    hdu: int | str | None = None,
    band: str | None = None,
    stem: tuple[str, ...] = (),
) -> FitsPart:
    """Read the noise, PSF or mask of an image from a file of its own.

    Parameters
    ----------
    path
    kind
        "noise", "psf" or "mask".
    hdu
        Number or name of the extension; by default the one whose name says so, or the only image.
    band
        Band of a cube, as for `lenspinn.data.read_fits`.
    stem
        Words in the name of the image's extension, e.g. its band.

    Raises
    ------
    DataError, ImageError
        If the file cannot be read, or no name tells which extension is meant.
    """
    with opened(path) as file:
        found = find_extension(file, kind, hdu, stem)
        return _part(file, found, kind, band, alone=True)


def read_own_parts(
    path: Path,
    image: int,
    kinds: tuple[str, ...],
    *,
    hdus: dict[str, int | str | None],
    band: str | None,
) -> dict[str, FitsPart]:
    """Read noise, PSF and mask that stand in the file of an image.

    Parameters
    ----------
    path
    image
        Number of the extension of the image.
    kinds
        Kinds that are asked for, of "noise", "psf" and "mask".
    hdus
        Number or name of the extension, by kind; for a kind that is None or absent, the extension
        whose name says so.
    band
        Band of cubes.

    Returns
    -------
    dict of FitsPart
        Arrays by kind, as far as the file has them.
    """
    with opened(path) as file:
        found = {
            kind: companion_of(file, image, kind)
            if hdus.get(kind) is None
            else find_extension(file, kind, hdus[kind])
            for kind in kinds
        }
        return {
            kind: _part(file, number, kind, band, alone=False)
            for kind, number in found.items()
            if number is not None
        }


def _part(file: FitsFile, found: int, kind: str, band: str | None, *, alone: bool) -> FitsPart:
    header = file.header(found)
    # The primary header of the file of an image speaks of the image.
    headers: Headers = (header, file.header(0)) if alone else (header,)
    data = file.pixels(found)
    if data.ndim > 2:
        data = np.ascontiguousarray(data[plane_of(data.shape, headers, band, str(file.path))])
    name = file.name(found)
    role = BY_UTYPE.get((text((header,), "UTYPE") or "").lower(), role_of(name))
    if alone and role in ("unknown", "image"):
        role = role_of(file.path.name.split(".")[0])
    where = f"extension {found} ({name})" if name else f"extension {found}"
    return FitsPart(
        data=_bad(data, headers) if kind == "mask" else data,
        label=f"{where} of {file.path.name}",
        role=role,
        unit=text((header,), "BUNIT"),
        pixel_scale=_psf_scale(headers, file.path) if kind == "psf" else None,
        oversampling=_oversampling(headers) if kind == "psf" else None,
        own=not alone,
    )


def _psf_scale(headers: Headers, path: Path) -> float | None:
    try:
        return find_pixel_scale(headers, f"the PSF {path}")
    except ImageError as error:
        reason = str(error).partition(":")[0]
        raise ImageError(f"{reason}: write its scale as PIXSCALE instead, in arcsec") from error


def _oversampling(headers: Headers) -> float | None:
    stated = number(headers, *OVERSAMPLING)
    step = number(headers, *STEP)
    if stated is None and step:
        stated = 1 / step
    return stated if stated and 0 < stated < float("inf") else None


def _bad(data: np.ndarray, headers: Headers) -> np.ndarray:
    """Return 1 for bad pixels of a mask: not 0, or not 0 in planes other than harmless ones."""
    planes = {
        str(key)[3:].upper(): int(value)
        for header in headers
        for key in header
        if str(key).startswith("MP_") and isinstance(value := card(header, key), int)
    }
    harmless = sum(1 << bit for name, bit in planes.items() if _is_harmless(name, bit))
    finite = np.isfinite(data)
    flags = np.where(finite, data, 0).astype(np.int64) & ~harmless if harmless else data
    return np.where(finite, flags != 0, True).astype(np.float32)


def _is_harmless(name: str, bit: int) -> bool:
    return name in HARMLESS_PLANES and 0 <= bit < 62
