"""Distances, critical surface density, and conversion between mass and Einstein radius.

Distances are in Mpc and masses in M_sun. Angular-diameter distances are the ones that bend light;
`deeplense_distances` keeps the fault of the DeepLense simulator, so that its images can be made
again, and nothing else should call it.
"""

from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from astropy import constants, units
from astropy.cosmology import FlatLambdaCDM
from numpy.typing import NDArray

Numbers = TypeVar("Numbers", float, NDArray[np.float64])

_G_OVER_C2 = float((constants.G / constants.c**2).to_value(units.Mpc / units.M_sun))
_ARCSEC_PER_RAD = float(units.rad.to(units.arcsec))


@dataclass(frozen=True)
class Distances:
    """Distances of one lens and one source, Mpc."""

    D_l: float
    """Distance from the observer to the lens, Mpc."""
    D_s: float
    """Distance from the observer to the source, Mpc."""
    D_ls: float
    """Distance from the lens to the source, Mpc; in general not ``D_s - D_l``."""


def angular_diameter_distances(
    z_lens: float, z_source: float, *, H0: float = 70.0, Om0: float = 0.3
) -> Distances:
    """Angular-diameter distances in a flat Lambda-CDM cosmology.

    Parameters
    ----------
    z_lens, z_source
        Redshifts, ``0 < z_lens < z_source``.
    H0
        Hubble constant, km/s/Mpc.
    Om0
        Matter density today, in units of the critical density. No radiation.

    Raises
    ------
    ValueError
        If the source is not behind the lens, or the lens not behind the observer.
    """
    _check_redshifts(z_lens, z_source)
    cosmology = FlatLambdaCDM(H0=H0, Om0=Om0)
    return Distances(
        D_l=cosmology.angular_diameter_distance(z_lens).to_value(units.Mpc).item(),
        D_s=cosmology.angular_diameter_distance(z_source).to_value(units.Mpc).item(),
        D_ls=_distance_between(cosmology, z_lens, z_source),
    )


def deeplense_distances(
    z_lens: float, z_source: float, *, H0: float = 70.0, Om0: float = 0.3
) -> Distances:
    """Distances as the DeepLense simulator takes them, which are wrong.

    The simulator takes luminosity distances, and ``D_ls = D_s - D_l``. For a lens at redshift 0.5
    and a source at 1.0 the Einstein radius is then 0.770 times the right one. See
    `angular_diameter_distances` for the parameters, the errors and the right answer.

    References
    ----------
    github.com/mwt5345/DeepLenseSim, ``deeplense/lens.py``, ``mass_to_radius``.
    """
    _check_redshifts(z_lens, z_source)
    cosmology = FlatLambdaCDM(H0=H0, Om0=Om0)
    D_l = cosmology.luminosity_distance(z_lens).to_value(units.Mpc).item()
    D_s = cosmology.luminosity_distance(z_source).to_value(units.Mpc).item()
    return Distances(D_l=D_l, D_s=D_s, D_ls=D_s - D_l)


def sigma_critical(distances: Distances) -> float:
    """Critical surface density ``c^2 D_s / (4 pi G D_l D_ls)``, M_sun / Mpc^2.

    References
    ----------
    Narayan & Bartelmann (1996), Lectures on Gravitational Lensing, arXiv:astro-ph/9606001.
    """
    return distances.D_s / (4 * np.pi * _G_OVER_C2 * distances.D_l * distances.D_ls)


def theta_E_point_mass(mass: Numbers, distances: Distances) -> Numbers:
    """Einstein radius of a point mass, arcsec.

    Parameters
    ----------
    mass
        Mass, M_sun, not negative: a number or an array.
    distances
        See `angular_diameter_distances`.

    Raises
    ------
    ValueError
        If a mass is negative.

    References
    ----------
    Meneghetti, Introduction to Gravitational Lensing, eq. 1.39.
    """
    if np.any(np.less(mass, 0)):
        raise ValueError(f"mass must not be negative, got {np.min(mass)} M_sun")
    per_mass = 4 * _G_OVER_C2 * distances.D_ls / (distances.D_l * distances.D_s)
    return np.sqrt(mass * per_mass) * _ARCSEC_PER_RAD


def mass_from_theta_E(theta_E: Numbers, distances: Distances) -> Numbers:
    """Mass inside the Einstein radius, M_sun: the inverse of `theta_E_point_mass`.

    For any axisymmetric lens, and closely for an elliptical one, this is the projected mass inside
    `theta_E` (arcsec).
    """
    per_mass = 4 * _G_OVER_C2 * distances.D_ls / (distances.D_l * distances.D_s)
    return (theta_E / _ARCSEC_PER_RAD) ** 2 / per_mass


def deflection_scaling(
    z_lens: float,
    z_source: float,
    z_source_convention: float,
    *,
    H0: float = 70.0,
    Om0: float = 0.3,
) -> float:
    """Factor on deflections stated for one source redshift that act on a source at another.

    lenstronomy applies this factor to every deflection when its ``z_source_convention`` differs
    from ``z_source``. DeepLense Models II and III state deflections for 2.5 and put the source at
    1.0: with the lens at 0.5 each of their deflections acts 0.63 times as strongly as they say. (To
    four digits 0.6337 here, 0.6335 for Om0 = 0.309, and 0.6343 for the Om0 = 0.2814 of pyHalo,
    which the published images seem to have been made with.)

    Raises
    ------
    ValueError
        If either source is not behind the lens.
    """
    source = angular_diameter_distances(z_lens, z_source, H0=H0, Om0=Om0)
    convention = angular_diameter_distances(z_lens, z_source_convention, H0=H0, Om0=Om0)
    return (source.D_ls / source.D_s) / (convention.D_ls / convention.D_s)


def _distance_between(cosmology: FlatLambdaCDM, z_lens: float, z_source: float) -> float:
    """D_ls in a flat universe, where comoving distances subtract.

    astropy's own method for two redshifts changed its name between the versions we support.
    """
    comoving = cosmology.comoving_distance(z_source) - cosmology.comoving_distance(z_lens)
    return float(comoving.to_value(units.Mpc) / (1 + z_source))


def _check_redshifts(z_lens: float, z_source: float) -> None:
    if not 0 < z_lens < z_source:
        raise ValueError(
            f"the source must lie behind the lens: need 0 < z_lens < z_source, "
            f"got z_lens={z_lens}, z_source={z_source}"
        )
