"""The lens plane: scales of masses and deflections, from redshifts and cosmology."""

import math
from dataclasses import dataclass

from lenspinn.errors import ConfigError
from lenspinn.lensing import (
    angular_diameter_distances,
    deeplense_distances,
    deflection_scaling,
    sigma_critical,
    theta_E_point_mass,
)
from lenspinn.simulate.faults import Faults

__all__ = ["LensPlane", "lens_plane"]

_RAD_PER_ARCSEC = math.radians(1 / 3600)


@dataclass(frozen=True, kw_only=True)
class LensPlane:
    """A lens plane and a source plane in a flat Lambda-CDM universe, faults included."""

    z_lens: float
    z_source: float
    H0: float
    """Hubble constant, km/s/Mpc."""
    Om0: float
    theta_E_unit: float
    """Einstein radius of one solar mass before scaling, arcsec."""
    scaling: float
    """Factor on all deflections; 1 without `Faults.z_source_convention`."""
    sigma_critical: float
    """Critical surface density, solar masses per square arcsec."""
    kpc_per_arcsec: float
    """Transverse size of an arcsec at the lens, kpc."""


def lens_plane(
    *, z_lens: float, z_source: float, H0: float, Om0: float, faults: Faults
) -> LensPlane:
    """Return the lens plane of two redshifts and a cosmology.

    Raises
    ------
    ConfigError
        If the source is not behind the lens.
    """
    distances_of = angular_diameter_distances
    if faults.luminosity_distances:
        distances_of = deeplense_distances
    scaling = 1.0
    try:
        distances = distances_of(z_lens, z_source, H0=H0, Om0=Om0)
        if faults.z_source_convention is not None:
            matter = Om0 if faults.convention_Om0 is None else faults.convention_Om0
            scaling = deflection_scaling(
                z_lens, z_source, faults.z_source_convention, H0=H0, Om0=matter
            )
    except ValueError as error:
        raise ConfigError(f"geometry: {error}") from None
    theta_E_unit = float(theta_E_point_mass(1.0, distances))
    if faults.rounded_arcsec:
        theta_E_unit *= 206265 / math.degrees(3600)
    mpc_per_arcsec = distances.D_l * _RAD_PER_ARCSEC
    return LensPlane(
        z_lens=z_lens,
        z_source=z_source,
        H0=H0,
        Om0=Om0,
        theta_E_unit=theta_E_unit,
        scaling=scaling,
        sigma_critical=sigma_critical(distances) * mpc_per_arcsec**2,
        kpc_per_arcsec=1e3 * mpc_per_arcsec,
    )
