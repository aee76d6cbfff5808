from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits
from scipy import ndimage

from lenspinn.errors import ImageError
from lenspinn.lensing.psf import FWHM_PER_SIGMA, gaussian_kernel
from lenspinn.measure.psf import (
    WIDEST,
    full_width,
    instrument_psf,
    instrument_words,
    normalised_psf,
    rebinned_psf,
    resampled_psf,
)


def gaussian(fwhm: float) -> np.ndarray:
    axis = np.array(gaussian_kernel(fwhm, 5.0))
    return np.outer(axis, axis)


def half_width(psf: np.ndarray) -> float:
    """FWHM in pixels, of the kernel interpolated."""
    fine = ndimage.zoom(psf, 8, order=3, mode="grid-constant", grid_mode=True)
    return full_width(fine) / 8


def width(psf: np.ndarray, scale: float) -> float:
    """FWHM of a Gaussian of the same variance along x, arcsec."""
    x = (np.arange(psf.shape[1]) - psf.shape[1] // 2) * scale
    return FWHM_PER_SIGMA * float(np.sqrt((psf.sum(axis=0) * x**2).sum()))


def test_it_sums_to_one() -> None:
    np.testing.assert_allclose(normalised_psf(3 * gaussian(2.0)), gaussian(2.0), atol=1e-12)


def test_a_wide_one_is_cut_around_its_middle() -> None:
    wide = np.pad(gaussian(3.0), 30)
    kernel = normalised_psf(wide)
    assert kernel.shape == (WIDEST, WIDEST)
    assert np.unravel_index(kernel.argmax(), kernel.shape) == (WIDEST // 2, WIDEST // 2)


def test_one_of_even_sides_is_cut_around_its_peak() -> None:
    odd = gaussian(2.0)
    kernel = normalised_psf(np.pad(odd, ((0, 1), (1, 0))))
    np.testing.assert_allclose(kernel, odd, atol=1e-12)


def test_a_peak_a_pixel_beside_the_middle_is_brought_there() -> None:
    moved = np.roll(np.pad(gaussian(2.0), 3), (1, 0), (0, 1))
    kernel = normalised_psf(moved)
    assert np.unravel_index(kernel.argmax(), kernel.shape) == tuple(s // 2 for s in kernel.shape)
    middle = tuple(s // 2 for s in kernel.shape)
    assert kernel[middle] == pytest.approx(gaussian(2.0).max())


def test_a_peak_far_from_the_middle_is_refused() -> None:
    with pytest.raises(ImageError, match="it must be in the middle"):
        normalised_psf(np.pad(gaussian(2.0), ((0, 9), (0, 9))))


def test_of_equal_peaks_the_one_nearest_to_the_middle_counts() -> None:
    np.testing.assert_allclose(normalised_psf(np.full((5, 5), 3.0)), np.full((5, 5), 0.04))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda psf: np.where(psf == psf.max(), np.nan, psf), "1 pixels of the PSF are NaN"),
        (lambda psf: np.where(psf == psf.max(), np.inf, psf), "NaN or infinite"),
        (lambda psf: psf - 0.02, "in negative pixels; take its background away"),
        (lambda psf: 0 * psf, "sums to 0"),
        (lambda psf: psf[:0], "has shape"),
    ],
)
def test_an_unusable_one_is_refused(change, said) -> None:
    with pytest.raises(ImageError, match=said):
        normalised_psf(change(gaussian(3.0)))


def test_a_little_that_is_negative_is_kept() -> None:
    psf = gaussian(3.0)
    psf[0] = -1e-5
    assert normalised_psf(psf)[0].max() < 0


def test_byte_order_does_not_matter() -> None:
    psf = gaussian(2.0)
    np.testing.assert_array_equal(normalised_psf(psf.astype(">f8")), normalised_psf(psf))


@pytest.mark.parametrize("finer", [2, 3, 4])
def test_finer_pixels_are_brought_to_those_of_the_image(finer: int) -> None:
    kernel = rebinned_psf(gaussian(2.5 * finer), 0.05 / finer, 0.05)
    assert kernel.sum() == pytest.approx(1.0)
    assert full_width(kernel) == pytest.approx(2.5, rel=0.2)
    added = FWHM_PER_SIGMA**2 * 0.05**2 * (1 - 1 / finer**2) / 12
    assert width(kernel, 0.05) == pytest.approx(np.sqrt(0.125**2 + added), rel=0.05)


def test_pixels_that_hardly_differ_are_left() -> None:
    psf = gaussian(2.0)
    np.testing.assert_array_equal(rebinned_psf(psf, 0.0495, 0.05), normalised_psf(psf))


def test_larger_pixels_than_those_of_the_image_are_refused() -> None:
    with pytest.raises(ImageError, match="larger than those of the image"):
        rebinned_psf(gaussian(2.0), 0.1, 0.05)


def test_the_instrument_of_a_header_has_its_gaussian() -> None:
    found = instrument_psf("HST ACS/WFC F814W", 0.02)
    assert found is not None
    kernel, name = found
    assert name == "hst_acs_f814w"
    assert width(kernel, 0.02) == pytest.approx(0.1, rel=0.02)


@pytest.mark.parametrize(
    ("stated", "pixel_scale", "files"),
    [
        ("HST WFC3 F160W", 0.08, "psf/tdlmc_rung0_f160w.fits"),
        ("JWST NIRCam F277W", 0.06, "jwst_cowls/*/F277W_psf.fits"),
    ],
)
def test_the_gaussian_of_an_instrument_is_as_wide_as_its_psfs(
    stated: str, pixel_scale: float, files: str, shared_data: Path
) -> None:
    found = instrument_psf(stated, pixel_scale)
    assert found is not None
    kernels = [normalised_psf(fits.getdata(path)) for path in shared_data.glob(files)]
    widths = [half_width(kernel) for kernel in kernels]
    assert half_width(found[0]) == pytest.approx(np.mean(widths), rel=0.05)


@pytest.mark.parametrize("stated", [None, "HST", "Keck NIRC2 Kp"])
def test_an_instrument_that_is_not_known_has_none(stated: str | None) -> None:
    assert instrument_psf(stated, 0.05) is None


def test_spelling_does_not_matter() -> None:
    assert instrument_words("HST ACS/WFC, F814W") == {"hst", "acs", "wfc", "f814w"}


def test_resampling_adds_the_width_of_the_new_pixels() -> None:
    kernel = resampled_psf(gaussian(6.0), 0.03, 0.06)
    assert kernel.sum() == pytest.approx(1.0)
    assert kernel.shape[0] % 2 == 1
    # Each new pixel averages over itself: pixel^2 / 12 more variance, less that of the old one.
    added = FWHM_PER_SIGMA**2 * (0.06**2 - 0.03**2) / 12
    assert width(kernel, 0.06) == pytest.approx(np.sqrt(0.18**2 + added), rel=0.05)
