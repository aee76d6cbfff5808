"""Elliptical power law."""

import torch

from lenspinn.lensing.grid import Map, PerLens
from lenspinn.lensing.profiles.centre import CENTRE_RADIUS
from lenspinn.lensing.profiles.ellipticity import ellipticity_to_axis_ratio

_SERIES_TERMS = 30
"""They leave a relative error of e^30 for an ellipticity e: 1e-12 at 0.4 and 3e-5 at 0.7."""


def deflection_epl(
    theta_x: Map, theta_y: Map, theta_E: PerLens, gamma: PerLens, e1: PerLens, e2: PerLens
) -> tuple[Map, Map]:
    """Deflection of an elliptical power law, lenstronomy's ``EPL``.

    Its convergence is ``(3 - gamma) / 2 * (theta_E / sqrt(q x^2 + y^2 / q))^(gamma - 1)`` with x
    along the major axis; with gamma = 2 it is `deflection_sie`.

    Parameters
    ----------
    theta_x, theta_y : (*batch, y, x), arcsec
        Position relative to the lens.
    theta_E : (*batch, 1, 1), arcsec
        Einstein radius.
    gamma : (*batch, 1, 1)
        Slope of the three-dimensional density, between 1 and 3.
    e1, e2 : (*batch, 1, 1)
        Ellipticity, ``(1 - q) / (1 + q)`` times ``cos 2 phi`` and ``sin 2 phi``.

    Returns
    -------
    alpha_x, alpha_y : (*batch, y, x), arcsec
        0 at the centre.

    Notes
    -----
    The hypergeometric function is summed in real arithmetic to a fixed number of terms; see
    `_SERIES_TERMS` for what that leaves out.

    References
    ----------
    Tessore & Metcalf (2015), arXiv:1507.01819, eqs. 13 and 29, where ``t = gamma - 1`` and
    ``b = theta_E sqrt(q)``.
    """
    q, phi = ellipticity_to_axis_ratio(e1, e2)
    cos, sin, f, t = torch.cos(phi), torch.sin(phi), (1 - q) / (1 + q), gamma - 1
    u, v = q * (cos * theta_x + sin * theta_y), cos * theta_y - sin * theta_x
    squared = (u.square() + v.square()).clamp(min=CENTRE_RADIUS**2)
    cos_2, sin_2 = (u.square() - v.square()) / squared, 2 * u * v / squared
    term_u, term_v = u, v
    sum_u, sum_v = u, v
    for n in range(1, _SERIES_TERMS):
        factor = -f * (2 * n - (2 - t)) / (2 * n + (2 - t))
        term_u, term_v = (
            factor * (cos_2 * term_u - sin_2 * term_v),
            factor * (sin_2 * term_u + cos_2 * term_v),
        )
        sum_u, sum_v = sum_u + term_u, sum_v + term_v
    b_squared = theta_E.square() * q
    per_distance = 2 / (1 + q) * (b_squared / squared) ** (t / 2)
    alpha_u, alpha_v = per_distance * sum_u, per_distance * sum_v
    return cos * alpha_u - sin * alpha_v, sin * alpha_u + cos * alpha_v


def potential_epl(
    theta_x: Map, theta_y: Map, theta_E: PerLens, gamma: PerLens, e1: PerLens, e2: PerLens
) -> Map:
    """Potential ``theta . alpha / (3 - gamma)`` of `deflection_epl`, arcsec^2.

    References
    ----------
    Tessore & Metcalf (2015), arXiv:1507.01819, eq. 15.
    """
    alpha_x, alpha_y = deflection_epl(theta_x, theta_y, theta_E, gamma, e1, e2)
    return (theta_x * alpha_x + theta_y * alpha_y) / (3 - gamma)


def convergence_epl(
    theta_x: Map, theta_y: Map, theta_E: PerLens, gamma: PerLens, e1: PerLens, e2: PerLens
) -> Map:
    """Convergence of `deflection_epl`."""
    q, phi = ellipticity_to_axis_ratio(e1, e2)
    cos, sin = torch.cos(phi), torch.sin(phi)
    u, v = cos * theta_x + sin * theta_y, cos * theta_y - sin * theta_x
    squared = (q * u.square() + v.square() / q).clamp(min=CENTRE_RADIUS**2)
    return (3 - gamma) / 2 * (theta_E.square() / squared) ** ((gamma - 1) / 2)
