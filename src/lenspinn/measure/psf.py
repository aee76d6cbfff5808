"""PSFs of images: from a file, of an instrument, and in the pixels of a network."""

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
"""Largest side of a PSF that is used, pixels: wings beyond it cost time. The rest is normalised."""
SAME_PLACE = 1e-6
"""Distance that rounding may move a border by, pixels."""
MOST_NEGATIVE = 0.05
"""Largest negative light of a PSF, as a share of the positive: more is an error of the
background."""
MOST_ASIDE, MOST_ASIDE_SHARE = 2.0, 0.1
"""Largest distance of the peak of a PSF from its middle: the larger of a number of pixels and a
share of its side."""
MOST_WIDTH = 7.0
"""Largest full width at half maximum, pixels, of a PSF that does not state its scale; those of
images are 2 to 5."""
SAME_SCALE = 0.02
"""Largest relative difference of pixel scales that count as equal, e.g. 0.0495" and 0.05" of HST's
ACS."""
TRUNCATION = 5.0
"""Radius at which a Gaussian PSF is cut off, standard deviations."""
OBSERVED_FWHM = {"hst_wfc3_f160w": 0.185, "jwst_nircam_f277w": 0.126}
"""Full widths at half maximum, arcsec, for instruments whose Gaussian in
`lenspinn.data.instrument`, made for simulators, is too narrow for real images: measured on the
kernel of the Time Delay Lens Modeling Challenge (0.08" pixels) and on kernels of COSMOS-Web lenses
(0.06")."""

ASSUMED_PSF_ERROR = 0.015
"""Relative error (one sigma) that a Gaussian in the place of the true PSF adds to theta_E: the root
mean square over one half of real lenses, rounded up; see docs/measured/real_lenses.md."""


def normalised_psf(psf: Float[np.ndarray, "_ _"]) -> Kernel:
    """Return a PSF for fits: of sum 1, its peak in the middle, no wider than `WIDEST`.

    Parameters
    ----------
    psf : (v, u)
        PSF in pixels of the image, of any sides. A peak a little off the middle is brought there by
        cutting off the pixels that are farther from the peak than the nearest border.

    Raises
    ------
    ImageError
        If the PSF does not have two axes, is not finite, has its peak far from the middle, or holds
        too much negative light.
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
    """Return row and column of the brightest pixel, of equal ones that nearest to the middle."""
    rows, columns = np.nonzero(psf == psf.max())
    middle_row, middle_column = ((side - 1) / 2 for side in psf.shape)
    nearest = int(np.hypot(rows - middle_row, columns - middle_column).argmin())
    return int(rows[nearest]), int(columns[nearest])


def rebinned_psf(psf: Float[np.ndarray, "_ _"], psf_scale: float, pixel_scale: float) -> Kernel:
    """Return a PSF of finer pixels in the pixels of the image, normalised by `normalised_psf`.

    Parameters
    ----------
    psf : (v, u)
        PSF in pixels of `psf_scale`.
    psf_scale, pixel_scale : arcsec
        Side of a pixel of the PSF, and of the image.

    Raises
    ------
    ImageError
        If `normalised_psf` refuses the PSF, or its pixels are larger than those of the image.
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
    """Return the full width at half maximum of a PSF, pixels, from the area above half maximum."""
    return 2 * math.sqrt(float((psf > psf.max() / 2).sum()) / math.pi)


def instrument_psf(stated: str | None, pixel_scale: float) -> tuple[Kernel, str] | None:
    """Return the Gaussian PSF of an instrument that a header names, and the instrument's name.

    Parameters
    ----------
    stated
        Telescope, instrument and filter, in any order and case.
    pixel_scale
        Side of a pixel of the kernel, arcsec.

    Returns
    -------
    kernel and name, or None
        Kernel and name of the only instrument of `lenspinn.data.instrument.INSTRUMENTS` whose words
        are all in `stated`; None if there is no such instrument, or more than one.
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
    """Return the PSF of a resampled image, in its pixels, of sum 1.

    Parameters
    ----------
    psf
        PSF in pixels of `from_scale`, of odd sides.
    from_scale, to_scale : arcsec
        Side of a pixel before and after resampling.
    """
    half = math.ceil((max(psf.shape) * from_scale / to_scale - 1) / 2 - SAME_PLACE)
    field = (2 * half + 1) * to_scale / from_scale
    border = [(math.ceil((field - side) / 2),) * 2 for side in psf.shape]
    padded = np.pad(psf, np.maximum(border, 0))
    kernel = resample(torch.from_numpy(padded), from_scale, to_scale, 2 * half + 1).numpy()
    return kernel / kernel.sum()
