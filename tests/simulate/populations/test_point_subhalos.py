import dataclasses

import numpy as np
import pytest

from lenspinn.errors import ConfigError
from lenspinn.simulate.distributions import Normal
from lenspinn.simulate.populations import POPULATIONS

from .conftest import drawn


def test_subhalo_numbers_are_poisson_about_25():
    numbers = drawn("cdm").truth["num_subhalos"]
    # 400 draws: the mean scatters by 0.25, the variance by 1.8.
    assert numbers.mean() == pytest.approx(25, abs=1)
    assert numbers.var() == pytest.approx(25, abs=7)


def test_the_faulty_number_is_always_25():
    assert set(drawn("cdm", faults={"fixed_subhalo_count": True}).truth["num_subhalos"]) == {25}


def test_places_are_used_from_the_first_on():
    substructure = drawn("cdm")
    used = substructure.points.mass > 0
    np.testing.assert_array_equal(used.sum(axis=1), substructure.truth["num_subhalos"])
    assert (np.diff(used.astype(int), axis=1) <= 0).all()
    assert not substructure.points.x[~used].any()


def test_subhalos_lie_a_quarter_to_two_arcsec_from_the_lens_centre():
    points = drawn("cdm").points
    radius = np.hypot(points.x - 0.2, points.y + 0.1)[points.mass > 0]
    assert radius.min() >= 0.25
    assert radius.max() <= 2.0
    # 10,000 radii, uniform: the mean scatters by 0.005.
    assert radius.mean() == pytest.approx(1.125, abs=0.025)


@pytest.mark.parametrize(("shallow", "share"), [(False, 0.1257), (True, 0.7500)])
def test_subhalo_masses_fall_with_their_power(shallow, share):
    mass = drawn("cdm", faults={"shallow_mass_function": shallow}).points.mass
    mass = mass[mass > 0]
    assert mass.min() >= 1e6
    assert mass.max() <= 1e10
    low, middle, high = (value ** (0.1 if shallow else -0.9) for value in (1e6, 1e7, 1e10))
    expected = (middle - high) / (low - high)
    assert expected == pytest.approx(share, abs=0.15 * share)
    assert (mass > 1e7).mean() == pytest.approx(expected, abs=0.022)  # five times the scatter


@pytest.mark.parametrize("change", [{"mean_number": -1.0}, {"mass": Normal(1e8, 1e7)}])
def test_an_impossible_population_is_refused(change):
    with pytest.raises(ConfigError, match=next(iter(change))):
        dataclasses.replace(POPULATIONS["cdm"], **change)
