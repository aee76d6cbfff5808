"""The smooth model of a lensed galaxy: one function from fourteen numbers to an image.

An isothermal ellipsoid with external shear bends the light of an elliptical Sersic source, which is
sampled inside each pixel and convolved with the PSF, as `lenspinn simulate` does it. With five more
numbers the lens is a power law with multipoles.
"""

from collections.abc import Mapping
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from lenspinn.lensing.grid import Map, block_mean, pixel_grid
from lenspinn.lensing.light import sersic
from lenspinn.lensing.profiles import (
    deflection_epl,
    deflection_multipole_parts,
    deflection_shear,
    deflection_sie,
)
from lenspinn.lensing.psf import blur_matrix, convolve_kernel

__all__ = [
    "SHAPE_PARAMETERS",
    "SMOOTH_PARAMETERS",
    "Optics",
    "blurred",
    "by_name",
    "exposed",
    "make_optics",
    "parameter_names",
    "smooth_deflection",
    "smooth_image",
    "source_brightness",
]

SMOOTH_PARAMETERS = (
    "theta_E",
    "e1",
    "e2",
    "center_x",
    "center_y",
    "gamma1",
    "gamma2",
    "source_x",
    "source_y",
    "source_e1",
    "source_e2",
    "log_R_sersic",
    "log_n_sersic",
    "log_amplitude",
)
"""Names, in order, of the last axis of a tensor of smooth parameters: arcsec, pure numbers, and
natural logarithms of `sersic`'s ``R_sersic`` (arcsec), ``n_sersic`` and ``amplitude``."""

SHAPE_PARAMETERS = ("gamma", "a3", "b3", "a4", "b4")
"""Names of the shape parameters of the lens, which may follow `SMOOTH_PARAMETERS`, all or none:
slope of the three-dimensional density (2 where left out), ``a_m cos(m phi_m)`` and
``a_m sin(m phi_m)`` of the multipoles of order 3 and 4, in units of theta_E."""

_SERIES_TERMS = 12
"""Number of terms of the series of the power law: relative error 1e-6 for an ellipticity of 0.3."""

SmoothParameters = Float[Tensor, "batch parameters"]
"""Values of `SMOOTH_PARAMETERS`, or of these and `SHAPE_PARAMETERS`."""
Psf = tuple[float, ...] | Float[Tensor, "v u"]
"""One axis of a separable PSF, or the PSF in pixels; see `lenspinn.lensing.psf`."""


class Optics(NamedTuple):
    """Sampling, PSF and pixels that turn surface brightness into an image."""

    theta_x: Float[Tensor, "fine_y fine_x"]
    theta_y: Float[Tensor, "fine_y fine_x"]
    """Positions (x and y) at which brightness is sampled, arcsec."""
    psf: Psf
    pixel_scale: float
    """Side of a pixel, arcsec."""
    supersampling: int
    """Number of samples along a side of a pixel."""
    axis: Float[Tensor, "y y"] | None
    """Matrix that turns surface brightness into blurred flux along one axis; None for a PSF in
    pixels."""


def make_optics(
    num_pix: int,
    pixel_scale: float,
    psf: Psf,
    *,
    supersampling: int = 1,
    dtype: torch.dtype = torch.float32,
    device: torch.device | str | None = None,
) -> Optics:
    """Return the optics of square images.

    Parameters
    ----------
    num_pix : pixels a side.
    pixel_scale : side of a pixel, arcsec.
    psf : see `Psf`.
    supersampling
        Number of samples along a side of a pixel; 1 is its centre alone.
    """
    fine_x, fine_y = pixel_grid(
        num_pix * supersampling, pixel_scale / supersampling, dtype=dtype, device=device
    )
    axis = None
    if not isinstance(psf, Tensor):
        axis = (blur_matrix(psf, num_pix) * pixel_scale).to(fine_x)
    return Optics(fine_x, fine_y, psf, pixel_scale, supersampling, axis)


