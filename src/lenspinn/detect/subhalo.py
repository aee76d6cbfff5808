"""One dark clump: its deflection and its projected mass, in three profiles.

Masses are squared Einstein radii, arcsec^2, which is mass in units of ``pi`` times the critical
surface density times a square arcsec. `SolarMasses` converts them.
"""

import math
from dataclasses import dataclass
from typing import Literal, get_args

import torch
from jaxtyping import Float
from torch import Tensor

from lenspinn.errors import ConfigError
from lenspinn.lensing.cosmology import angular_diameter_distances, mass_from_theta_E
from lenspinn.lensing.profiles import deflection_point_mass, deflection_sis, deflection_tnfw

__all__ = ["PROFILES", "Profile", "SolarMasses", "Subhalo", "deflection_subhalo", "enclosed_mass"]

Profile = Literal["point", "sis", "tnfw"]
PROFILES = get_args(Profile)

TRUNCATION = 5.0
"""Truncation radius of a truncated NFW clump, in units of its scale radius; images do not constrain
it."""
_CENTRE = 1e-4
"""Least radius at which a deflection is computed, arcsec."""

Number = Float[Tensor, "*batch"] | float


@dataclass(frozen=True, kw_only=True)
class Subhalo:
    """One clump, or one for each of many maps: numbers are then (batch, 1, 1)."""

    profile: Profile
    x: Number
    y: Number
    """Position along y, as `x` in arcsec from the middle of the frame."""
    mass: Number
    """Squared Einstein radius, arcsec^2: of the point mass, of the isothermal sphere, or of all of
    the truncated NFW clump."""
    scale_radius: Number = 0.0
    """Scale radius of the truncated NFW clump, arcsec."""


@dataclass(frozen=True)
class SolarMasses:
    """Conversion of squared Einstein radii to solar masses."""

    z_lens: float
    z_source: float

    def __post_init__(self) -> None:
        """Check that the source is behind the lens.

        Raises
        ------
        ConfigError
            If the source is not behind the lens.
        """
        if not 0 < self.z_lens < self.z_source:
            raise ConfigError(
                f"z_lens is {self.z_lens} and z_source {self.z_source}; give 0 < z_lens < z_source"
            )

    @property
    def per_square_arcsec(self) -> float:
        """Mass of a squared Einstein radius of 1 arcsec^2, M_sun."""
        distances = angular_diameter_distances(self.z_lens, self.z_source)
        return float(mass_from_theta_E(1.0, distances))

    @property
    def arcsec_per_kpc(self) -> float:
        """Angle of 1 kpc at the redshift of the lens, arcsec."""
        distances = angular_diameter_distances(self.z_lens, self.z_source)
        return math.degrees(1e-3 / distances.D_l) * 3600


def deflection_subhalo(subhalo: Subhalo, theta_x: Tensor, theta_y: Tensor) -> tuple[Tensor, Tensor]:
    """Deflection of one clump at positions from the middle of the frame, all in arcsec."""
    x, y = theta_x - subhalo.x, theta_y - subhalo.y
    mass = _as_map(subhalo.mass, theta_x)
    if subhalo.profile == "point":
        return deflection_point_mass(x, y, mass.sqrt())
    if subhalo.profile == "sis":
        return deflection_sis(x, y, mass.sqrt())
    scale = _as_map(subhalo.scale_radius, theta_x)
    alpha_Rs = mass * (1 - math.log(2)) / (scale * _truncated_share())
    return deflection_tnfw(x, y, alpha_Rs, scale, TRUNCATION * scale)


def enclosed_mass(subhalo: Subhalo, radius: float) -> float:
    """Return the projected mass of a clump within a radius in arcsec, as arcsec^2."""
    plain = Subhalo(
        profile=subhalo.profile,
        x=0.0,
        y=0.0,
        mass=float(subhalo.mass),
        scale_radius=float(subhalo.scale_radius),
    )
    at = torch.tensor([[max(radius, _CENTRE)]], dtype=torch.float64)
    alpha_x, _ = deflection_subhalo(plain, at, torch.zeros_like(at))
    return float(alpha_x * at)


def _as_map(number: Number, like: Tensor) -> Tensor:
    """Return a number as a tensor that broadcasts over maps."""
    values = torch.as_tensor(number, dtype=like.dtype)
    return values.reshape(1, 1) if values.dim() == 0 else values


def _truncated_share() -> float:
    """Return the total mass of the truncated clump, in units of ``4 pi rho_0 Rs^3``.

    References
    ----------
    Baltz, Marshall & Oguri (2009), arXiv:0705.0682, eq. A.4.
    """
    squared = TRUNCATION**2
    inside = (squared - 1) * math.log(TRUNCATION) + math.pi * TRUNCATION - (squared + 1)
    return squared / (squared + 1) ** 2 * inside
