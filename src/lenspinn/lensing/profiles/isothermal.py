"""Singular isothermal sphere (SIS) and ellipsoid (SIE)."""

from typing import NamedTuple

import torch

from lenspinn.lensing.grid import Map, PerLens
from lenspinn.lensing.profiles.centre import CENTRE_RADIUS, off_centre, zero_where
from lenspinn.lensing.profiles.ellipticity import ellipticity_to_axis_ratio


def deflection_sis(theta_x: Map, theta_y: Map, theta_E: PerLens) -> tuple[Map, Map]:
    """Deflection of a singular isothermal sphere: ``|alpha| = theta_E`` everywhere.

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
    Meneghetti, Introduction to Gravitational Lensing, eq. 3.46.
    """
    from caustics import func

    at_centre, x, y = off_centre(theta_x, theta_y)
    alpha = func.reduced_deflection_angle_sis(0.0, 0.0, theta_E, x, y)
    return zero_where(at_centre, *alpha)


def potential_sis(theta_x: Map, theta_y: Map, theta_E: PerLens) -> Map:
    """Potential ``theta_E theta`` of `deflection_sis`, arcsec^2."""
    from caustics import func

    _, x, y = off_centre(theta_x, theta_y)
    return func.potential_sis(0.0, 0.0, theta_E, x, y)


def convergence_sis(theta_x: Map, theta_y: Map, theta_E: PerLens) -> Map:
    """Convergence ``theta_E / (2 theta)`` of `deflection_sis`."""
    from caustics import func

    _, x, y = off_centre(theta_x, theta_y)
    return func.convergence_sis(0.0, 0.0, theta_E, x, y)


def deflection_sie(
    theta_x: Map, theta_y: Map, theta_E: PerLens, e1: PerLens, e2: PerLens
) -> tuple[Map, Map]:
    """Deflection of a singular isothermal ellipsoid.

    Its convergence is ``theta_E / (2 sqrt(q x^2 + y^2 / q))`` with x along the major axis, so that
    the critical curve encloses an area of pi theta_E^2 for any axis ratio.

    Parameters
    ----------
    theta_x, theta_y : (*batch, y, x), arcsec
        Position relative to the lens.
    theta_E : (*batch, 1, 1), arcsec
        Einstein radius.
    e1, e2 : (*batch, 1, 1)
        Ellipticity, ``(1 - q) / (1 + q)`` times ``cos 2 phi`` and ``sin 2 phi``.

    Returns
    -------
    alpha_x, alpha_y : (*batch, y, x), arcsec
        0 at the centre.

    Notes
    -----
    In float32 the gradient in e1 and e2 loses relative accuracy as 1e-8 / e for small e.

    References
    ----------
    Keeton (2001), arXiv:astro-ph/0102341, eqs. 34 and 35, where ``b = theta_E sqrt(q)``.
    """
    return deflection_sie_with(theta_x, theta_y, sie_constants(theta_E, e1, e2))


class SIEConstants(NamedTuple):
    """Factors of the deflection of an SIE that do not depend on position, each (*batch, 1, 1)."""

    cos_phi: PerLens
    sin_phi: PerLens
    q_squared: PerLens
    f: PerLens
    """Eccentricity ``sqrt(1 - q^2)``."""
    strength: PerLens
    """Strength ``theta_E sqrt(q) / f``, arcsec."""


def sie_constants(theta_E: PerLens, e1: PerLens, e2: PerLens) -> SIEConstants:
    """Return the constants of `deflection_sie_with` from the parameters of `deflection_sie`."""
    q, phi = ellipticity_to_axis_ratio(e1, e2)
    f = torch.sqrt((1 - q) * (1 + q))
    return SIEConstants(torch.cos(phi), torch.sin(phi), q.square(), f, theta_E * torch.sqrt(q) / f)


def deflection_sie_with(theta_x: Map, theta_y: Map, constants: SIEConstants) -> tuple[Map, Map]:
    """Return `deflection_sie` from its constants.

    A compiler that fuses everything into one loop over pixels would compute the constants in each
    pixel; with constants made beforehand the deflection takes 0.4 times as long.
    """
    cos, sin, q_squared, f, strength = constants
    major, minor = cos * theta_x + sin * theta_y, cos * theta_y - sin * theta_x
    squared = q_squared * major.square() + minor.square()
    per_distance = f * torch.rsqrt(squared.clamp(min=CENTRE_RADIUS**2))
    alpha_major = strength * torch.arctan(per_distance * major)
    alpha_minor = strength * torch.arctanh(per_distance * minor)
    return cos * alpha_major - sin * alpha_minor, sin * alpha_major + cos * alpha_minor


def potential_sie(theta_x: Map, theta_y: Map, theta_E: PerLens, e1: PerLens, e2: PerLens) -> Map:
    """Potential ``theta_x alpha_x + theta_y alpha_y`` of `deflection_sie`, arcsec^2."""
    from caustics import func

    _, x, y = off_centre(theta_x, theta_y)
    q, phi = ellipticity_to_axis_ratio(e1, e2)
    return func.potential_sie(0.0, 0.0, q, phi, theta_E, x, y)


def convergence_sie(theta_x: Map, theta_y: Map, theta_E: PerLens, e1: PerLens, e2: PerLens) -> Map:
    """Convergence of `deflection_sie`."""
    from caustics import func

    _, x, y = off_centre(theta_x, theta_y)
    q, phi = ellipticity_to_axis_ratio(e1, e2)
    return func.convergence_sie(0.0, 0.0, q, phi, theta_E, x, y)