def smooth_image(parameters: SmoothParameters, optics: Optics) -> Float[Tensor, "batch y x"]:
    """Return noise-free images, flux per pixel."""
    alpha_x, alpha_y = smooth_deflection(parameters, optics.theta_x, optics.theta_y)
    beta_x, beta_y = optics.theta_x - alpha_x, optics.theta_y - alpha_y
    return exposed(source_brightness(by_name(parameters), beta_x, beta_y)[:, None], optics)[:, 0]


def smooth_deflection(parameters: SmoothParameters, theta_x: Map, theta_y: Map) -> tuple[Map, Map]:
    """Return the deflection of lens and shear at each position, (batch, y, x), arcsec."""
    return _deflection(by_name(parameters), theta_x, theta_y)


def parameter_names(count: int) -> tuple[str, ...]:
    """Return the names of the first `count` parameters: 14, or 19 with the shape of the lens."""
    return (SMOOTH_PARAMETERS + SHAPE_PARAMETERS)[:count]


def by_name(parameters: SmoothParameters) -> dict[str, Tensor]:
    """Return each parameter by its name, shaped to broadcast over images: (batch, 1, 1)."""
    columns = parameters[..., None, None].unbind(dim=1)
    return dict(zip(parameter_names(len(columns)), columns, strict=True))


def source_brightness(p: Mapping[str, Tensor], beta_x: Tensor, beta_y: Tensor) -> Tensor:
    """Return the surface brightness of the source at positions in its plane, arcsec.

    Parameters
    ----------
    p
        Parameters of the source, by their names in `SMOOTH_PARAMETERS`.
    beta_x, beta_y
        Positions in the source plane, arcsec, of a shape that broadcasts with the parameters.
    """
    return sersic(
        beta_x,
        beta_y,
        amplitude=p["log_amplitude"].exp(),
        R_sersic=p["log_R_sersic"].exp(),
        n_sersic=p["log_n_sersic"].exp(),
        e1=p["source_e1"],
        e2=p["source_e2"],
        center_x=p["source_x"],
        center_y=p["source_y"],
    )


def exposed(samples: Tensor, optics: Optics) -> Float[Tensor, "batch maps y x"]:
    """Turn surface brightness at the samples into flux per pixel, blurred by the PSF.

    Parameters
    ----------
    samples : (batch, maps, ...)
        Surface brightness; the axes after `maps` are those of `optics.theta_x`, or one flattened.
    optics
        Optics of the images.
    """
    fine = optics.supersampling
    brightness = samples.reshape(*samples.shape[:2], *optics.theta_x.shape)
    if fine > 1:
        brightness = block_mean(brightness, fine)
    return blurred(brightness, optics)


def blurred(
    brightness: Float[Tensor, "batch maps y x"], optics: Optics
) -> Float[Tensor, "batch maps y x"]:
    """Turn the mean surface brightness of pixels into their flux, blurred by the PSF."""
    maps = brightness.flatten(0, 1)
    if isinstance(optics.psf, Tensor):
        seen = convolve_kernel(maps * optics.pixel_scale**2, optics.psf)
    else:
        assert optics.axis is not None
        along_rows = (maps.flatten(0, 1) @ optics.axis.mT).view_as(maps)
        seen = torch.bmm(optics.axis.expand(len(maps), -1, -1), along_rows)
    return seen.unflatten(0, brightness.shape[:2])


def _deflection(p: dict[str, Tensor], theta_x: Tensor, theta_y: Tensor) -> tuple[Tensor, Tensor]:
    x, y = theta_x - p["center_x"], theta_y - p["center_y"]
    shear = deflection_shear(theta_x, theta_y, p["gamma1"], p["gamma2"])
    if "gamma" not in p:
        bends = [deflection_sie(x, y, p["theta_E"], p["e1"], p["e2"]), shear]
    else:
        lens = (p["theta_E"], p["gamma"], p["e1"], p["e2"])
        bends = [deflection_epl(x, y, *lens, terms=_SERIES_TERMS), shear]
        for m in (3, 4):
            strengths = (p["theta_E"] * p[f"{letter}{m}"] for letter in "ab")
            bends.append(deflection_multipole_parts(x, y, m, *strengths))
    alpha_x, alpha_y = zip(*bends, strict=True)
    return sum(alpha_x[1:], alpha_x[0]), sum(alpha_y[1:], alpha_y[0])
