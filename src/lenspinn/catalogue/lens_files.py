"""Files of one row of a table, read, and cut out of a mosaic where the row says so."""

import tempfile
import warnings
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

import numpy as np

from lenspinn.catalogue.lens_rows import LensRow
from lenspinn.data.fits import TelescopeImage
from lenspinn.data.fits_cutout import SkySquare, cut_out
from lenspinn.data.npy import read_npy
from lenspinn.data.plausible_scale import check_pixel_scale
from lenspinn.errors import DataError, LenspinnError
from lenspinn.measure.companions import (
    IMAGE,
    Companions,
    FileOptions,
    read_with_companions,
    with_folder,
)
from lenspinn.measure.image_fits import ImageFits

__all__ = ["LensImage", "read_lens"]


@dataclass(frozen=True, kw_only=True, eq=False)
class LensImage:
    """Image of a lens, with its noise map, PSF and mask where they are given."""

    found: TelescopeImage
    known: Companions = field(default_factory=Companions)
    pixel_scale: float | None
    """Pixel scale, arcsec per pixel; None for an array whose scale is unknown: then the pixel scale
    of `found` is not a number."""
    from_telescope: bool
    """Whether the file is a telescope's; an array is taken to be like the training images."""

    @cached_property
    def fits(self) -> ImageFits:
        """Fits of the image, which all jobs share."""
        return self.known.fits_of(self.found.data, self.found.pixel_scale)

    def measurable(self) -> TelescopeImage:
        """Return the image, if its scale is known.

        Raises
        ------
        DataError
            The pixel scale is unknown.
        """
        if self.pixel_scale is None:
            raise DataError(
                "a .npy file says no pixel scale: give it in a column pixel_scale, in arcsec"
            )
        return self.found


def read_lens(row: LensRow) -> LensImage:
    """Read the files that a row of a table names.

    Parameters
    ----------
    row
        With a ``size`` (arcsec), a square of that side around its ``ra`` and ``dec`` (degrees) is
        cut out of image, noise map and mask; a PSF is taken as it is.

    Raises
    ------
    DataError, ImageError
        A file is missing or cannot be used, or the row says too little.
    """
    image, options = row.image, row.files
    if not image.exists():
        raise DataError(f"there is no file {image}")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # notes of what is read say the same
        if image.name.lower().endswith(".npy"):
            return _read_array(image, options)
        size = row.number("size")
        if size is None:
            found, known = read_with_companions(image, options)
        else:
            found, known = _read_cutout(row, image, options, size)
    return LensImage(found=found, known=known, pixel_scale=found.pixel_scale, from_telescope=True)


def _read_array(image: Path, options: FileOptions) -> LensImage:
    given = options.for_telescope_files
    if given:
        raise DataError(f"{' and '.join(given)} can be given for FITS and HDF5 files, not {image}")
    scale = options.pixel_scale
    if scale is not None:
        check_pixel_scale(scale)
    pixels = np.ascontiguousarray(read_npy(image), dtype=np.float32)
    found = TelescopeImage(pixels, np.nan if scale is None else scale)
    return LensImage(found=found, pixel_scale=scale, from_telescope=False)


def _read_cutout(
    row: LensRow, image: Path, options: FileOptions, size: float
) -> tuple[TelescopeImage, Companions]:
    ra, dec = row.number("ra"), row.number("dec")
    if ra is None or dec is None:
        raise DataError("size is given without ra and dec: give all three, or no size")
    if image.is_dir():
        image, options = image / IMAGE, with_folder(image, options)
    square = SkySquare.in_image(
        image, ra=ra, dec=dec, size=size, hdu=options.image_hdu, band=options.band
    )
    with tempfile.TemporaryDirectory() as folder:
        cut = {
            kind: _cut(path, square, Path(folder) / kind)
            for kind in ("image", "noise", "mask")
            if (path := image if kind == "image" else getattr(options, kind)) is not None
        }
        try:
            return read_with_companions(
                cut["image"], replace(options, noise=cut.get("noise"), mask=cut.get("mask"))
            )
        except LenspinnError as error:
            # The cutout is gone when this is read.
            raise type(error)(str(error).replace(f"{folder}/", "the cutout, ")) from error


def _cut(path: Path, square: SkySquare, folder: Path) -> Path:
    """Write a cutout under the name of the whole file, which may say what it holds."""
    folder.mkdir()
    name = path.name
    for packed in (".gz", ".bz2", ".xz", ".zip", ".fz"):
        name = name.removesuffix(packed)
    return cut_out(path, square, folder / (name if name.endswith(".fits") else f"{name}.fits"))
