import math

import pytest
import torch

from lenspinn.detect.subhalo import (
    PROFILES,
    SolarMasses,
    Subhalo,
    deflection_subhalo,
    enclosed_mass,
)
from lenspinn.errors import ConfigError


@pytest.mark.parametrize("profile", PROFILES)
def test_the_deflection_points_away_from_the_clump(profile):
    subhalo = Subhalo(profile=profile, x=0.3, y=-0.2, mass=0.01, scale_radius=0.1)
    x, y = torch.tensor([[0.8]]), torch.tensor([[-0.2]])
    alpha_x, alpha_y = deflection_subhalo(subhalo, x, y)
    assert alpha_x > 0
    assert abs(alpha_y) < 1e-6


def test_all_of_the_mass_of_a_truncated_clump_is_far_inside():
    subhalo = Subhalo(profile="tnfw", x=0.0, y=0.0, mass=0.02, scale_radius=0.1)
    assert enclosed_mass(subhalo, 1000.0) == pytest.approx(0.02, rel=1e-3)
    assert enclosed_mass(subhalo, 0.1) < 0.5 * 0.02


def test_a_point_mass_has_its_mass_within_any_radius_and_a_sphere_in_proportion():
    point = Subhalo(profile="point", x=0.0, y=0.0, mass=0.02)
    assert enclosed_mass(point, 0.05) == pytest.approx(0.02)
    sphere = Subhalo(profile="sis", x=0.0, y=0.0, mass=0.02)
    assert enclosed_mass(sphere, 0.2) == pytest.approx(2 * enclosed_mass(sphere, 0.1))
    assert enclosed_mass(sphere, math.sqrt(0.02)) == pytest.approx(0.02)


def test_solar_masses_are_those_of_a_point_mass():
    masses = SolarMasses(0.222, 0.609)
    # 4 G M / c^2 D_ls / (D_l D_s) = theta_E^2; distances of a flat universe, H0 70, Om0 0.3
    assert masses.per_square_arcsec == pytest.approx(1.519e11, rel=1e-3)
    assert masses.arcsec_per_kpc == pytest.approx(0.2796, rel=1e-3)


def test_a_source_before_its_lens_is_refused():
    with pytest.raises(ConfigError, match="z_lens < z_source"):
        SolarMasses(0.6, 0.2)
