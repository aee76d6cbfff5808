import numpy as np
import pytest
import torch
from lenstronomy.Data.psf import PSF
from lenstronomy.ImSim.Numerics.convolution import PixelKernelConvolution
from scipy.ndimage import gaussian_filter

from lenspinn.lensing.psf import (
    FWHM_PER_SIGMA,
    blur_matrix,
    convolve_kernel,
    convolve_separable,
    gaussian_kernel,
)


@pytest.mark.parametrize("fwhm", [0.3, 1.0, 1.584, 4.0])
@pytest.mark.parametrize("truncation", [4.0, 5.0])
def test_the_gaussian_is_that_of_lenstronomy(fwhm, truncation):
    image = np.random.default_rng(0).random((1, 17, 20))
    expected = gaussian_filter(image[0], fwhm / FWHM_PER_SIGMA, mode="nearest", truncate=truncation)
    convolved = convolve_separable(torch.from_numpy(image), gaussian_kernel(fwhm, truncation))
    np.testing.assert_allclose(convolved[0].numpy(), expected, rtol=1e-13)


@pytest.mark.parametrize("fwhm", [0.0, 1.0, 3.0])
def test_the_gaussian_sums_to_one(fwhm):
    assert sum(gaussian_kernel(fwhm, 5.0)) == pytest.approx(1.0, abs=1e-15)


def lopsided(size: int) -> np.ndarray:
    kernel = np.random.default_rng(size).random((size, size))
    return kernel / kernel.sum()


@pytest.mark.parametrize("size", [1, 5, 21, 41])
def test_a_pixel_kernel_acts_as_in_lenstronomy(size):
    image, kernel = np.random.default_rng(0).random((3, 20, 24)), lopsided(size)
    psf = PSF(psf_type="PIXEL", kernel_point_source=kernel)
    there = PixelKernelConvolution(psf.kernel_point_source, convolution_type="fft")
    expected = np.stack([there.convolution2d(one) for one in image])
    convolved = convolve_kernel(torch.from_numpy(image), torch.from_numpy(kernel))
    np.testing.assert_allclose(convolved.numpy(), expected, atol=1e-12)


def test_a_point_source_becomes_the_kernel():
    image = torch.zeros(1, 9, 9, dtype=torch.float64)
    image[0, 4, 4] = 1.0
    kernel = torch.from_numpy(lopsided(9))
    torch.testing.assert_close(convolve_kernel(image, kernel)[0], kernel)


@pytest.mark.parametrize("size", [5, 21])
def test_an_image_does_not_depend_on_its_batch(size):
    images, kernel = torch.rand(64, 32, 32), torch.from_numpy(lopsided(size))
    together = convolve_kernel(images, kernel)
    for row in (0, 31, 63):
        torch.testing.assert_close(together[row], convolve_kernel(images[row : row + 1], kernel)[0])


def test_both_convolutions_have_derivatives():
    image = torch.rand(1, 6, 6, dtype=torch.float64, requires_grad=True)
    kernel = torch.from_numpy(lopsided(3))
    for convolve in (
        lambda x: convolve_kernel(x, kernel),
        lambda x: convolve_separable(x, gaussian_kernel(1.0, 3.0)),
    ):
        assert torch.autograd.gradcheck(convolve, image, check_forward_ad=True)


@pytest.mark.parametrize("fwhm", [0.0, 1.0, 4.0])
def test_two_matrix_products_convolve_as_shifted_copies_do(fwhm):
    images, kernel = torch.rand(3, 17, 17, dtype=torch.float64), gaussian_kernel(fwhm, 5.0)
    matrix = blur_matrix(kernel, 17)
    torch.testing.assert_close(matrix @ images @ matrix.mT, convolve_separable(images, kernel))
