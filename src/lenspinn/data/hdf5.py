"""HDF5 files as users of lenstronomy exchange them: an image with its noise, or a PSF.

The names of the datasets are the keywords of lenstronomy's ``ImageData`` and ``PSF`` (Birrer et al.
2021, JOSS 6, 3283), as the pipeline dolphin writes them (Shajib et al. 2025, arXiv:2503.22657).
"""

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from lenspinn.data.fits import TelescopeImage
from lenspinn.data.fits_sizes import MOST_PIXELS
from lenspinn.data.pixel_scale import square_pixel_scale
from lenspinn.data.plausible_scale import check_pixel_scale
from lenspinn.errors import DataError, ImageError
from lenspinn.regular_file import require_regular_file

__all__ = ["HDF5_SUFFIXES", "Hdf5Psf", "read_hdf5", "read_hdf5_psf"]

HDF5_SUFFIXES = (".h5", ".hdf5", ".hdf")

IMAGE, KERNEL = "image_data", "kernel_point_source"
NOISE_MAP, BACKGROUND, EXPOSURE = "noise_map", "background_rms", "exposure_time"
TO_SKY = "transform_pix2angle"
OVERSAMPLING = "point_source_supersampling_factor"
MOST_OVERSAMPLING = 20
MOST_NAMES = 20
"""Largest number of names of datasets that an error lists."""


def read_hdf5(path: Path | str, *, pixel_scale: float | None = None) -> TelescopeImage:
    """Read an image and its noise.

    Parameters
    ----------
    path : Path
    pixel_scale : float, arcsec, optional
        Pixel scale that overrides that of ``transform_pix2angle`` (2, 2), arcsec.

    Returns
    -------
    TelescopeImage
        Image of ``image_data``. Its noise is ``noise_map`` where there is one, else the noise of an
        image in e-/s, ``sqrt(background_rms^2 + image / exposure_time)``, infinite where the
        exposure time is 0; None where the file has neither.

    Raises
    ------
    DataError
        If the file is missing, truncated or no HDF5 file.
    ImageError
        If the file holds no image, its parts do not fit together or its pixel scale is unknown.
    """
    path = Path(path)
    with _opened(path) as parts:
        image = parts.image(IMAGE)
        return TelescopeImage(
            data=image,
            noise=_noise(parts, image),
            pixel_scale=_pixel_scale(parts)
            if pixel_scale is None
            else check_pixel_scale(pixel_scale),
            stated_scale=_usable_scale(parts) if pixel_scale is not None else None,
        )


@dataclass(frozen=True, kw_only=True, eq=False)
class Hdf5Psf:
    """A PSF of lenstronomy."""

    kernel: np.ndarray
    """Kernel (v, u), float32 or float64."""
    oversampling: float | None
    """Number of pixels of the kernel along one pixel of the image; None where it is not stated."""


def read_hdf5_psf(path: Path | str) -> Hdf5Psf:
    """Read a PSF from ``kernel_point_source``, and ``point_source_supersampling_factor``.

    Raises
    ------
    DataError
        If the file is missing, truncated or no HDF5 file.
    ImageError
        If the file holds no PSF.
    """
    with _opened(Path(path)) as parts:
        factor = None
        if OVERSAMPLING in parts:
            factor = float(parts.numbers(OVERSAMPLING, ((), (1,))).reshape(()))
            if not 1 <= factor <= MOST_OVERSAMPLING:
                raise ImageError(
                    f"{OVERSAMPLING!r} of {path} is {factor:g}; it must be from 1 to "
                    f"{MOST_OVERSAMPLING}"
                )
        return Hdf5Psf(kernel=parts.image(KERNEL), oversampling=factor)


