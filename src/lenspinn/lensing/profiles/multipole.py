"""Multipoles: departures of a lens from an ellipse."""

import torch
from torch import Tensor

from lenspinn.lensing.grid import Map, PerLens
from lenspinn.lensing.profiles.centre import off_centre, zero_where


def deflection_multipole(
    theta_x: Map, theta_y: Map, m: int, a_m: PerLens, phi_m: PerLens
) -> tuple[Map, Map]:
    """Deflection of a multipole, lenstronomy's ``MULTIPOLE``; it depends on direction alone.

    Parameters
    ----------
    theta_x, theta_y : (*batch, y, x), arcsec
        Position relative to the lens.
    m
        Order, at least 2.
    a_m : (*batch, 1, 1), arcsec
        Strength: over theta_E, the relative departure of an isodensity contour from a circle.
    phi_m : (*batch, 1, 1), radians
        Direction.

    Returns
    -------
    alpha_x, alpha_y : (*batch, y, x), arcsec
        0 at the centre.

    References
    ----------
    Xu et al. (2015), arXiv:1410.3282, eq. A.1, as in lenstronomy; the gradient of the potential.
    """
    along, across = a_m * torch.cos(m * phi_m), a_m * torch.sin(m * phi_m)
    return deflection_multipole_parts(theta_x, theta_y, m, along, across)


def deflection_multipole_parts(
    theta_x: Map, theta_y: Map, m: int, along: PerLens, across: PerLens
) -> tuple[Map, Map]:
    """Deflection of the multipole whose strength is given in two parts, linear in both.

    Parameters
    ----------
    theta_x, theta_y, m
        Position and order, as in `deflection_multipole`.
    along, across : (*batch, 1, 1), arcsec
        ``a_m cos(m phi_m)`` and ``a_m sin(m phi_m)``.
    """
    at_centre, x, y = off_centre(theta_x, theta_y)
    inverse = torch.rsqrt(x.square() + y.square())
    cos, sin = x * inverse, y * inverse
    cos_m, sin_m = cos, sin
    for _ in range(m - 1):
        cos_m, sin_m = cos_m * cos - sin_m * sin, sin_m * cos + cos_m * sin
    radial = (along * cos_m + across * sin_m) / (1 - m**2)
    tangential = (across * cos_m - along * sin_m) * (m / (1 - m**2))
    return zero_where(at_centre, cos * radial - sin * tangential, sin * radial + cos * tangential)


def potential_multipole(theta_x: Map, theta_y: Map, m: int, a_m: PerLens, phi_m: PerLens) -> Map:
    """Potential ``theta a_m cos(m (phi - phi_m)) / (1 - m^2)`` of the multipole, arcsec^2."""
    radius, phase = _polar(theta_x, theta_y, m, phi_m)
    return radius * a_m / (1 - m**2) * torch.cos(phase)


def convergence_multipole(theta_x: Map, theta_y: Map, m: int, a_m: PerLens, phi_m: PerLens) -> Map:
    """Convergence ``a_m cos(m (phi - phi_m)) / (2 theta)`` of the multipole."""
    radius, phase = _polar(theta_x, theta_y, m, phi_m)
    return a_m / (2 * radius) * torch.cos(phase)


def _polar(theta_x: Tensor, theta_y: Tensor, m: int, phi_m: Tensor) -> tuple[Tensor, Tensor]:
    _, x, y = off_centre(theta_x, theta_y)
    return torch.sqrt(x.square() + y.square()), m * (torch.atan2(y, x) - phi_m)
