"""PSFs of images: from a file, from the instrument, and as a network's pixels see them."""

import math
import re

import numpy as np
import torch
from jaxtyping import Float

from lenspinn.data.instrument import INSTRUMENTS
from lenspinn.data.transforms import resample
from lenspinn.errors import ImageError
from lenspinn.lensing.psf import gaussian_kernel

Kernel = Float[np.ndarray, "_ _"]

WIDEST = 31
"""Pixels a side of a PSF that are used: wings beyond cost time, and are shared among the rest."""
SAME_PLACE = 1e-6
"""Pixels: what rounding moves a border by."""
TRUNCATION = 5.0
"""Of a Gaussian, standard deviations."""


def normalised_psf(psf: Float[np.ndarray, "_ _"]) -> Kernel:
    """Return a PSF as the fits take it: of sum 1, and no wider than `WIDEST`.

    Parameters
    ----------
    psf : (v, u)
        Odd sides, its peak in the middle; or even ones, its peak in one of the pixels around the
        middle, which is then that of the result.

    Raises
    ------
    ImageError
        If it has another shape, its peak elsewhere, or its sum is not positive.
    """
    if psf.ndim != 2:
        raise ImageError(f"the PSF has shape {psf.shape}; it must have two axes")
    peak = np.unravel_index(int(psf.argmax()), psf.shape)
    cut = []
    for side, at in zip(psf.shape, map(int, peak), strict=True):
        middle = side // 2 if side % 2 else at
        if middle not in (side // 2, (side - 1) // 2):
            raise ImageError(
                f"the PSF of {' x '.join(map(str, psf.shape))} pixels has its peak in pixel "
                f"{tuple(map(int, peak))}; it must be in the middle"
            )
        half = min(WIDEST // 2, middle, side - 1 - middle)
        cut.append(slice(middle - half, middle + half + 1))
    kernel = psf[tuple(cut)]
    total = float(kernel.sum())
    if not total > 0:
        raise ImageError(f"the PSF sums to {total}; it must sum to a positive number")
    return kernel.astype(np.float64) / total


def instrument_psf(stated: str | None, pixel_scale: float) -> tuple[Kernel, str] | None:
    """Return the Gaussian PSF of an instrument that a header names, and the instrument's name.

    Parameters
    ----------
    stated
        Telescope, instrument and filter, in any order and case.
    pixel_scale
        Of the kernel, arcsec.

    Returns
    -------
    kernel and name, or None
        None if no instrument of `lenspinn.data.instrument.INSTRUMENTS`, or more than one, has all
        its words in what is stated.
    """
    words = instrument_words(stated or "")
    found = [i for i in INSTRUMENTS.values() if instrument_words(i.name) <= words]
    if len(found) != 1:
        return None
    axis = gaussian_kernel(found[0].psf_fwhm / pixel_scale, TRUNCATION)
    return np.outer(axis, axis), found[0].name


def instrument_words(name: str) -> set[str]:
    """Return the words of an instrument's name, by which two spellings are compared."""
    return set(re.findall(r"[a-z0-9]+", name.lower()))


def resampled_psf(psf: Kernel, from_scale: float, to_scale: float) -> Kernel:
    """Return the image of a point in the pixels of a resampled image, of sum 1.

    Parameters
    ----------
    psf
        In pixels of `from_scale`, of odd sides.
    from_scale, to_scale : arcsec
    """
    half = math.ceil((max(psf.shape) * from_scale / to_scale - 1) / 2 - SAME_PLACE)
    field = (2 * half + 1) * to_scale / from_scale
    border = [(math.ceil((field - side) / 2),) * 2 for side in psf.shape]
    padded = np.pad(psf, np.maximum(border, 0))
    kernel = resample(torch.from_numpy(padded), from_scale, to_scale, 2 * half + 1).numpy()
    return kernel / kernel.sum()
