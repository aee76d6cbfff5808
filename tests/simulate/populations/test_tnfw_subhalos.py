import dataclasses

import numpy as np
import pytest
from astropy.cosmology import FlatLambdaCDM
from lenstronomy.Cosmo.lens_cosmo import LensCosmo
from lenstronomy.LensModel.Profiles.tnfw import TNFW

from lenspinn.errors import ConfigError
from lenspinn.simulate.distributions import Fixed
from lenspinn.simulate.populations import POPULATIONS
from lenspinn.simulate.populations.tnfw_subhalos import (
    concentration_200,
    critical_density,
    truncated_halos,
)

from .conftest import PLANE, drawn

MASS = np.array([[1e7, 1e8, 1e9, 1e10]])
CONCENTRATION = np.array([[15.0, 12.0, 10.0, 8.0]])
TAU = np.array([[2.0, 4.0, 6.0, 10.0]])


def halos(mass=MASS, used=None, plane=PLANE):
    used = np.ones(mass.shape, dtype=bool) if used is None else used
    return truncated_halos(mass, CONCENTRATION, TAU, 0 * mass, 0 * mass, used, plane)


def test_halos_are_those_of_lenstronomy():
    cosmology = LensCosmo(0.5, 1.0, cosmo=FlatLambdaCDM(H0=70, Om0=0.3))
    drawn = halos()
    for n in range(MASS.shape[1]):
        Rs, alpha_Rs = cosmology.nfw_physical2angle(MASS[0, n], CONCENTRATION[0, n])
        # lenstronomy's own constants of nature differ in the fourth digit.
        assert drawn.Rs[0, n] == pytest.approx(Rs, rel=1e-3)
        assert drawn.alpha_Rs[0, n] == pytest.approx(alpha_Rs, rel=2e-3)


def test_the_mass_left_is_that_of_the_profile():
    drawn = halos()
    for n in range(MASS.shape[1]):
        Rs, r_trunc = drawn.Rs[0, n], drawn.r_trunc[0, n]
        far = 2e4 * r_trunc
        alpha, _ = TNFW().derivatives(
            np.array([far]), np.array([0.0]), Rs, drawn.alpha_Rs[0, n], r_trunc
        )
        mass = alpha[0] * np.pi * far * PLANE.sigma_critical
        assert drawn.mass[0, n] == pytest.approx(mass, rel=1e-3)


def test_the_critical_density_is_that_of_astropy():
    expected = FlatLambdaCDM(H0=70, Om0=0.3).critical_density(0.5).to_value("Msun / kpc3")
    assert critical_density(PLANE) == pytest.approx(expected, rel=1e-4)


def test_concentrations_are_those_of_duffy():
    pivot = 2e12 / 0.7
    at_pivot, lighter = concentration_200(np.array([pivot, pivot / 100]), PLANE)
    assert at_pivot == pytest.approx(5.71 * 1.5**-0.47, rel=1e-12)
    assert lighter / at_pivot == pytest.approx(100**0.084, rel=1e-12)


def test_unused_places_deflect_nothing():
    drawn = halos(used=np.array([[True, False, True, False]]))
    assert list(drawn.alpha_Rs[0] > 0) == [True, False, True, False]
    assert list(drawn.mass[0] > 0) == [True, False, True, False]
    assert list(drawn.Rs[0, [1, 3]]) == [1.0, 1.0]


def test_numbers_places_and_masses_are_those_of_point_subhalos():
    substructure = drawn("tnfw_subhalos")
    used = substructure.halos.mass > 0
    np.testing.assert_array_equal(used.sum(axis=1), substructure.truth["num_subhalos"])
    assert used.sum(axis=1).mean() == pytest.approx(25, abs=1)
    radius = np.hypot(substructure.halos.x - 0.2, substructure.halos.y + 0.1)[used]
    assert 0.25 <= radius.min() < radius.max() <= 2.0
    ratio = (substructure.halos.r_trunc / substructure.halos.Rs)[used]
    assert 2.0 <= ratio.min() < ratio.max() <= 10.0


def test_a_scaled_deflection_is_that_of_less_mass():
    scaled = dataclasses.replace(PLANE, scaling=0.5)
    np.testing.assert_allclose(halos(plane=scaled).alpha_Rs, halos().alpha_Rs / 2, rtol=1e-12)


@pytest.mark.parametrize("change", [{"mean_number": -1.0}, {"truncation": Fixed(0.0)}])
def test_an_impossible_population_is_refused(change):
    with pytest.raises(ConfigError, match=next(iter(change))):
        dataclasses.replace(POPULATIONS["tnfw_subhalos"], **change)
