"""Elliptical power law."""

import math
from typing import NamedTuple

import torch
from torch import Tensor

from lenspinn.lensing.grid import Map, PerLens
from lenspinn.lensing.profiles.centre import CENTRE_RADIUS
from lenspinn.lensing.profiles.ellipticity import ellipticity_to_axis_ratio

SERIES_TERMS = 30
"""Most terms of the series: the relative error is 1e-12 for an ellipticity of 0.4, 3e-5 for 0.7."""

COMPILED_TERMS = 20
"""Terms of the series in a compiled function: relative error 1e-6 for an ellipticity of 0.5."""


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
        Number of terms of the series; the relative error is e^terms for an ellipticity e.

    Returns
    -------
    alpha_x, alpha_y : (*batch, y, x), arcsec
        0 at the centre.

    Notes
    -----
    With complex ``Z = x + i y``, ``E = e1 + i e2`` and ``W = Z - E Z*`` the deflection is
    ``(theta_E sqrt(1 - |E|^2) / |W|)^t W (1 + c_1 r (1 + c_2 r (...)))``, where ``r = -E* W / W*``
    and ``c_n = (2 n - 2 + t) / (2 n + 2 - t)``. No angle of the lens is needed, which is undefined
    for a round one.

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


Vector = tuple[Tensor, Tensor]
"""Complex number ``x + i y`` at each position, as two tensors, which compilers support better."""


class EPLDerivatives(NamedTuple):
    """Deflection of an elliptical power law and its derivatives, arcsec."""

    alpha: Vector
    by_gamma: Vector | None
    by_e1: Vector
    by_e2: Vector
    kappa: Tensor
    """Convergence: the deflection changes by ``kappa dZ + shear dZ*`` from place to place."""
    shear: Vector


def epl_derivatives(
    theta_x: Map,
    theta_y: Map,
    theta_E: PerLens,
    gamma: PerLens | float,
    e1: PerLens,
    e2: PerLens,
    *,
    by_gamma: bool = True,
) -> EPLDerivatives:
    """Deflection of `deflection_epl` with its derivatives, written out by hand.

    Parameters
    ----------
    theta_x, theta_y, theta_E, gamma, e1, e2
        Parameters of `deflection_epl`; `gamma` may be a number, as are then the coefficients of
        the series.
    by_gamma
        Whether the derivative by the slope, a tensor then, is wanted.

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
    u = theta_x - (e1 * theta_x + e2 * theta_y)
    v = theta_y - (e2 * theta_x - e1 * theta_y)
    squared = u.square() + v.square()
    inverse = 1 / squared.clamp(min=CENTRE_RADIUS**2)
    ratio = (u.square() - v.square()) * inverse, 2 * u * v * inverse  # W / W*
    tilt_x, tilt_y = (theta_x * u - theta_y * v) * inverse, -(theta_x * v + theta_y * u) * inverse
    r = _times((-e1, e2), ratio)
    f, tail, f_by_t = _series(r, t, _terms(square), by_gamma)
    log_radii = torch.log(theta_E.square() * (1 - square) * inverse)
    scale = torch.where(squared < CENTRE_RADIUS**2, 0.0, torch.exp(t / 2 * log_radii))
    scaled = scale * u, scale * v
    alpha = _times(scaled, f)
    first = (1 - t / 2) * t / (4 - t)
    rest_x, rest_y = 1 - r[0], -r[1]
    least = 1 / (rest_x.square() + rest_y.square())
    f_by_r = t / 2 * f[0] - first * tail[0], t / 2 * f[1] - first * tail[1]
    turned = _times(_times(scaled, ratio), _times(f_by_r, (rest_x * least, -rest_y * least)))
    along, across = t * (tilt_x - e1 / (1 - square)), -t * (tilt_y + e2 / (1 - square))
    # 2 i E* Im v - 1 and i (1 + 2 E* Re v), with v = Z* / W.
    by_e1 = _sum(
        _times(alpha, (along - tilt_x, -tilt_y)),
        _times(turned, (2 * e2 * tilt_y - 1, 2 * e1 * tilt_y)),
    )
    by_e2 = _sum(
        _times(alpha, (across + tilt_y, -tilt_x)),
        _times(turned, (2 * e2 * tilt_x, 1 + 2 * e1 * tilt_x)),
    )
    slope = None
    if f_by_t is not None:
        half = log_radii / 2
        slope = _sum((alpha[0] * half, alpha[1] * half), _times(scaled, f_by_t))
    kappa = (1 - t / 2) * scale
    outwards = 1 / (theta_x.square() + theta_y.square()).clamp(min=CENTRE_RADIUS**2)
    difference = (1 - t) * alpha[0] - kappa * theta_x, (1 - t) * alpha[1] - kappa * theta_y
    shear = _times((theta_x * outwards, theta_y * outwards), difference)
    return EPLDerivatives(alpha, slope, by_e1, by_e2, kappa, shear)


def _times(first: Vector, second: Vector) -> Vector:
    (a, b), (c, d) = first, second
    return a * c - b * d, a * d + b * c


def _sum(first: Vector, second: Vector) -> Vector:
    return first[0] + second[0], first[1] + second[1]


def _terms(square: PerLens) -> int:
    """Return the number of terms that the most elliptical lens needs, from ellipticity squared."""
    if torch.compiler.is_compiling():
        return COMPILED_TERMS
    most = float(square.max())
    if not 0 < most < 1:  # also NaN, of a fit that has failed
        return SERIES_TERMS if most else 1
    needed = math.ceil(2 * math.log(torch.finfo(square.dtype).eps) / math.log(most))
    return min(max(needed, 1), SERIES_TERMS)


def _series(
    r: Vector, t: PerLens | float, terms: int, by_gamma: bool
) -> tuple[Vector, Vector, Vector | None]:
    """Return F, ``(F - 1) / (c_1 r)``, and the derivative of F by t."""
    one, none = torch.ones_like(r[0]), torch.zeros_like(r[0])
    f, tail, slope = (one, none), (none, none), ((none, none) if by_gamma else None)
    for n in range(terms, 0, -1):
        c = (2 * n - 2 + t) / (2 * n + 2 - t)
        tail = f
        if slope is not None:
            by_t = 4 * n / (2 * n + 2 - t) ** 2
            slope = _times(r, (c * slope[0] + by_t * f[0], c * slope[1] + by_t * f[1]))
        x, y = _times(r, tail)
        f = 1 + c * x, c * y
    return f, tail, slope


def potential_epl(
    theta_x: Map, theta_y: Map, theta_E: PerLens, gamma: PerLens, e1: PerLens, e2: PerLens
) -> Map:
    """Potential ``(theta_x alpha_x + theta_y alpha_y) / (3 - gamma)`` of `deflection_epl`.

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
