"""Point mass."""

import torch

from lenspinn.lensing.grid import Map, PerLens
from lenspinn.lensing.profiles.centre import off_centre, zero_where


def deflection_point_mass(theta_x: Map, theta_y: Map, theta_E: PerLens) -> tuple[Map, Map]:
    """Deflection of a point mass: ``|alpha| = theta_E^2 / theta``.

    Parameters
    ----------
    theta_x, theta_y : (*batch, y, x), arcsec
        Position relative to the lens.
    theta_E : (*batch, 1, 1), arcsec
        Einstein radius.

    Returns
    -------
    alpha_x, alpha_y : (*batch, y, x), arcsec
        0 at the centre.

    References
    ----------
    Meneghetti, Introduction to Gravitational Lensing, eq. 3.1.
    """
    from caustics import func

    at_centre, x, y = off_centre(theta_x, theta_y)
    alpha = func.reduced_deflection_angle_point(0.0, 0.0, theta_E, x, y)
    return zero_where(at_centre, *alpha)


def potential_point_mass(theta_x: Map, theta_y: Map, theta_E: PerLens) -> Map:
    """Potential ``theta_E^2 ln(theta / 1 arcsec)`` of `deflection_point_mass`, arcsec^2."""
    from caustics import func

    _, x, y = off_centre(theta_x, theta_y)
    return func.potential_point(0.0, 0.0, theta_E, x, y)


def convergence_point_mass(theta_x: Map, theta_y: Map, theta_E: PerLens) -> Map:
    """Convergence of a point mass: 0; the delta function at the centre is left out."""
    return torch.zeros_like(theta_x * theta_y * theta_E)
