"""Elliptical power law."""

import math
from typing import NamedTuple

import torch
from jaxtyping import Complex
from torch import Tensor

from lenspinn.lensing.grid import Map, PerLens
from lenspinn.lensing.profiles.centre import CENTRE_RADIUS
from lenspinn.lensing.profiles.ellipticity import ellipticity_to_axis_ratio

SERIES_TERMS = 30
"""They leave a relative error of 1e-12 for an ellipticity of 0.4, and of 3e-5 for 0.7."""


def deflection_epl(
    theta_x: Map,
    theta_y: Map,
    theta_E: PerLens,
    gamma: PerLens,
    e1: PerLens,
    e2: PerLens,
    terms: int = SERIES_TERMS,
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
    terms
        Of the series; they leave a relative error of e^terms for an ellipticity e.

    Returns
    -------
    alpha_x, alpha_y : (*batch, y, x), arcsec
        0 at the centre.

    Notes
    -----
    With complex ``Z = x + i y``, ``E = e1 + i e2`` and ``W = Z - E Z*`` the deflection is
    ``(theta_E sqrt(1 - |E|^2) / |W|)^t W (1 + c_1 r (1 + c_2 r (...)))``, where ``r = -E* W / W*``
    and ``c_n = (2 n - 2 + t) / (2 n + 2 - t)``: no angle, which a round lens has not.

    References
    ----------
    Tessore & Metcalf (2015), arXiv:1507.01819, eqs. 13 and 29, where ``t = gamma - 1`` and
    ``b = theta_E sqrt(q)``.
    """
    t = gamma - 1
    u = theta_x - (e1 * theta_x + e2 * theta_y)
    v = theta_y - (e2 * theta_x - e1 * theta_y)
    inverse = 1 / (u.square() + v.square()).clamp(min=CENTRE_RADIUS**2)
    cos_2, sin_2 = (u.square() - v.square()) * inverse, 2 * u * v * inverse
    r_x, r_y = -(e1 * cos_2 + e2 * sin_2), -(e1 * sin_2 - e2 * cos_2)
    sum_x, sum_y = torch.ones_like(r_x), torch.zeros_like(r_y)
    for n in range(terms - 1, 0, -1):
        c = (2 * n - 2 + t) / (2 * n + 2 - t)
        sum_x, sum_y = 1 + c * (r_x * sum_x - r_y * sum_y), c * (r_x * sum_y + r_y * sum_x)
    # Powers of two, not pow(.., t / 2): faster once it is compiled, no less accurate.
    radii = theta_E.square() * (1 - e1.square() - e2.square()) * inverse
    scale = torch.exp2(t / 2 * torch.log2(radii))
    return scale * (u * sum_x - v * sum_y), scale * (u * sum_y + v * sum_x)


class EPLDerivatives(NamedTuple):
    """Deflection of an elliptical power law and its derivatives, ``x + i y`` at each position."""

    alpha: Complex[Tensor, "*#batch y x"]
    by_gamma: Complex[Tensor, "*#batch y x"] | None
    by_e1: Complex[Tensor, "*#batch y x"]
    by_e2: Complex[Tensor, "*#batch y x"]
    kappa: Map
    """Convergence: the deflection changes by ``kappa dZ + shear dZ*`` from place to place."""
    shear: Complex[Tensor, "*#batch y x"]


def epl_derivatives(
    theta_x: Map,
    theta_y: Map,
    theta_E: PerLens,
    gamma: PerLens,
    e1: PerLens,
    e2: PerLens,
    *,
    by_gamma: bool = True,
) -> EPLDerivatives:
    """Deflection of `deflection_epl` with its derivatives, written out by hand.

    Parameters
    ----------
    theta_x, theta_y, theta_E, gamma, e1, e2
        As of `deflection_epl`.
    by_gamma
        Whether the derivative by the slope is wanted.

    Returns
    -------
    EPLDerivatives
        All 0 at the centre. The derivative by theta_E is ``(gamma - 1) alpha / theta_E``.

    Notes
    -----
    The series, a hypergeometric function F, has as many terms as the precision of the numbers and
    the ellipticity of the most elliptical lens ask for, at most `SERIES_TERMS`. Its derivative by
    its argument follows from F itself, ``r (1 - r) F' = (1 - t/2)(1 - F) + r F t/2``.

    References
    ----------
    Tessore & Metcalf (2015), arXiv:1507.01819, eqs. 11, 16 and 29; DLMF 15.5.20.
    """
    t, square = gamma - 1, e1.square() + e2.square()
    position, ellipticity = torch.complex(theta_x, theta_y), torch.complex(e1, e2)
    w = position - ellipticity * position.conj()
    squared = w.real.square() + w.imag.square()
    inverse = 1 / squared.clamp(min=CENTRE_RADIUS**2)
    ratio = w.square() * inverse
    tilt = (position * w).conj() * inverse
    back = ellipticity.conj()
    f, tail, f_by_gamma = _series(-back * ratio, t, _terms(square), by_gamma)
    log_radii = torch.log(theta_E.square() * (1 - square) * inverse)
    scale = torch.where(squared < CENTRE_RADIUS**2, 0.0, torch.exp(t / 2 * log_radii))
    scaled = scale * w
    alpha = scaled * f
    f_by_r = (t / 2 * f - (1 - t / 2) * t / (4 - t) * tail) / (1 + back * ratio)
    turned = scaled * f_by_r * ratio
    along, across = t * (tilt.real - e1 / (1 - square)), -t * (tilt.imag + e2 / (1 - square))
    by_e1 = alpha * (along - tilt) + turned * (2j * back * tilt.imag - 1)
    by_e2 = alpha * (across - 1j * tilt) + turned * (1j + 2j * back * tilt.real)
    kappa = (1 - t / 2) * scale
    to_centre = position / position.abs().square().clamp(min=CENTRE_RADIUS**2)
    shear = to_centre * ((1 - t) * alpha - position * kappa)
    slope = None if f_by_gamma is None else alpha * (log_radii / 2) + scaled * f_by_gamma
    return EPLDerivatives(alpha, slope, by_e1, by_e2, kappa, shear)


def _terms(square: PerLens) -> int:
    """Return how many terms the most elliptical lens needs, given the square of ellipticity."""
    most = float(square.max())
    if not 0 < most < 1:  # also NaN, of a fit that has failed
        return SERIES_TERMS if most else 1
    needed = math.ceil(2 * math.log(torch.finfo(square.dtype).eps) / math.log(most))
    return min(max(needed, 1), SERIES_TERMS)


def _series(
    r: Tensor, t: PerLens, terms: int, by_gamma: bool
) -> tuple[Tensor, Tensor, Tensor | None]:
    """Return F, ``(F - 1) / (c_1 r)``, and the derivative of F by t."""
    f, tail = torch.ones_like(r), torch.zeros_like(r)
    slope = torch.zeros_like(r) if by_gamma else None
    for n in range(terms, 0, -1):
        c = (2 * n - 2 + t) / (2 * n + 2 - t)
        tail = f
        if slope is not None:
            slope = r * (c * slope + (4 * n / (2 * n + 2 - t).square()) * tail)
        f = 1 + c * (r * tail)
    return f, tail, slope


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
