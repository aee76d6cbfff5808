"""Light of sources: an elliptical Sersic profile, and images used as sources.

Both give surface brightness; multiply by the area of a pixel (arcsec^2) for the flux in it.
"""

import math
from typing import Any, NamedTuple

import numpy as np
import torch
from jaxtyping import Float
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from lenspinn.lensing.grid import Map, PerLens

SERSIC_CORE = 1e-4
"""Radius within which a Sersic profile is constant, arcsec, as in lenstronomy."""

_LEAST_OF_LENSTRONOMY = 0.5
"""Sersic index from which on lenstronomy's approximation of b_n is used."""


def sersic(  # noqa: PLR0913 - the parameters of lenstronomy's SERSIC_ELLIPSE, all named
    x: Map,
    y: Map,
    *,
    amplitude: PerLens | float,
    R_sersic: PerLens | float,
    n_sersic: PerLens | float,
    e1: PerLens | float,
    e2: PerLens | float,
    center_x: PerLens | float,
    center_y: PerLens | float,
) -> Map:
    """Surface brightness of an elliptical Sersic profile, lenstronomy's ``SERSIC_ELLIPSE``.

    Parameters
    ----------
    x, y : (*batch, y, x), arcsec
        Position in the source plane.
    amplitude : (*batch, 1, 1) or number, flux per arcsec^2
        Surface brightness at the half-light radius.
    R_sersic : (*batch, 1, 1) or number, arcsec
        Half-light radius, the geometric mean of its two axes.
    n_sersic : (*batch, 1, 1) or number
        Sersic index, at least 0.3: 1 is an exponential disk, 4 is de Vaucouleurs' law.
    e1, e2 : (*batch, 1, 1) or number
        Ellipticity, ``e1^2 + e2^2 < 1``.
    center_x, center_y : (*batch, 1, 1) or number, arcsec
        Position of the centre.

    Returns
    -------
    (*batch, y, x), flux per arcsec^2

    Notes
    -----
    ``I = amplitude * exp(-b_n ((R / R_sersic)^(1/n) - 1))`` with lenstronomy's
    ``b_n = 1.9992 n - 0.3271``, an approximation for n from 0.5 to 10, 3 % too low at 0.5. Below
    n = 0.5 lenstronomy uses the same approximation, which is 16 % too low at 0.3 and negative below
    0.16; here b_n is right within 2e-4 down to 0.3. lenstronomy cuts the profile off at 1000
    R_sersic; this function does not.

    References
    ----------
    Sersic (1968); b_n: Capaccioli (1989), as in lenstronomy ``sersic_utils.py``.
    """
    dx, dy = x - center_x, y - center_y
    squared = ((1 - e1) * dx - e2 * dy).square() + ((1 + e1) * dy - e2 * dx).square()
    axes = 1 - e1**2 - e2**2
    # Powers of two, not pow(.., 1 / n): faster once it is compiled, no less accurate.
    log_squared = torch.log2(squared.clamp(min=SERSIC_CORE**2 * axes) * (1 / (axes * R_sersic**2)))
    steepness = _b_n(n_sersic) * (1 / math.log(2))
    return amplitude * torch.exp2(steepness * (1 - torch.exp2(log_squared * (0.5 / n_sersic))))


class SersicDerivatives(NamedTuple):
    """Surface brightness of a Sersic profile and its derivatives at each position."""

    brightness: Map
    by_x: Map
    by_y: Map
    by_e1: Map
    by_e2: Map
    by_log_R: Map
    by_log_n: Map


