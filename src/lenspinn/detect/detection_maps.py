"""The maps of a search for clumps as a FITS file, and its candidates as regions for DS9."""

from pathlib import Path

import numpy as np

from lenspinn.data.fits import Cards, FitsMap, TelescopeImage, write_fits_maps
from lenspinn.detect.detection import Detection

__all__ = ["region_file", "write_maps"]

MARK = 0.15
"""Radius of the circle around a candidate, arcsec."""


def write_maps(path: Path, detection: Detection, image: TelescopeImage) -> Path:
    """Write the maps of a search.

    Parameters
    ----------
    path
        FITS file; an existing one is replaced.
    detection
        Result of the search.
    image
        Whole image, whose WCS the maps have.

    Notes
    -----
    ``RESIDUAL`` and ``SIGNIFICANCE`` (of the best of the point masses that are looked for) are in
    units of the stated noise, ``HEIGHT`` is in units of the spread of the significance in mocks.
    ``MASS_5_SIGMA`` (to first order in the mass) and ``MASS_LIMIT`` (found with probability 0.9;
    infinite where none of the masses is) are solar masses if redshifts are known, else squared
    Einstein radii, arcsec^2. ``REGION`` is 1 where clumps were looked for; ``SIGNIFICANCE``,
    ``HEIGHT`` and ``MASS_LIMIT`` are NaN elsewhere. Maps that were not measured are left out.
    """
    lens = detection.lens
    per_mass = 1.0 if detection.masses is None else detection.masses.per_square_arcsec
    limit = detection.mass_limit
    maps = {
        "IMAGE": (lens.image[0].numpy() * lens.unit, image.unit),
        "RESIDUAL": (detection.solution.residual[0].numpy(), None),
        "SIGNIFICANCE": (detection.significance, None),
        "HEIGHT": (detection.height, None),
        "MASS_5_SIGMA": (detection.mass_at_5_sigma * per_mass, _mass_unit(detection)),
        "MASS_LIMIT": (None if limit is None else limit * per_mass, _mass_unit(detection)),
        "REGION": (detection.region.astype(np.float32), None),
    }
    column, row = first_pixel(detection, image.data.shape)
    sky = None if image.celestial is None else image.celestial.cards(column, row)
    common: Cards = {"PIXSCALE": lens.pixel_scale, "FIRSTCOL": column, "FIRSTROW": row}
    parts = {
        name: FitsMap(
            data=pixels, cards={**common, **({} if unit is None else {"BUNIT": unit})}, sky=sky
        )
        for name, (pixels, unit) in maps.items()
        if pixels is not None
    }
    return write_fits_maps(path, parts, {"TRUSTED": detection.trusted})


def region_file(detection: Detection, shape: tuple[int, ...]) -> str:
    """Return circles around the candidates, in pixels of the image from 1, as DS9 reads them.

    Parameters
    ----------
    detection
        Result of the search.
    shape
        Shape of the whole image, rows and columns.
    """
    scale, half = detection.lens.pixel_scale, detection.lens.image.shape[-1] // 2
    column, row = first_pixel(detection, shape)
    lines = ["# Region file format: DS9", "image"]
    for at, clump in enumerate(detection.clumps, start=1):
        c = clump.candidate
        x, y = column + half + 1 + c.x / scale, row + half + 1 + c.y / scale
        color = "green" if clump in detection.claimed else "red"
        lines.append(f"circle({x:.3f},{y:.3f},{MARK / scale:.3f}) # color={color} text={{{at}}}")
    return "\n".join(lines) + "\n"


def first_pixel(detection: Detection, shape: tuple[int, ...]) -> tuple[int, int]:
    """Return column and row of the first pixel of the frame in the whole image, from 0."""
    half = detection.lens.image.shape[-1] // 2
    column, row = detection.lens.measured.middle_pixel(shape)
    return column - half, row - half


def _mass_unit(detection: Detection) -> str:
    return "arcsec2" if detection.masses is None else "solMass"
