"""Truncated NFW halo (TNFW)."""

import math

import torch
from torch import Tensor

from lenspinn.lensing.grid import Map, PerLens

_SERIES_RADIUS = 0.05
"""Largest abs(u) at which the series in u is used: 12 terms have an error of 0.05^12 = 2e-16."""

_NFW_INNER = 0.5
"""Radius, in units of Rs, within which the expansion about the centre is more accurate."""

_TNFW_CORE = 1e-3
"""Radius, in units of Rs, within which the mean convergence is constant, as in lenstronomy."""


def deflection_tnfw(
    theta_x: Map, theta_y: Map, alpha_Rs: PerLens, Rs: PerLens, r_trunc: PerLens
) -> tuple[Map, Map]:
    """Deflection of a smoothly truncated NFW halo, ``rho = NFW * r_trunc^2 / (r^2 + r_trunc^2)``.

    Parameters
    ----------
    theta_x, theta_y : (*batch, y, x), arcsec
        Position relative to the halo.
    alpha_Rs : (*batch, 1, 1), arcsec
        Deflection that the halo would have at Rs if it were not truncated.
    Rs : (*batch, 1, 1), arcsec
        Scale radius.
    r_trunc : (*batch, 1, 1), arcsec
        Truncation radius.

    Returns
    -------
    alpha_x, alpha_y : (*batch, y, x), arcsec

    Notes
    -----
    caustics has this profile too, but expands it only to second order within 1 % of Rs, where its
    convergence is then wrong by up to 1e-4, and loses all digits of float32 near the centre; so the
    formulas are written out here. In float32 the relative error is below 1e-5 everywhere.

    References
    ----------
    Baltz, Marshall & Oguri (2009), arXiv:0705.0682, eqs. A.5, A.6, A.11 and A.18.
    """
    x, tau = _tnfw_scaled(theta_x, theta_y, Rs, r_trunc)
    per_distance = _tnfw_strength(alpha_Rs, Rs) * 2 * _tnfw_mass(x, tau) / (x * Rs).square()
    return per_distance * theta_x, per_distance * theta_y


def potential_tnfw(
    theta_x: Map, theta_y: Map, alpha_Rs: PerLens, Rs: PerLens, r_trunc: PerLens
) -> Map:
    """Potential of `deflection_tnfw`, arcsec^2, 0 at the centre but for the core.

    References
    ----------
    Baltz, Marshall & Oguri (2009), arXiv:0705.0682, eq. A.14.
    """
    x, tau = _tnfw_scaled(theta_x, theta_y, Rs, r_trunc)
    t2, u = tau.square(), x.square()
    root, F, L = torch.sqrt(t2 + u), _nfw_arc(x), _tnfw_log(x, tau)
    log_tau, log_2tau = torch.log(tau), torch.log(2 * tau)
    constant = (
        (t2 - 1) * log_tau * torch.log(4 * tau)
        + 2 * torch.log(tau / 2)
        - 2 * tau * (tau - math.pi) * log_2tau
    )
    h = (
        2 * math.pi * (tau - root + tau * torch.log(tau + root))
        + 2 * (t2 - 1) / tau * root * L
        + (t2 - 1) * L.square()
        + 4 * (u - 1) * F
        + (t2 - 1) * (u - 1) * F.square()
        + ((t2 - 1) * log_tau - t2 - 1) * torch.log(u)
        - constant
    )
    return _tnfw_strength(alpha_Rs, Rs) * t2 / (t2 + 1).square() * h


def convergence_tnfw(
    theta_x: Map, theta_y: Map, alpha_Rs: PerLens, Rs: PerLens, r_trunc: PerLens
) -> Map:
    """Convergence of `deflection_tnfw`.

    References
    ----------
    Baltz, Marshall & Oguri (2009), arXiv:0705.0682, eq. A.8.
    """
    x, tau = _tnfw_scaled(theta_x, theta_y, Rs, r_trunc)
    t2 = tau.square()
    root = torch.sqrt(t2 + x.square())
    shape = (
        (t2 + 1) * _nfw_remainder(x)
        + 2 * _nfw_arc(x)
        - math.pi / root
        + (t2 - 1) / (tau * root) * _tnfw_log(x, tau)
    )
    return _tnfw_strength(alpha_Rs, Rs) / Rs.square() * t2 / (t2 + 1).square() * shape


