"""Cold dark matter with subhalos that have a size: truncated NFW halos."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from astropy import constants, units

from lenspinn.simulate.distributions import Distribution, require_positive, require_within
from lenspinn.simulate.plane import LensPlane
from lenspinn.simulate.populations.base import Halos, MainLens, Substructure, check_mean_number

OVERDENSITY = 200.0
"""Mean density of a halo of mass M200 inside its radius, in units of the critical density."""
CONCENTRATION = (5.71, -0.084, -0.47)
"""Amplitude, slope in mass and slope in 1 + z of the concentration of halos of mass M200: Duffy et
al. (2008), Table 1, full sample."""
PIVOT_MASS = 2e12
"""Pivot mass of the concentration, solar masses over h."""
CONCENTRATION_SCATTER = 0.15
"""Standard deviation of log10 of the concentration in the sample of Duffy et al. (2008)."""

_G = constants.G.to_value(units.km**2 / units.s**2 * units.kpc / units.M_sun)


@dataclass(frozen=True, kw_only=True)
class TNFWSubhalos:
    """Cold dark matter: truncated NFW subhalos around the lens centre.

    Notes
    -----
    Concentrations follow Duffy et al. (2008), arXiv:0804.2486, eq. 4, which was fitted to halos of
    10^11 solar masses and more and is continued below, with log-normal scatter. Tides are in the
    truncation radius alone: a halo keeps the profile that it had when it was free.
    """

    mean_number: float
    """Mean of the Poisson number of subhalos."""
    mass: Distribution
    """M200 before truncation, solar masses."""
    radius: Distribution
    """Projected distance from the lens centre, arcsec."""
    truncation: Distribution
    """Truncation radius in units of the scale radius."""

    truth_fields: ClassVar[Mapping[str, tuple[int, ...]]] = {"num_subhalos": ()}

    def __post_init__(self) -> None:
        check_mean_number(self.mean_number)
        require_positive(self, "mass", "truncation")
        require_within(self, 1.0, 1e18, "mass")
        require_within(self, -1e3, 1e3, "radius")
        require_within(self, 1e-2, 1e4, "truncation")

    @property
    def capacity(self) -> dict[str, int]:
        """Number of halos ten sigma above the mean: a Poisson draw exceeds it once in 1e15."""
        return {"halos": int(self.mean_number + 10 * self.mean_number**0.5 + 10)}

    def draw(self, rng: np.random.Generator, lens: MainLens) -> Substructure:
        """Draw numbers, masses, radii, directions, concentrations and truncations, in this order.

        The masses in the truth are the total masses of the truncated halos.
        """
        used, mass, x, y = self._draw_places(rng, lens)
        scatter = CONCENTRATION_SCATTER * rng.standard_normal(mass.shape)
        concentration = concentration_200(mass, lens.plane) * 10**scatter
        halos = truncated_halos(
            mass, concentration, self.truncation.draw(rng, mass.shape), x, y, used, lens.plane
        )
        return Substructure(halos=halos, truth={"num_subhalos": used.sum(axis=1).astype(float)})

    def _draw_places(
        self, rng: np.random.Generator, lens: MainLens
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """Draw which places are used, masses and positions, each (B, n)."""
        num = len(lens.center_x)
        number = np.minimum(rng.poisson(self.mean_number, num), self.capacity["halos"])
        places = (num, int(number.max()))
        used = np.arange(places[1]) < number[:, None]
        mass = np.asarray(self.mass.draw(rng, places))
        radius, angle = self.radius.draw(rng, places), 2 * np.pi * rng.random(places)
        x = lens.center_x[:, None] + radius * np.cos(angle)
        return used, mass, x, lens.center_y[:, None] + radius * np.sin(angle)


def concentration_200(mass: np.ndarray, plane: LensPlane) -> np.ndarray:
    """Return the median concentration of halos of mass M200 (solar masses) at the lens."""
    amplitude, of_mass, of_redshift = CONCENTRATION
    in_pivot = mass * (plane.H0 / 100) / PIVOT_MASS
    return np.asarray(amplitude * in_pivot**of_mass * (1 + plane.z_lens) ** of_redshift)


def truncated_halos(
    mass: np.ndarray,
    concentration: np.ndarray,
    tau: np.ndarray,
    x: np.ndarray,
    y: np.ndarray,
    used: np.ndarray,
    plane: LensPlane,
) -> Halos:
    """Turn masses into the deflection of truncated NFW halos.

    Parameters
    ----------
    mass : (B, n), solar masses
        M200 before truncation.
    concentration, tau : (B, n)
        r200 and truncation radius in units of the scale radius.
    x, y : (B, n), arcsec
    used : (B, n), bool
        Places that hold a halo.

    Returns
    -------
    Halos
        The deflection at Rs is ``M200 (1 - ln 2) / (pi Sigma_cr Rs m(c))``, with
        ``m(c) = ln(1 + c) - c / (1 + c)``; `Halos.mass` is the total mass after truncation.

    References
    ----------
    Navarro, Frenk & White (1997); Baltz, Marshall & Oguri (2009), arXiv:0705.0682, eq. A.4.
    """
    r_200 = (3 * mass / (4 * math.pi * OVERDENSITY * critical_density(plane))) ** (1 / 3)
    Rs = r_200 / concentration / plane.kpc_per_arcsec
    inside = np.log1p(concentration) - concentration / (1 + concentration)
    alpha_Rs = mass * (1 - math.log(2)) / (math.pi * plane.sigma_critical * Rs * inside)
    squared = tau**2
    kept = squared / (squared + 1) ** 2
    kept = kept * ((squared - 1) * np.log(tau) + math.pi * tau - (squared + 1))
    return Halos(
        x=np.where(used, x, 0.0),
        y=np.where(used, y, 0.0),
        alpha_Rs=np.where(used, alpha_Rs * plane.scaling, 0.0),
        Rs=np.where(used, Rs, 1.0),
        r_trunc=np.where(used, tau * Rs, 1.0),
        mass=np.where(used, mass * kept / inside, 0.0),
    )


def critical_density(plane: LensPlane) -> float:
    """Return the critical density of the universe at the lens, solar masses per kpc^3."""
    matter = plane.Om0 * (1 + plane.z_lens) ** 3
    H_squared = (plane.H0 / 1e3) ** 2 * (matter + 1 - plane.Om0)  # (km/s/kpc)^2
    return float(3 * H_squared / (8 * math.pi * _G))
