import dataclasses

import numpy as np
import pytest

from lenspinn.errors import ConfigError
from lenspinn.simulate.distributions import Normal
from lenspinn.simulate.faults import Faults
from lenspinn.simulate.populations import POPULATIONS, MainLens, Population

LENS = MainLens(center_x=0.2, center_y=-0.1, theta_E_unit=1.6e-6, faults=Faults())
FAULTY = LENS._replace(faults=Faults(fixed_subhalo_count=True))
DRAWS = 400


def draws(name: str, lens: MainLens = LENS) -> list:
    rng = np.random.default_rng(5)
    return [POPULATIONS[name].draw(rng, lens) for _ in range(DRAWS)]


@pytest.mark.parametrize("name", sorted(POPULATIONS))
def test_a_population_keeps_its_promises(name):
    population = POPULATIONS[name]
    assert isinstance(population, Population)
    for drawn in draws(name)[:20]:
        assert len(drawn.x) == len(drawn.y) == len(drawn.theta_E) == len(drawn.mass)
        assert len(drawn.x) <= population.max_points
        assert drawn.truth.keys() == population.truth_fields.keys()
        for field, shape in population.truth_fields.items():
            assert np.shape(drawn.truth[field]) == shape
        np.testing.assert_allclose(drawn.theta_E, 1.6e-6 * np.sqrt(drawn.mass), rtol=1e-12)


def test_no_sub_is_empty():
    assert all(len(drawn.x) == 0 for drawn in draws("no_sub")[:3])


def test_subhalo_numbers_are_poisson_about_25():
    numbers = np.array([drawn.truth["num_subhalos"] for drawn in draws("cdm")])
    # 400 draws: the mean scatters by 0.25, the variance by 1.8.
    assert numbers.mean() == pytest.approx(25, abs=1)
    assert numbers.var() == pytest.approx(25, abs=7)


def test_the_faulty_number_is_always_25():
    assert {drawn.truth["num_subhalos"] for drawn in draws("cdm", FAULTY)} == {25}


def test_subhalos_lie_a_quarter_to_two_arcsec_from_the_lens_centre():
    drawn = draws("cdm")
    radius = np.concatenate([np.hypot(item.x - 0.2, item.y + 0.1) for item in drawn])
    assert radius.min() >= 0.25
    assert radius.max() <= 2.0
    # 10,000 radii, uniform: the mean scatters by 0.005.
    assert radius.mean() == pytest.approx(1.125, abs=0.025)


def test_subhalo_masses_fall_with_the_power_1_9():
    mass = np.concatenate([item.mass for item in draws("cdm")])
    assert mass.min() >= 1e6
    assert mass.max() <= 1e10
    # Share above 1e7: (1e7^-0.9 - 1e10^-0.9) / (1e6^-0.9 - 1e10^-0.9); scatters by 0.0033.
    assert (mass > 1e7).mean() == pytest.approx(0.1257, abs=0.015)


def test_the_points_of_a_vortex_add_up_to_its_mass():
    for drawn in draws("axion")[:5]:
        assert drawn.mass.sum() == pytest.approx(3e10, rel=1e-12)


def test_a_vortex_is_a_straight_line_through_the_lens_centre():
    for drawn in draws("axion")[:20]:
        x0, y0, x1, y1 = drawn.truth["vortex_ends"]
        assert (x0 + x1) / 2 == pytest.approx(0.2, abs=1e-12)
        assert (y0 + y1) / 2 == pytest.approx(-0.1, abs=1e-12)
        across = (drawn.x - x0) * (y1 - y0) - (drawn.y - y0) * (x1 - x0)
        np.testing.assert_allclose(across, 0, atol=1e-12)


def test_a_vortex_is_as_long_as_the_simulator_says():
    for drawn in draws("axion")[:20]:
        x0, y0, x1, y1 = drawn.truth["vortex_ends"]
        half = 0.06 / (2 * drawn.truth["axion_mass_eV"]) * 1e-22
        assert np.hypot(x1 - x0, y1 - y0) == pytest.approx(2 * half, rel=1e-12)
        assert drawn.truth["vortex_length"] == pytest.approx(2 * half, rel=1e-12)


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("cdm", {"mean_number": -1.0}),
        ("cdm", {"mass": Normal(1e8, 1e7)}),
        ("axion", {"num_points": 0}),
        ("axion", {"mass": 0.0}),
    ],
)
def test_an_impossible_population_is_refused(name, change):
    with pytest.raises(ConfigError, match=next(iter(change))):
        dataclasses.replace(POPULATIONS[name], **change)