def _tnfw_scaled(x: Tensor, y: Tensor, Rs: Tensor, r_trunc: Tensor) -> tuple[Tensor, Tensor]:
    """Return radius (not below the core) and truncation radius in units of Rs."""
    squared = (x.square() + y.square()) / Rs.square()
    return torch.sqrt(squared.clamp(min=_TNFW_CORE**2)), r_trunc / Rs


def _tnfw_strength(alpha_Rs: Tensor, Rs: Tensor) -> Tensor:
    """``2 rho_0 Rs^3`` over the critical surface density, arcsec^2, from the deflection at Rs."""
    return alpha_Rs * Rs / (2 * (1 - math.log(2)))


def _tnfw_log(x: Tensor, tau: Tensor) -> Tensor:
    return torch.log(x / (tau + torch.sqrt(tau.square() + x.square())))


def _tnfw_mass(x: Tensor, tau: Tensor) -> Tensor:
    """Projected mass inside x, in units of ``4 pi rho_0 Rs^3``."""
    t2, x2 = tau.square(), x.square()
    span = tau + torch.sqrt(t2 + x2)
    # The published terms cancel to order x^2 at the centre; here they are cancelled by hand.
    logarithms = (
        _nfw_inner(x) - torch.log1p(x2 / (2 * tau * span)) + x2 / (tau * span) * torch.log(x / span)
    )
    shape = (t2 - 1) * logarithms + 2 * x2 * _nfw_arc(x) - math.pi * x2 / span
    return t2 / (t2 + 1).square() * shape


def _nfw_arc(x: Tensor) -> Tensor:
    """``arccos(1/x) / sqrt(x^2 - 1)``, which continues as ``arccosh(1/x) / sqrt(1 - x^2)``.

    With u = x^2 - 1 it is ``arctan(sqrt u) / sqrt u``, which is analytic through u = 0.
    """
    u = x.square() - 1
    near = u.abs() < _SERIES_RADIUS
    outer = torch.sqrt(torch.where(near | (u < 0), 1.0, u))
    inner = torch.sqrt(torch.where(near | (u > 0), 0.5, -u))
    direct = torch.where(u > 0, torch.arctan(outer) / outer, torch.log((1 + inner) / x) / inner)
    return torch.where(near, 1 - u * _arctan_series(u), direct)


def _nfw_inner(x: Tensor) -> Tensor:
    """``F(x) + ln(x / 2)``, which goes to 0 as x^2 at the centre, without the cancellation."""
    inside = x < _NFW_INNER
    x_in = torch.where(inside, x, _NFW_INNER)
    s = torch.sqrt(1 - x_in.square())
    one_minus_s = x_in.square() / (1 + s)
    stable = (one_minus_s * torch.log(2 / x_in) + torch.log1p(-one_minus_s / 2)) / s
    return torch.where(inside, stable, _nfw_arc(x) + torch.log(x / 2))


def _nfw_remainder(x: Tensor) -> Tensor:
    """``(1 - F(x)) / (x^2 - 1)``, which is 1/3 at x = 1."""
    u = x.square() - 1
    near = u.abs() < _SERIES_RADIUS
    direct = (1 - _nfw_arc(x)) / torch.where(near, 1.0, u)
    return torch.where(near, _arctan_series(u), direct)


def _arctan_series(u: Tensor) -> Tensor:
    """``(1 - arctan(sqrt u) / sqrt u) / u = 1/3 - u/5 + u^2/7 - ...`` for small u."""
    u = u.clamp(-_SERIES_RADIUS, _SERIES_RADIUS)
    total = torch.zeros_like(u)
    for k in reversed(range(12)):
        total = 1 / (2 * k + 3) - u * total
    return total
