import numpy as np
import pytest
import torch

from lenspinn.fitting.gaussians import light_templates
from lenspinn.lensing.psf import convolve_kernel
from lenspinn.measure.blurred_gaussians import blurred_gaussians, shape_derivatives
from lenspinn.measure.lens_light import MODEL_ERROR

SIDE, SCALE = 81, 0.05
SHAPE = np.array([0.02, -0.01, 0.2, 0.1, -0.1, 0.15])
# Of the brightest pixel: what a PSF does to a wide Gaussian beside its second moments, a quarter of
# what models of galaxies are wrong by.
WIDE_ERROR = MODEL_ERROR / 4
# Of a flux: sampling at the centres of pixels, and what lies beyond the image.
FLUX_ERROR = 0.03
# Of the largest derivative: differences of steps of 1e-5.
DIFFERENCE_ERROR = 1e-6


def pixels() -> np.ndarray:
    return np.indices((SIDE, SIDE)).reshape(2, -1) - SIDE // 2


def psf() -> np.ndarray:
    y, x = np.indices((9, 9)) - 4
    kernel = np.exp(-0.5 * (x**2 + 1.5 * y**2) / 1.2**2) + 0.02 / (1 + x**2 + y**2)
    return kernel / kernel.sum()


@pytest.mark.parametrize("kernel", [None, psf()])
def test_they_are_the_templates_of_fitting_blurred(kernel: np.ndarray | None) -> None:
    seen = blurred_gaussians(SHAPE, pixels(), SIDE, SCALE, kernel).reshape(-1, SIDE, SIDE)
    templates = light_templates(torch.from_numpy(SHAPE)[None], SIDE, SCALE)[0, :-1]
    if kernel is not None:
        templates = convolve_kernel(templates, torch.from_numpy(kernel))
    for ours, theirs in zip(seen, templates.numpy(), strict=True):
        scale = (ours * theirs).sum() / (theirs**2).sum()
        middle = slice(20, -20)  # beyond the border there is light that blurs into the image
        difference = np.abs(ours - scale * theirs)[middle, middle]
        assert difference.max() < WIDE_ERROR * ours.max()


def test_each_has_a_flux_of_one() -> None:
    small = blurred_gaussians(SHAPE, pixels(), SIDE, SCALE, psf())[[0, 3, 10, 13]]
    assert small.sum(axis=1) == pytest.approx(1, rel=FLUX_ERROR)


def test_some_pixels_are_those_of_all() -> None:
    every = blurred_gaussians(SHAPE, pixels(), SIDE, SCALE, psf())
    chosen = np.arange(0, SIDE**2, 7)
    some = blurred_gaussians(SHAPE, pixels()[:, chosen], SIDE, SCALE, psf())
    assert np.array_equal(some, every[:, chosen])


@pytest.mark.parametrize("kernel", [None, psf()])
@pytest.mark.parametrize("place", range(6))
def test_derivatives_are_those_of_differences(kernel: np.ndarray | None, place: int) -> None:
    amplitudes = np.random.default_rng(1).random(20)
    amplitudes[[2, 15]] = 0

    def light(step: float) -> np.ndarray:
        shape = SHAPE + step * np.eye(6)[place]
        return amplitudes @ blurred_gaussians(shape, pixels(), SIDE, SCALE, kernel)

    differences = (light(1e-5) - light(-1e-5)) / 2e-5
    derivatives = shape_derivatives(SHAPE, amplitudes, pixels(), SIDE, SCALE, kernel)[place]
    assert np.abs(derivatives - differences).max() < DIFFERENCE_ERROR * np.abs(differences).max()
