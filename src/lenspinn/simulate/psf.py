"""The Gaussian PSF (pixel kernels come with the noise branch)."""

import functools
import math

import numpy as np
from torch import Tensor
from torch.nn import functional

FWHM_PER_SIGMA = 2 * math.sqrt(2 * math.log(2))


@functools.lru_cache
def gaussian_kernel(fwhm: float, truncation: float) -> tuple[float, ...]:
    """Return one axis of a Gaussian PSF as lenstronomy applies it."""
    sigma = fwhm / FWHM_PER_SIGMA
    radius = int(truncation * sigma + 0.5)
    if radius == 0:
        return (1.0,)
    offset = np.arange(-radius, radius + 1)
    weight = np.exp(-0.5 * (offset / sigma) ** 2)
    return tuple((weight / weight.sum()).tolist())


def convolve_separable(images: Tensor, kernel: tuple[float, ...]) -> Tensor:
    """Convolve along both axes with a symmetric kernel, the border pixels continued."""
    return _convolved(_convolved(images, kernel, dim=1), kernel, dim=2)


def _convolved(image: Tensor, kernel: tuple[float, ...], *, dim: int) -> Tensor:
    radius, size = len(kernel) // 2, image.shape[dim]
    ends = (0, 0, radius, radius) if dim == 1 else (radius, radius, 0, 0)
    padded = functional.pad(image, ends, mode="replicate")
    total = padded.narrow(dim, radius, size) * kernel[radius]
    for shift in range(1, radius + 1):
        both = padded.narrow(dim, radius - shift, size) + padded.narrow(dim, radius + shift, size)
        total = total + both * kernel[radius + shift]
    return total


def load_psf(path: str, pixel_scale: float) -> Tensor:
    """Read a pixel kernel."""
    raise NotImplementedError


def convolve_kernel(images: Tensor, kernel: Tensor) -> Tensor:
    """Convolve with a pixel kernel."""
    raise NotImplementedError
