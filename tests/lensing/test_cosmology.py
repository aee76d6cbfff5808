import numpy as np
import pytest
from astropy.cosmology import FlatLambdaCDM
from hypothesis import given, settings
from hypothesis import strategies as st
from lenstronomy.Cosmo.lens_cosmo import LensCosmo

from lenspinn.lensing import (
    angular_diameter_distances,
    deeplense_distances,
    deflection_scaling,
    mass_from_theta_E,
    sigma_critical,
    theta_E_point_mass,
)

PRINTED_DIGITS = 5e-4  # Golden values are printed to three decimals.
CONSTANTS = 3e-4  # lenstronomy's G times its solar mass is 2.8e-4 larger than measured.
ROUNDING = 1e-12


def test_einstein_radius_of_a_galaxy_is_1_665_arcsec():
    distances = angular_diameter_distances(0.5, 1.0)
    assert theta_E_point_mass(1e12, distances) == pytest.approx(1.665, abs=PRINTED_DIGITS)


def test_deeplense_distances_make_it_1_281_arcsec():
    distances = deeplense_distances(0.5, 1.0)
    assert theta_E_point_mass(1e12, distances) == pytest.approx(1.2815, abs=PRINTED_DIGITS)


def test_lens_to_source_distance_is_not_the_difference_of_distances():
    distances = angular_diameter_distances(0.5, 1.0)
    assert distances.D_ls > 1.5 * (distances.D_s - distances.D_l)


@settings(deadline=None, derandomize=True, max_examples=25)
@given(z_lens=st.floats(0.05, 2.0), behind=st.floats(0.05, 4.0))
def test_distances_agree_with_lenstronomy(z_lens, behind):
    reference = LensCosmo(z_lens, z_lens + behind, cosmo=FlatLambdaCDM(H0=70, Om0=0.3))
    ours = angular_diameter_distances(z_lens, z_lens + behind)
    assert ours.D_l == pytest.approx(reference.dd, rel=ROUNDING)
    assert ours.D_s == pytest.approx(reference.ds, rel=ROUNDING)
    # Quadrature over redshift: lenstronomy integrates between the two, we subtract.
    assert ours.D_ls == pytest.approx(reference.dds, rel=1e-9)
    assert sigma_critical(ours) == pytest.approx(reference.sigma_crit, rel=CONSTANTS)


@settings(deadline=None, derandomize=True)
@given(mass=st.floats(1e4, 1e15), z_lens=st.floats(0.05, 1.0), behind=st.floats(0.05, 2.0))
def test_mass_of_an_einstein_radius_is_the_mass_that_made_it(mass, z_lens, behind):
    distances = angular_diameter_distances(z_lens, z_lens + behind)
    theta_E = theta_E_point_mass(mass, distances)
    assert mass_from_theta_E(theta_E, distances) == pytest.approx(mass, rel=ROUNDING)


def test_mean_surface_density_inside_the_einstein_radius_is_critical():
    distances = angular_diameter_distances(0.5, 1.0)
    radius_mpc = np.deg2rad(1.3 / 3600) * distances.D_l
    density = mass_from_theta_E(1.3, distances) / (np.pi * radius_mpc**2)
    assert density == pytest.approx(sigma_critical(distances), rel=ROUNDING)


def test_einstein_radius_takes_arrays_of_masses():
    distances = angular_diameter_distances(0.5, 1.0)
    masses = np.array([0.0, 1e8, 1e12])
    expected = [theta_E_point_mass(mass, distances) for mass in masses]
    np.testing.assert_array_equal(theta_E_point_mass(masses, distances), expected)


def test_negative_mass_is_refused():
    with pytest.raises(ValueError, match=r"-1\.0"):
        theta_E_point_mass(np.array([1.0, -1.0]), angular_diameter_distances(0.5, 1.0))


@pytest.mark.parametrize("distances", [angular_diameter_distances, deeplense_distances])
@pytest.mark.parametrize(("z_lens", "z_source"), [(1.0, 0.5), (0.5, 0.5), (0.0, 1.0), (-0.1, 1.0)])
def test_source_in_front_of_the_lens_is_refused(distances, z_lens, z_source):
    with pytest.raises(ValueError, match="behind the lens"):
        distances(z_lens, z_source)


def test_deflections_stated_for_a_farther_source_are_weaker():
    assert deflection_scaling(0.5, 1.0, 2.5) == pytest.approx(0.6337, abs=PRINTED_DIGITS)


def test_deflection_scaling_is_that_of_the_deeplense_simulator():
    # The number in every truth file of shared/data/deeplensesim, made in a universe of Om0 = 0.309.
    scaling = deflection_scaling(0.5, 1.0, 2.5, Om0=0.309)
    assert scaling == pytest.approx(0.6334579710123897, rel=1e-9)


def test_deflections_stated_for_their_own_source_are_not_scaled():
    assert deflection_scaling(0.3, 1.2, 1.2) == 1.0
