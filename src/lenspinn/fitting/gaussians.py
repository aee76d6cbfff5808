"""Light of a galaxy as a sum of elliptical Gaussians of all sizes.

The sum can take the shape of any galaxy whose light falls off outwards, and is linear in the
amplitudes, so that a fit of the lens solves for these exactly in each of its steps.
"""

import math

import torch
from jaxtyping import Float
from torch import Tensor

from lenspinn.lensing.grid import pixel_grid

__all__ = ["NUM_LIGHT_TEMPLATES", "LightShape", "gaussian_sizes", "light_templates"]

LightShape = Float[Tensor, "batch 6"]
"""Centre (x, y, arcsec), and ellipticity (e1, e2) of each of two groups of Gaussians."""

GAUSSIANS = 10
"""Number of Gaussians, each of another size, in a group."""
SMALLEST = 0.5
"""Standard deviation of the smallest Gaussian, pixels."""
LARGEST = 1 / 3
"""Standard deviation of the largest Gaussian, in sides of the image."""
NUM_LIGHT_TEMPLATES = 2 * GAUSSIANS + 1
_LEAST_AXES = 1e-3
"""Least value of ``1 - e^2``, which is 0 for a line."""


def gaussian_sizes(num_pix: int) -> list[float]:
    """Return the standard deviations of the Gaussians of a group for an image, pixels."""
    smallest, largest = math.log(SMALLEST), math.log(LARGEST * num_pix)
    step = (largest - smallest) / (GAUSSIANS - 1)
    return [math.exp(smallest + step * place) for place in range(GAUSSIANS)]


def light_templates(
    shape: LightShape, num_pix: int, pixel_scale: float
) -> Float[Tensor, "batch templates y x"]:
    """Return the Gaussians of both groups, then a constant sky, before the PSF.

    Parameters
    ----------
    shape : (batch, 6), as in `LightShape`.
    num_pix : pixels a side.
    pixel_scale : side of a pixel, arcsec.

    Returns
    -------
    (batch, 21, y, x)
        Gaussians in rising order of size in each group. Their normalisation is arbitrary.

    References
    ----------
    Cappellari (2002), MNRAS 333, 400: sums of Gaussians; He et al. (2024), arXiv:2403.16253: two
    groups of them, for the lens light of strong lenses.
    """
    x, y = pixel_grid(num_pix, pixel_scale, dtype=shape.dtype, device=shape.device)
    center_x, center_y, *ellipticity = shape[..., None, None, None].unbind(dim=1)
    dx, dy = x - center_x, y - center_y
    sizes = shape.new_tensor(gaussian_sizes(num_pix))[:, None, None] * pixel_scale
    groups = []
    for e1, e2 in (ellipticity[:2], ellipticity[2:]):
        squared = ((1 - e1) * dx - e2 * dy).square() + ((1 + e1) * dy - e2 * dx).square()
        axes = (1 - e1**2 - e2**2).clamp(min=_LEAST_AXES)
        groups.append(torch.exp(-0.5 * squared / (axes * sizes**2)) / sizes**2)
    return torch.cat([*groups, torch.ones_like(groups[0][:, :1])], dim=1)