class _Parts:
    """The datasets at the top of a file, each read when it is asked for."""

    def __init__(self, path: Path, file: Any) -> None:
        self.path = path
        self._file = file
        self.names = _read(path, lambda: sorted(str(name) for name in file))

    def __contains__(self, name: str) -> bool:
        return name in self.names

    def image(self, name: str) -> np.ndarray:
        """Return a dataset that is one image, (y, x) float32 or float64."""
        found = self.numbers(name)
        if found.ndim != 2 or found.size == 0:
            raise ImageError(
                f"{name!r} of {self.path} is no image (y, x) but {found.dtype} {found.shape}; "
                "give a file with one"
            )
        return found

    def numbers(self, name: str, shapes: tuple[tuple[int, ...], ...] | None = None) -> np.ndarray:
        """Return a dataset of numbers, in one of some shapes."""
        if name not in self:
            there = ", ".join(self.names[:MOST_NAMES]) or "nothing"
            raise ImageError(f"{self.path} has no {name!r}, only {there}; give another file")
        dataset = _read(self.path, lambda: self._dataset(name))
        where = f"{name!r} of {self.path}"
        if dataset is None:
            raise ImageError(f"{where} is no dataset of its own; copy the numbers into the file")
        shape, kind = _read(self.path, lambda: (dataset.shape, dataset.dtype))
        if shape is None or kind.kind not in "fiu":
            raise ImageError(f"{where} is no image (y, x) but {kind} {shape}; give numbers")
        if math.prod(shape) > MOST_PIXELS:
            raise ImageError(f"{where} has the shape {shape}, which is too large; cut out the lens")
        if shapes is not None and shape not in shapes:
            raise ImageError(f"{where} has the shape {shape}; it must be one of {shapes}")
        small = kind.itemsize <= (4 if kind.kind == "f" else 2)
        kept = np.float32 if small else np.float64
        return _read(self.path, lambda: np.ascontiguousarray(dataset[()], dtype=kept))

    def _dataset(self, name: str) -> Any:
        """Return a dataset; None for other objects, or where its numbers are in other files."""
        if not isinstance(self._file.get(name, getlink=True), h5py.HardLink | h5py.SoftLink):
            return None
        found = self._file.get(name)
        if not isinstance(found, h5py.Dataset) or found.external or found.is_virtual:
            return None
        return found


@contextmanager
def _opened(path: Path) -> Iterator[_Parts]:
    require_regular_file(path, "HDF5")
    file = _read(path, lambda: h5py.File(path, "r"))
    with file:
        yield _Parts(path, file)


def _read(path: Path, read: Callable[[], Any]) -> Any:
    """Read one thing; whatever h5py raises at a damaged file is a `DataError`."""
    try:
        return read()
    except Exception as error:
        reason = " ".join(str(error).partition(" (")[0].split())[:150]
        raise DataError(f"{path} cannot be read as HDF5: {reason}; get the file again") from error


def _noise(parts: _Parts, image: np.ndarray) -> np.ndarray | None:
    shapes = ((), (1,), image.shape)
    if NOISE_MAP in parts:
        noise = parts.numbers(NOISE_MAP, shapes).astype(np.float64)
    elif BACKGROUND in parts and EXPOSURE in parts:
        exposure = parts.numbers(EXPOSURE, shapes).astype(np.float64)
        background = parts.numbers(BACKGROUND, shapes).astype(np.float64)
        with np.errstate(all="ignore"):
            variance = background**2 + image.clip(min=0).astype(np.float64) / exposure
            noise = np.where(exposure > 0, np.sqrt(variance), np.inf)
    else:
        return None
    return np.broadcast_to(noise, image.shape).copy()


def _usable_scale(parts: _Parts) -> float | None:
    """Return what the file says; None also where that is why the scale is given by hand."""
    try:
        return _pixel_scale(parts)
    except ImageError:
        return None


def _pixel_scale(parts: _Parts) -> float:
    if TO_SKY not in parts:
        raise ImageError(f"{parts.path} has no {TO_SKY!r}: give the pixel scale as pixel_scale")
    matrix = parts.numbers(TO_SKY, ((2, 2),)).astype(np.float64)
    if not np.isfinite(matrix).all():
        raise ImageError(
            f"{TO_SKY!r} of {parts.path} says no pixel scale: give it as pixel_scale, in arcsec"
        )
    return square_pixel_scale(matrix, str(parts.path))
