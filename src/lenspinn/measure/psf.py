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
MOST_NEGATIVE = 0.05
"""Negative light of a PSF, share of the positive: more is a background taken away wrongly."""
MOST_ASIDE, MOST_ASIDE_SHARE = 2.0, 0.1
"""Pixels, and share of its side, by which the peak of a PSF may lie beside its middle."""
MOST_WIDTH = 7.0
"""Pixels at half its peak, of a PSF that does not state its scale; images are sampled by 2 to 5."""
SAME_SCALE = 0.02
"""Relative difference between pixel scales that are taken to be one, e.g. the 0.0495" and 0.05" of
HST's ACS."""
TRUNCATION = 5.0
"""Of a Gaussian, standard deviations."""
OBSERVED_FWHM = {"hst_wfc3_f160w": 0.185, "jwst_nircam_f277w": 0.126}
"""Arcsec, of instruments whose Gaussian in `lenspinn.data.instrument`, that of simulators, is too
narrow for their images: full widths at half maximum of the kernel of the Time Delay Lens Modeling
Challenge (0.08" pixels) and of those of COSMOS-Web lenses (0.06")."""

ASSUMED_PSF_ERROR = 0.015
"""One sigma of theta_E, relative, that a Gaussian in the place of the PSF of an image adds: the
root mean square of one half of real lenses, rounded up; see docs/measured/real_lenses.md."""


def normalised_psf(psf: Float[np.ndarray, "_ _"]) -> Kernel:
    """Return a PSF as the fits take it: of sum 1, its peak in the middle, no wider than `WIDEST`.

    Parameters
    ----------
    psf : (v, u)
        In pixels of the image, of any sides. A peak a little beside the middle is brought there, by
        cutting what is farther from it on one side than on the other.

    Raises
    ------
    ImageError
        If it has another shape, is not finite, has its peak near a border, or holds too much that
        is negative.
    """
    return _normalised(_centred(psf, WIDEST))


def _normalised(kernel: Kernel) -> Kernel:
    return kernel / kernel.sum()


def _centred(psf: Float[np.ndarray, "_ _"], widest: int) -> Kernel:
    """Cut a PSF around its peak, to odd sides of at most `widest` pixels."""
    if psf.ndim != 2 or psf.size == 0:
        raise ImageError(f"the PSF has shape {psf.shape}; it must have two axes")
    if not np.isfinite(psf).all():
        bad = int((~np.isfinite(psf)).sum())
        raise ImageError(f"{bad} pixels of the PSF are NaN or infinite; put the right values there")
    psf = psf.astype(np.float64)
    light = float(psf.clip(min=0).sum())
    negative = -float(psf.clip(max=0).sum())
    if not 0 < light < np.inf or negative > MOST_NEGATIVE * light:
        raise ImageError(
            f"the PSF sums to {light - negative:.3g}, with {negative:.3g} in negative pixels; take "
            "its background away so that it is positive"
        )
    peak = _peak(psf)
    cut = []
    for side, at in zip(psf.shape, peak, strict=True):
        if abs(at - (side - 1) / 2) > max(MOST_ASIDE, MOST_ASIDE_SHARE * side):
            raise ImageError(
                f"the PSF of {' x '.join(map(str, psf.shape))} pixels has its peak in pixel "
                f"{peak}; it must be in the middle, so cut it around its peak"
            )
        half = min(widest // 2, at, side - 1 - at)
        cut.append(slice(at - half, at + half + 1))
    return psf[tuple(cut)]


def _peak(psf: Kernel) -> tuple[int, int]:
    """Return row and column of the brightest pixel, of equals that nearest to the middle."""
    rows, columns = np.nonzero(psf == psf.max())
    middle_row, middle_column = ((side - 1) / 2 for side in psf.shape)
    nearest = int(np.hypot(rows - middle_row, columns - middle_column).argmin())
    return int(rows[nearest]), int(columns[nearest])


def rebinned_psf(psf: Float[np.ndarray, "_ _"], psf_scale: float, pixel_scale: float) -> Kernel:
    """Return a PSF of finer pixels in those of the image, as `normalised_psf` does.

    Parameters
    ----------
    psf : (v, u)
    psf_scale, pixel_scale : arcsec
        Of its pixels, and of those of the image.

    Raises
    ------
    ImageError
        As `normalised_psf`, or if its pixels are larger than those of the image.
    """
    if abs(psf_scale / pixel_scale - 1) <= SAME_SCALE:
        return normalised_psf(psf)
    if psf_scale > pixel_scale:
        raise ImageError(
            f"the PSF states pixels of {psf_scale:.4g} arcsec, which are larger than those of the "
            f"image ({pixel_scale:.4g}): give it in pixels of the image, or finer"
        )
    widest = math.ceil(WIDEST * pixel_scale / psf_scale) + 2
    kernel = _normalised(_centred(psf, widest))
    return normalised_psf(resampled_psf(kernel, psf_scale, pixel_scale))


def full_width(psf: Kernel) -> float:
    """Return the full width at half maximum of a PSF, pixels, from the area above that."""
    return 2 * math.sqrt(float((psf > psf.max() / 2).sum()) / math.pi)


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
    fwhm = OBSERVED_FWHM.get(found[0].name, found[0].psf_fwhm)
    axis = gaussian_kernel(fwhm / pixel_scale, TRUNCATION)
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