def sersic_derivatives(
    dx: Map,
    dy: Map,
    *,
    amplitude: PerLens,
    R_sersic: PerLens,
    n_sersic: PerLens,
    e1: PerLens,
    e2: PerLens,
) -> SersicDerivatives:
    """Surface brightness of `sersic` at positions from its centre, with its derivatives.

    Derivatives by R_sersic and n_sersic are by their natural logarithms; derivatives by position
    are 0 within `SERSIC_CORE`, where the profile is constant.
    """
    u, v = (1 - e1) * dx - e2 * dy, (1 + e1) * dy - e2 * dx
    squared, axes = u.square() + v.square(), 1 - e1**2 - e2**2
    least = SERSIC_CORE**2 * axes
    inverse = torch.where(squared < least, 0.0, 1 / squared.clamp(min=least))
    log_squared = torch.log(squared.clamp(min=least) / (axes * R_sersic**2))
    power = torch.exp(log_squared * (0.5 / n_sersic))
    b_n = _b_n(n_sersic)
    brightness = amplitude * torch.exp(b_n * (1 - power))
    steep = brightness * power * (b_n / n_sersic)  # minus the derivative by log radius
    slope = -steep * inverse
    within = -steep * (squared >= least) / axes
    by_n = brightness * (1 - power) * (_b_n_slope(n_sersic) * n_sersic) + steep * log_squared / 2
    return SersicDerivatives(
        brightness=brightness,
        by_x=slope * ((1 - e1) * u - e2 * v),
        by_y=slope * ((1 + e1) * v - e2 * u),
        by_e1=slope * (dy * v - dx * u) + e1 * within,
        by_e2=slope * -(dy * u + dx * v) + e2 * within,
        by_log_R=steep,
        by_log_n=by_n,
    )


def sersic_total_flux(
    R_sersic: Tensor | NDArray[np.float64] | float,
    n_sersic: Tensor | NDArray[np.float64] | float,
    amplitude: Tensor | NDArray[np.float64] | float = 1.0,
) -> Tensor | NDArray[np.float64] | float:
    """Flux of `sersic` integrated over the whole sky, the same for any ellipticity.

    Parameters
    ----------
    R_sersic
        Half-light radius, arcsec.
    n_sersic
        Sersic index.
    amplitude
        Surface brightness at R_sersic, flux per arcsec^2.

    Returns
    -------
    Tensor, NDArray or float
        A tensor if any parameter is one, else float64 of their shape.

    References
    ----------
    Graham & Driver (2005), arXiv:astro-ph/0503176, eq. 2 at infinity.
    """
    parameters = (R_sersic, n_sersic, amplitude)
    R, n, brightness = (
        p if isinstance(p, Tensor) else torch.as_tensor(p, dtype=torch.float64) for p in parameters
    )
    b_n = _b_n(n)
    shape = n * torch.exp(torch.lgamma(2 * n) + b_n) / b_n ** (2 * n)
    flux = 2 * math.pi * brightness * R.square() * shape
    return flux if any(isinstance(p, Tensor) for p in parameters) else flux.numpy()[()]


def interpolated_source(
    image: Float[Tensor, "batch v u"],
    pixel_scale: float,
    x: Float[Tensor, "batch y x"],
    y: Float[Tensor, "batch y x"],
) -> Float[Tensor, "batch y x"]:
    """Value of an image at any position, by bilinear interpolation.

    Parameters
    ----------
    image : (batch, v, u)
        Surface brightness at the pixel centres; the centre of the array is at (0, 0).
    pixel_scale
        Side of a pixel of `image`, arcsec.
    x, y : (batch, y, x), arcsec
        Positions.

    Returns
    -------
    (batch, y, x), in the unit of `image`
        0 outside of the image, which falls off linearly within one pixel of its border.
    """
    rows, columns = image.shape[-2:]
    # grid_sample's unit is half the side of the image.
    unit = torch.stack([x * (2 / (columns * pixel_scale)), y * (2 / (rows * pixel_scale))], dim=-1)
    sampled = functional.grid_sample(image[:, None], unit, align_corners=False)
    return sampled[:, 0]


def _b_n(n_sersic: Tensor | float) -> Tensor | float:
    usual = 1.9992 * n_sersic - 0.3271
    if not isinstance(n_sersic, Tensor):
        return usual if n_sersic >= _LEAST_OF_LENSTRONOMY else _polynomial(n_sersic)
    return torch.where(n_sersic >= _LEAST_OF_LENSTRONOMY, usual, _polynomial(n_sersic))


def _polynomial(n_sersic: Any) -> Any:
    """Return b_n within 2e-4 for n from 0.3 to 0.5; fitted to P(2n, b_n) = 1/2."""
    return ((-0.7895 * n_sersic + 1.2519) * n_sersic + 1.2726) * n_sersic - 0.1575


def _b_n_slope(n_sersic: Tensor) -> Tensor:
    below = (3 * -0.7895 * n_sersic + 2 * 1.2519) * n_sersic + 1.2726
    return torch.where(n_sersic >= _LEAST_OF_LENSTRONOMY, 1.9992, below)
