"""External shear."""

import torch

from lenspinn.lensing.grid import Map, PerLens


def deflection_shear(
    theta_x: Map, theta_y: Map, gamma1: PerLens, gamma2: PerLens
) -> tuple[Map, Map]:
    """Deflection of a constant external shear, which vanishes at (0, 0).

    Parameters
    ----------
    theta_x, theta_y : (*batch, y, x), arcsec
        Position.
    gamma1, gamma2 : (*batch, 1, 1)
        Shear, ``gamma`` times ``cos 2 phi`` and ``sin 2 phi``.

    Returns
    -------
    alpha_x, alpha_y : (*batch, y, x), arcsec

    References
    ----------
    Meneghetti, Introduction to Gravitational Lensing, gradient of eq. 3.80.
    """
    return gamma1 * theta_x + gamma2 * theta_y, gamma2 * theta_x - gamma1 * theta_y


def potential_shear(theta_x: Map, theta_y: Map, gamma1: PerLens, gamma2: PerLens) -> Map:
    """Potential ``gamma1 (x^2 - y^2) / 2 + gamma2 x y`` of `deflection_shear`, arcsec^2."""
    from caustics import func

    return func.potential_external_shear(0.0, 0.0, gamma1, gamma2, theta_x, theta_y)


def convergence_shear(theta_x: Map, theta_y: Map, gamma1: PerLens, gamma2: PerLens) -> Map:
    """Convergence of an external shear: 0."""
    return torch.zeros_like(theta_x * theta_y * gamma1 * gamma2)
