"""One small lens without clumps, observed, and solved, for all tests of this room."""

import math

import numpy as np
import pytest
import torch

from lenspinn.detect.dark_solution import DarkSolution, solve
from lenspinn.detect.observed_lens import ObservedLens, observe_lens
from lenspinn.detect.template_bank import TemplateBank, make_bank
from lenspinn.fitting.smooth import make_optics, smooth_image
from lenspinn.measure.image_fits import ImageFits

PIXEL_SCALE, SIGMA = 0.08, 0.02
TRUTH = {
    "theta_E": 1.0,
    "e1": 0.08,
    "e2": -0.04,
    "center_x": 0.0,
    "center_y": 0.0,
    "gamma1": 0.02,
    "gamma2": 0.01,
    "source_x": 0.06,
    "source_y": 0.1,
    "source_e1": 0.1,
    "source_e2": 0.05,
    "log_R_sersic": math.log(0.2),
    "log_n_sersic": 0.0,
    "log_amplitude": math.log(100.0),
}


def small_psf() -> np.ndarray:
    x = np.arange(-4, 5)
    axis = np.exp(-(x**2) / 2)
    return np.outer(axis, axis) / np.outer(axis, axis).sum()


def noise_of(seed: int, num_pix: int) -> np.ndarray:
    return SIGMA * np.random.default_rng(seed).standard_normal((num_pix, num_pix))


@pytest.fixture(scope="session")
def image() -> np.ndarray:
    optics = make_optics(55, PIXEL_SCALE, torch.from_numpy(small_psf()).float(), supersampling=2)
    smooth = smooth_image(torch.tensor([list(TRUTH.values())]), optics)[0].numpy()
    return (smooth + noise_of(0, 55)).astype(np.float64)


def observed(
    image: np.ndarray,
    *,
    pixel_scale: float = PIXEL_SCALE,
    sigma: float = SIGMA,
    theta_E_guess: float | None = None,
) -> ObservedLens:
    noise = np.full(image.shape, sigma)
    fits = ImageFits(image, pixel_scale=pixel_scale, noise=noise, psf=small_psf())
    return observe_lens(fits.fitted(theta_E_guess=theta_E_guess, lens_light="none"))


@pytest.fixture(scope="session")
def lens(image: np.ndarray) -> ObservedLens:
    return observed(image)


@pytest.fixture(scope="session")
def solution(lens: ObservedLens) -> DarkSolution:
    return solve(lens)


@pytest.fixture(scope="session")
def bank(lens: ObservedLens, solution: DarkSolution) -> TemplateBank:
    return make_bank(lens, solution)
