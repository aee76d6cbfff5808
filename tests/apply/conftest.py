"""An image of the shared dataset, and a lens with lens light and its measurement."""

import dataclasses
import math
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn import functional

from lenspinn.apply import LensMeasurement, fit_lens
from lenspinn.data.store import ImageStore
from lenspinn.lensing import SMOOTH_PARAMETERS, make_optics, pixel_grid, sersic, smooth_image
from lenspinn.lensing.psf import convolve_kernel, gaussian_kernel


@pytest.fixture
def image(dataset: Path) -> np.ndarray:
    """One image of the dataset, (64, 64)."""
    return ImageStore.open(dataset).images([1])[0, 0]


SCENE = {
    "theta_E": 0.8,
    "e1": 0.08,
    "e2": -0.05,
    "gamma1": 0.03,
    "gamma2": -0.02,
    "source_x": 0.08,
    "source_y": 0.05,
    "source_e1": 0.1,
    "source_e2": 0.1,
    "log_R_sersic": math.log(0.15),
    "log_amplitude": 4.0,
}
"""A smooth lens; what is not named is 0."""


@dataclasses.dataclass(frozen=True)
class LensedScene:
    """An image of a lens whose parameters are known."""

    image: np.ndarray
    sigma: np.ndarray
    psf: np.ndarray
    mask: np.ndarray
    pixel_scale: float
    theta_E: float


@pytest.fixture(scope="session")
def scene() -> LensedScene:
    """A lens with lens light off the middle of the image, noise, PSF and a masked neighbour."""
    num_pix, scale = 51, 0.08
    axis = np.array(gaussian_kernel(2.0, 4.0))
    psf = np.outer(axis, axis)
    optics = make_optics(num_pix, scale, torch.from_numpy(psf).float(), supersampling=3)
    values = torch.tensor([[SCENE.get(name, 0.0) for name in SMOOTH_PARAMETERS]])
    arcs = smooth_image(values, optics)
    x, y = pixel_grid(num_pix * 3, scale / 3)
    galaxy = sersic(
        x,
        y,
        amplitude=80.0,
        R_sersic=0.7,
        n_sersic=3.0,
        e1=0.1,
        e2=0.05,
        center_x=0.0,
        center_y=0.0,
    )
    light = functional.avg_pool2d(galaxy[None], 3) * scale**2
    image = (arcs + convolve_kernel(light, torch.from_numpy(psf).float()))[0].double().numpy()
    sigma = np.sqrt(0.02**2 + 0.002 * image)
    image += sigma * np.random.default_rng(5).standard_normal(image.shape)
    mask = np.zeros_like(image)
    mask[30:34, 36:40] = 1
    image[mask > 0] += 3.0
    pads = ((2, 5), (4, 3))
    image = np.pad(image, pads, mode="edge")
    sigma, mask = np.pad(sigma, pads, constant_values=1e8), np.pad(mask, pads)
    return LensedScene(image, sigma, psf, mask, scale, SCENE["theta_E"])


@pytest.fixture(scope="session")
def measured(scene: LensedScene) -> LensMeasurement:
    """What is measured in the scene."""
    return fit_lens(
        scene.image,
        pixel_scale=scene.pixel_scale,
        noise=scene.sigma,
        psf=scene.psf,
        mask=scene.mask,
    )
