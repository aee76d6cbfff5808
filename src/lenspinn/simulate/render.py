"""Scenes to noise-free images, in batches, with torch.

Everything from the tensors of `scene_tensors` on is a pure function of tensors of fixed shape.
"""

import functools
import math
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from lenspinn.lensing import (
    deflection_shear,
    deflection_sie,
    pixel_grid,
    sersic,
    sersic_total_flux,
)
from lenspinn.lensing.light import SERSIC_CORE
from lenspinn.simulate.scene import Scene

__all__ = ["SceneTensors", "gaussian_kernel", "render", "scene_tensors", "surface_brightness"]

PerScene = Float[Tensor, "batch 1 1"]
Points = Float[Tensor, "points batch 1 1"]
Image = Float[Tensor, "batch y x"]

FWHM_PER_SIGMA = 2 * math.sqrt(2 * math.log(2))

# Arcsec^2, added to squared distances so that a pixel exactly on a point mass is not deflected, as
# in lenstronomy. Far below the float32 resolution of any other squared distance.
_POINT_CORE = 1e-30


class SceneTensors(NamedTuple):
    """A `Scene` as tensors of one dtype, shaped to broadcast over (batch, y, x)."""

    theta_E: PerScene
    e1: PerScene
    e2: PerScene
    center_x: PerScene
    center_y: PerScene
    gamma1: PerScene
    gamma2: PerScene
    point_x: Points
    point_y: Points
    point_theta_E: Points
    R_sersic: PerScene
    n_sersic: PerScene
    source_e1: PerScene
    source_e2: PerScene
    source_x: PerScene
    source_y: PerScene
    amplitude: PerScene
    """Of the source at R_sersic, e-/s per square arcsec."""
    brightest: PerScene
    """Of the source at the edge of its core."""


def render(
    scene: Scene,
    *,
    num_pix: int,
    pixel_scale: float,
    psf_fwhm: float,
    psf_truncation: float = 5.0,
    source_core: float = SERSIC_CORE,
    dtype: torch.dtype = torch.float32,
    device: torch.device | str | None = None,
) -> Image:
    """Render noise-free images.

    Parameters
    ----------
    scene
        B scenes.
    num_pix
        Pixels along a side.
    pixel_scale
        Arcsec.
    psf_fwhm
        Full width at half maximum of the Gaussian PSF, arcsec; 0 for none.
    psf_truncation
        Where the PSF is cut off, in standard deviations.
    source_core
        Radius inside which the source is constant, arcsec, at least lenstronomy's 1e-4.
    dtype, device
        Of the computation and its result.

    Returns
    -------
    (B, num_pix, num_pix), e-/s

    Notes
    -----
    A pixel holds the surface brightness at its centre times its area, as in lenstronomy without
    supersampling. Differences from lenstronomy, in units of the peak: 1e-8 in float64, from the
    core of 1e-10 arcsec that lenstronomy gives its SIE; in float32 1e-6 to 1e-5, and up to 1e-4
    where the centre of a cuspy source falls on a pixel.
    """
    theta_x, theta_y = pixel_grid(num_pix, pixel_scale, dtype=dtype, device=device)
    tensors = scene_tensors(scene, source_core=source_core, dtype=dtype, device=device)
    flux = surface_brightness(tensors, theta_x, theta_y) * pixel_scale**2
    kernel = gaussian_kernel(psf_fwhm / pixel_scale, psf_truncation)
    return _convolved(_convolved(flux, kernel, dim=1), kernel, dim=2)


def scene_tensors(
    scene: Scene,
    *,
    source_core: float = SERSIC_CORE,
    dtype: torch.dtype = torch.float32,
    device: torch.device | str | None = None,
) -> SceneTensors:
    """Turn a scene into tensors; its flux becomes the amplitude of its Sersic profile."""
    amplitude = scene.source_flux / sersic_total_flux(scene.R_sersic, scene.n_sersic)
    at_core = {
        name: torch.as_tensor(values)[:, None, None]
        for name, values in (
            ("amplitude", amplitude),
            ("R_sersic", scene.R_sersic),
            ("n_sersic", scene.n_sersic),
        )
    }
    core = torch.tensor([[source_core]], dtype=torch.float64)
    brightest = sersic(core, 0 * core, **at_core, e1=0.0, e2=0.0, center_x=0.0, center_y=0.0)
    content = vars(scene) | {"amplitude": amplitude, "brightest": brightest[:, 0, 0].numpy()}

    def tensor(values: np.ndarray) -> Tensor:
        values = values.T[..., None, None]
        return torch.as_tensor(np.ascontiguousarray(values), dtype=dtype, device=device)

    return SceneTensors(**{name: tensor(content[name]) for name in SceneTensors._fields})


