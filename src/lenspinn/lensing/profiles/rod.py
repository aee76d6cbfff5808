"""Uniform straight rod: a continuous vortex."""

import torch
from torch import Tensor

from lenspinn.lensing.grid import Map, PerLens
from lenspinn.lensing.profiles.centre import CENTRE_RADIUS

_LARGEST = 1 - 1e-7
"""Largest argument of arctanh, which is 1 at the ends of the rod: the float32 next below 1."""


def deflection_rod(
    theta_x: Map,
    theta_y: Map,
    x0: PerLens,
    y0: PerLens,
    x1: PerLens,
    y1: PerLens,
    theta_E: PerLens,
) -> tuple[Map, Map]:
    """Deflection of a thin straight rod of uniform density.

    Parameters
    ----------
    theta_x, theta_y : (*batch, y, x), arcsec
        Position, from the same origin as the ends of the rod.
    x0, y0, x1, y1 : (*batch, 1, 1), arcsec
        Ends of the rod. A rod of no length is a point mass.
    theta_E : (*batch, 1, 1), arcsec
        Einstein radius of a point mass of the rod's whole mass.

    Returns
    -------
    alpha_x, alpha_y : (*batch, y, x), arcsec

    Notes
    -----
    The mean of the deflections of point masses along the rod. With u along the rod and v across it,
    from its middle, a half its length and ``r^2 = u^2 + v^2``::

        alpha_u = theta_E^2 / (2 a) * arctanh(2 a u / (r^2 + a^2))
        alpha_v = theta_E^2 / (2 a) * arctan2(2 a v, r^2 - a^2)

    which is the complex logarithm ``ln((z + a) / (z - a))`` in a form that loses no accuracy far
    from a short rod. Across the rod alpha_v jumps by ``pi theta_E^2 / a``; on it alpha_v is 0. At
    the ends alpha_u grows as a logarithm; it ends at ``8 theta_E^2 / (2 a)``.

    References
    ----------
    The integral of a point mass's deflection; Bourassa & Kantowski (1975), ApJ 195, 13, for the
    complex form of deflections.
    """
    half, along_x, along_y = _half_length_and_direction(x1 - x0, y1 - y0)
    dx, dy = theta_x - (x0 + x1) / 2, theta_y - (y0 + y1) / 2
    u, v = along_x * dx + along_y * dy, along_x * dy - along_y * dx
    squared, half_squared = u.square() + v.square(), half.square()
    ratio = 2 * half * u / (squared + half_squared).clamp(min=CENTRE_RADIUS**2)
    strength = theta_E.square() / (2 * half)
    alpha_u = strength * torch.arctanh(ratio.clamp(-_LARGEST, _LARGEST))
    on_line = v == 0
    angle = torch.atan2(torch.where(on_line, 1.0, 2 * half * v), squared - half_squared)
    alpha_v = strength * torch.where(on_line, 0.0, angle)
    return along_x * alpha_u - along_y * alpha_v, along_y * alpha_u + along_x * alpha_v


def convergence_rod(
    theta_x: Map,
    theta_y: Map,
    x0: PerLens,
    y0: PerLens,
    x1: PerLens,
    y1: PerLens,
    theta_E: PerLens,
) -> Map:
    """Convergence of `deflection_rod`: 0; the rod itself, which has no width, is left out."""
    return torch.zeros_like((theta_x + theta_y) * (x0 + y0 + x1 + y1 + theta_E))


def potential_rod(
    theta_x: Map,
    theta_y: Map,
    x0: PerLens,
    y0: PerLens,
    x1: PerLens,
    y1: PerLens,
    theta_E: PerLens,
) -> Map:
    """Potential of `deflection_rod`, arcsec^2: the mean of ``theta_E^2 ln(distance)``."""
    half, along_x, along_y = _half_length_and_direction(x1 - x0, y1 - y0)
    dx, dy = theta_x - (x0 + x1) / 2, theta_y - (y0 + y1) / 2
    u, v = along_x * dx + along_y * dy, (along_x * dy - along_y * dx).abs()
    total = torch.zeros_like(u)
    for sign in (1, -1):  # the integral of ln(sqrt(s^2 + v^2)) between the ends
        s = sign * half - u
        squared = (s.square() + v.square()).clamp(min=CENTRE_RADIUS**2)
        total = total + sign * (s * (torch.log(squared) / 2 - 1) + v * torch.atan2(s, v))
    return theta_E.square() * total / (2 * half)


def _half_length_and_direction(dx: Tensor, dy: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return half the length of a rod, at least `CENTRE_RADIUS`, and its direction."""
    is_point = dx.square() + dy.square() < (2 * CENTRE_RADIUS) ** 2
    dx, dy = torch.where(is_point, 2 * CENTRE_RADIUS, dx), torch.where(is_point, 0.0, dy)
    length = torch.sqrt(dx.square() + dy.square())
    return length / 2, dx / length, dy / length
