"""Point-spread functions and convolution with them, differentiable."""

import functools
import math

import numpy as np
import torch
from jaxtyping import Float
from scipy.fft import next_fast_len
from torch import Tensor

__all__ = [
    "FWHM_PER_SIGMA",
    "blur_matrix",
    "convolve_kernel",
    "convolve_separable",
    "gaussian_kernel",
]

FWHM_PER_SIGMA = 2 * math.sqrt(2 * math.log(2))
"""Full width at half maximum of a Gaussian in standard deviations."""


@functools.lru_cache
def gaussian_kernel(fwhm: float, truncation: float) -> tuple[float, ...]:
    """Return one axis of a Gaussian PSF as lenstronomy applies it.

    Parameters
    ----------
    fwhm
        Full width at half maximum, pixels; 0 gives the identity.
    truncation
        Radius at which the Gaussian is cut off, standard deviations.

    Returns
    -------
    tuple of 2 r + 1 numbers that sum to 1, r = round(truncation * sigma)

    Notes
    -----
    lenstronomy's "GAUSSIAN" is ``scipy.ndimage.gaussian_filter(mode="nearest")``: the Gaussian at
    the pixel centres, not integrated over the pixels, and images continued with their border pixel.
    With an FWHM of one pixel the kernel is 20 % wider than the pixel-integrated PSF would say.
    """
    sigma = fwhm / FWHM_PER_SIGMA
    radius = int(truncation * sigma + 0.5)
    if radius == 0:
        return (1.0,)
    offset = np.arange(-radius, radius + 1)
    weight = np.exp(-0.5 * (offset / sigma) ** 2)
    return tuple((weight / weight.sum()).tolist())


def convolve_separable(
    images: Float[Tensor, "batch y x"], kernel: tuple[float, ...]
) -> Float[Tensor, "batch y x"]:
    """Convolve along both axes with a symmetric kernel of odd length, the border continued.

    Sums shifted copies in a fixed order: a convolution routine may choose another order for another
    machine or batch size.
    """
    return _convolved(_convolved(images, kernel, dim=1), kernel, dim=2)


def blur_matrix(kernel: tuple[float, ...], size: int) -> Float[Tensor, "size size"]:
    """Matrix that convolves an axis of an image as `convolve_separable` does, float64.

    From the left it acts on columns of an image, its transpose from the right on rows: for many
    maps two matrix products take a tenth of the time of sums of shifted copies on a CPU, whose
    order they do not keep.
    """
    radius = len(kernel) // 2
    seen = np.arange(size)
    matrix = np.zeros((size, size))
    for shift, weight in enumerate(kernel, start=-radius):
        np.add.at(matrix, (seen, (seen + shift).clip(0, size - 1)), weight)
    return torch.from_numpy(matrix)


def convolve_kernel(
    images: Float[Tensor, "batch y x"], kernel: Float[Tensor, "v u"]
) -> Float[Tensor, "batch y x"]:
    """Convolve with a kernel of odd size, 0 beyond the border, as lenstronomy's "PIXEL"."""
    rows, columns = images.shape[-2:]
    v, u = kernel.shape
    # Lengths with large prime factors take several times longer.
    size = (next_fast_len(rows + v - 1, real=True), next_fast_len(columns + u - 1, real=True))
    spectrum = torch.fft.rfft2(images, s=size) * torch.fft.rfft2(kernel.to(images), s=size)
    full = torch.fft.irfft2(spectrum, s=size)
    return full[..., v // 2 : v // 2 + rows, u // 2 : u // 2 + columns]


def _convolved(image: Tensor, kernel: tuple[float, ...], *, dim: int) -> Tensor:
    radius, size = len(kernel) // 2, image.shape[dim]
    shape = (*image.shape[:dim], radius, *image.shape[dim + 1 :])
    ends = (image.narrow(dim, place, 1).expand(shape) for place in (0, size - 1))
    # Not functional.pad: its compiled form computes an index for every pixel.
    padded = torch.cat([next(ends), image, next(ends)], dim=dim)
    total = padded.narrow(dim, radius, size) * kernel[radius]
    for shift in range(1, radius + 1):
        both = padded.narrow(dim, radius - shift, size) + padded.narrow(dim, radius + shift, size)
        total = total + both * kernel[radius + shift]
    return total
