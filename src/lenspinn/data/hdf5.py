"""HDF5 files as users of lenstronomy exchange them: an image with its noise, or a PSF.

The names of the datasets are the keywords of lenstronomy's ``ImageData`` and ``PSF`` (Birrer et al.
2021, JOSS 6, 3283), as the pipeline dolphin writes them (Shajib et al. 2025, arXiv:2503.22657).
"""

from pathlib import Path

import h5py
import numpy as np

from lenspinn.data.fits import TelescopeImage
from lenspinn.errors import DataError, ImageError

__all__ = ["HDF5_SUFFIXES", "read_hdf5", "read_hdf5_psf"]

HDF5_SUFFIXES = (".h5", ".hdf5")

IMAGE, KERNEL = "image_data", "kernel_point_source"
NOISE_MAP, BACKGROUND, EXPOSURE = "noise_map", "background_rms", "exposure_time"
TO_SKY = "transform_pix2angle"


def read_hdf5(path: Path | str, *, pixel_scale: float | None = None) -> TelescopeImage:
    """Read an image and its noise.

    Parameters
    ----------
    path : Path
    pixel_scale : float, arcsec, optional
        Overrides the root of the determinant of ``transform_pix2angle`` (2, 2), arcsec.

    Returns
    -------
    TelescopeImage
        ``image_data``. Its noise is ``noise_map`` where there is one, else that of an image in
        e-/s, ``sqrt(background_rms^2 + image / exposure_time)``, infinite where nothing was
        exposed. None where the file has neither.

    Raises
    ------
    DataError
        If the file is missing, truncated or no HDF5 file.
    ImageError
        If it holds no image, its parts do not fit together or its pixel scale is unknown.
    """
    path = Path(path)
    parts = _read(path)
    image = _image(parts, IMAGE, path)
    return TelescopeImage(
        data=image,
        noise=_noise(parts, image, path),
        pixel_scale=_pixel_scale(parts, path) if pixel_scale is None else float(pixel_scale),
    )


def read_hdf5_psf(path: Path | str) -> np.ndarray:
    """Read a PSF in pixels of the image, (v, u) float32, from ``kernel_point_source``.

    Raises
    ------
    DataError
        If the file is missing, truncated or no HDF5 file.
    ImageError
        If it holds no PSF.
    """
    path = Path(path)
    return _image(_read(path), KERNEL, path)


def _read(path: Path) -> dict[str, np.ndarray]:
    """Read the datasets at the top of a file; what cannot be read of it is a `DataError`."""
    try:
        with h5py.File(path, "r") as file:
            return {k: np.asarray(v) for k, v in file.items() if isinstance(v, h5py.Dataset)}
    except (OSError, RuntimeError, ValueError) as error:
        reason = "there is no such file" if not path.exists() else str(error).partition(" (")[0]
        raise DataError(f"{path} cannot be read as HDF5: {reason}") from error


def _image(parts: dict[str, np.ndarray], name: str, path: Path) -> np.ndarray:
    if name not in parts:
        raise ImageError(f"{path} has no {name!r}, only {', '.join(sorted(parts)) or 'nothing'}")
    found = parts[name]
    if found.ndim != 2 or found.dtype.kind not in "fiu":
        raise ImageError(f"{name!r} of {path} is no image (y, x) but {found.dtype} {found.shape}")
    return np.ascontiguousarray(found, dtype=np.float32)


def _noise(parts: dict[str, np.ndarray], image: np.ndarray, path: Path) -> np.ndarray | None:
    if NOISE_MAP not in parts and not {BACKGROUND, EXPOSURE} <= parts.keys():
        return None
    for name in (NOISE_MAP, BACKGROUND, EXPOSURE):
        if name in parts and parts[name].shape not in ((), image.shape):
            raise ImageError(
                f"{name!r} of {path} has the shape {parts[name].shape}, the image {image.shape}"
            )
    if NOISE_MAP in parts:
        noise = parts[NOISE_MAP].astype(np.float64)
    else:
        exposure = parts[EXPOSURE].astype(np.float64)
        with np.errstate(divide="ignore", invalid="ignore"):
            variance = parts[BACKGROUND] ** 2 + image.clip(min=0) / exposure
        noise = np.where(exposure > 0, np.sqrt(variance), np.inf)
    return np.broadcast_to(noise, image.shape).astype(np.float32)


def _pixel_scale(parts: dict[str, np.ndarray], path: Path) -> float:
    if TO_SKY not in parts:
        raise ImageError(f"{path} has no {TO_SKY!r}: give the pixel scale")
    matrix = parts[TO_SKY]
    scale = float(np.sqrt(abs(np.linalg.det(matrix)))) if matrix.shape == (2, 2) else 0.0
    if not 0 < scale < np.inf:
        raise ImageError(f"{TO_SKY!r} of {path} says no pixel scale: give it")
    return scale
