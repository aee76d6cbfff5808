"""Postage stamps of galaxies in the format of GalSim's RealGalaxyCatalog, e.g. of COSMOS."""

import warnings
from pathlib import Path
from typing import NamedTuple

import numpy as np

from lenspinn.data.fits import read_fits_images, read_fits_table
from lenspinn.errors import ConfigError, DataError
from lenspinn.simulate.cutouts import Cutout, finite_cutout

__all__ = ["LARGEST_STAMP", "MOST_STAMPS", "find_catalogue", "read_stamps"]

COLUMNS = ("IDENT", "RA", "DEC", "GAL_FILENAME", "GAL_HDU", "PIXEL_SCALE")
"""Columns of a catalogue that are read: name, position and pixel scale of a galaxy, and the file
and extension of its image."""

MOST_STAMPS = 1000
"""Largest number of rows of a catalogue that are used, from the first on: the galaxies of COSMOS
(56,000 with I < 23.5, 87,000 with I < 25.2) do not fit into memory."""

LARGEST_STAMP = 256
"""Largest side of a stamp, pixels; only the middle of larger stamps is used. Every image of a
library takes as much memory as the largest, so that a few nearby galaxies would cost more than all
others."""

_COMPANIONS = ("_fits", "_selection")
"""Endings that GalSim gives the names of further tables on the same galaxies, without images."""


def find_catalogue(folder: Path) -> Path | None:
    """Return the ``real_galaxy_catalog*.fits`` of a folder, None where there is none.

    Raises
    ------
    ConfigError
        If there are several.
    """
    found = [
        file
        for file in sorted(folder.glob("real_galaxy_catalog*.fits"))
        if not file.stem.endswith(_COMPANIONS)
    ]
    if len(found) > 1:
        names = ", ".join(file.name for file in found)
        raise ConfigError(f"source.galaxies: {str(folder)!r} holds several catalogues: {names}")
    return found[0] if found else None


def read_stamps(catalogue: Path) -> list[Cutout]:
    """Read the stamps of the first `MOST_STAMPS` rows of a catalogue, sorted by name.

    A row names the image of a galaxy by file (``GAL_FILENAME``, beside the catalogue) and extension
    (``GAL_HDU``, the primary one is 0), and states its pixel scale in arcsec. No other file is
    opened. Names hold the position on the sky, so that `lenspinn.simulate.galaxies.part_of` knows
    the galaxy. Warns where rows are left out.

    Raises
    ------
    ConfigError
        If the catalogue is no table with `COLUMNS` and rows, or a pixel scale is not positive, or
        an image is not there, cannot be read or is not finite.
    """
    rows = _rows(catalogue)
    cutouts = []
    for file in dict.fromkeys(row.file for row in rows):  # each is opened once
        of_file = [row for row in rows if row.file == file]
        images = _images(catalogue, file, [row.hdu for row in of_file])
        cutouts += [
            finite_cutout(row.name, _middle(image), row.pixel_scale, catalogue.parent / file)
            for row, image in zip(of_file, images, strict=True)
        ]
    return sorted(cutouts, key=lambda cutout: cutout.name)


class _Row(NamedTuple):
    name: str
    file: str
    hdu: int
    pixel_scale: float


def _rows(catalogue: Path) -> list[_Row]:
    try:
        table = read_fits_table(catalogue, COLUMNS)
    except DataError as error:
        raise ConfigError(f"source.galaxies: {error}") from None
    number = len(table["IDENT"])
    if number == 0:
        raise ConfigError(f"source.galaxies: {catalogue} has no rows")
    if number > MOST_STAMPS:
        warnings.warn(
            f"source.galaxies: the first {MOST_STAMPS} of the {number} galaxies of {catalogue} "
            "are used",
            stacklevel=2,
        )
    columns = (table[name][:MOST_STAMPS].tolist() for name in COLUMNS)
    rows = [
        _Row(f"{str(ident).strip()}_{ra:.6f}_{dec:.6f}", file.strip(), hdu, pixel_scale)
        for ident, ra, dec, file, hdu, pixel_scale in zip(*columns, strict=True)
    ]
    for row in rows:
        if row.hdu < 0 or not row.pixel_scale > 0:
            raise ConfigError(
                f"source.galaxies: {row.name!r} of {catalogue} has GAL_HDU {row.hdu} and "
                f"PIXEL_SCALE {row.pixel_scale:g}; it must be at least 0, and this above 0"
            )
    return rows


def _images(catalogue: Path, file: str, hdus: list[int]) -> list[np.ndarray]:
    path = catalogue.parent / file
    if not path.is_file():
        raise ConfigError(
            f"source.galaxies: {catalogue} names {file!r}, which is not in its folder"
        )
    try:
        return read_fits_images(path, hdus)
    except DataError as error:
        raise ConfigError(f"source.galaxies: {error}") from None


def _middle(stamp: np.ndarray) -> np.ndarray:
    """Cut a stamp to `LARGEST_STAMP` along each side that is longer."""
    start_y, start_x = (max(0, (side - LARGEST_STAMP) // 2) for side in stamp.shape)
    return stamp[start_y : start_y + LARGEST_STAMP, start_x : start_x + LARGEST_STAMP]