def surface_brightness(
    scene: SceneTensors, theta_x: Float[Tensor, "y x"], theta_y: Float[Tensor, "y x"]
) -> Image:
    """Return the lensed source at each position, e-/s per square arcsec, before the PSF.

    Parameters
    ----------
    theta_x, theta_y : (y, x), arcsec
        Rows of ``theta_x`` and columns of ``theta_y`` are equal, as `pixel_grid` makes them.
    """
    x, y = theta_x - scene.center_x, theta_y - scene.center_y
    alpha_x, alpha_y = deflection_sie(x, y, scene.theta_E, scene.e1, scene.e2)
    shear_x, shear_y = deflection_shear(theta_x[None], theta_y[None], scene.gamma1, scene.gamma2)
    points_x, points_y = _deflection_points(scene, theta_x[:1], theta_y[:, :1])
    beta_x = theta_x - alpha_x - (shear_x + points_x)
    beta_y = theta_y - alpha_y - (shear_y + points_y)
    lensed = sersic(
        beta_x,
        beta_y,
        amplitude=scene.amplitude,
        R_sersic=scene.R_sersic,
        n_sersic=scene.n_sersic,
        e1=scene.source_e1,
        e2=scene.source_e2,
        center_x=scene.source_x,
        center_y=scene.source_y,
    )
    return torch.minimum(lensed, scene.brightest)  # brightness falls with radius


def _deflection_points(
    scene: SceneTensors, row: Float[Tensor, "1 x"], column: Float[Tensor, "y 1"]
) -> tuple[Image, Image]:
    """Return the deflection of all point masses, added up one after the other in their order.

    Never holds (batch, y, x, points): a point needs two vectors a scene, x by x and y by y, and one
    buffer of the image's size, so that its cost is four passes over it.
    """
    dx, dy = row - scene.point_x, column - scene.point_y  # (points, batch, 1, x) and (.., y, 1)
    dx_squared, dy_squared = dx.square() + _POINT_CORE, dy.square()
    theta_E_squared = scene.point_theta_E.square()
    alpha_x = dx.new_zeros(dx.shape[1], len(column), row.shape[1])
    alpha_y, weight = torch.zeros_like(alpha_x), torch.empty_like(alpha_x)
    for n in range(len(dx)):
        torch.add(dx_squared[n], dy_squared[n], out=weight)
        torch.div(theta_E_squared[n], weight, out=weight)
        alpha_x.addcmul_(weight, dx[n])
        alpha_y.addcmul_(weight, dy[n])
    return alpha_x, alpha_y


@functools.lru_cache
def gaussian_kernel(fwhm: float, truncation: float) -> tuple[float, ...]:
    """Return one axis of a Gaussian PSF as lenstronomy applies it.

    Parameters
    ----------
    fwhm
        In pixels; 0 gives the identity.
    truncation
        In standard deviations.

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


def _convolved(image: Image, kernel: tuple[float, ...], *, dim: int) -> Image:
    """Convolve along one axis with a symmetric kernel, the border pixels continued.

    Sums shifted copies in a fixed order: a convolution routine may choose another order for another
    machine or batch size.
    """
    radius, size = len(kernel) // 2, image.shape[dim]
    ends = (0, 0, radius, radius) if dim == 1 else (radius, radius, 0, 0)
    padded = functional.pad(image, ends, mode="replicate")
    total = padded.narrow(dim, radius, size) * kernel[radius]
    for shift in range(1, radius + 1):
        both = padded.narrow(dim, radius - shift, size) + padded.narrow(dim, radius + shift, size)
        total.add_(both, alpha=kernel[radius + shift])
    return total
