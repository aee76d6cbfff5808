import math

import numpy as np
import pytest

from lenspinn.detect.chance import (
    AROUND_ARCS,
    Chance,
    find_peaks,
    found_with_90_percent,
    lag_correlation,
    measure_chance,
    probit,
    search_region,
)
from lenspinn.detect.mocks import mock_maker

MOCKS, INJECTED = 10, 6


@pytest.fixture(scope="module")
def chance(lens, solution):
    maker = mock_maker(lens, solution, seed=1)
    return measure_chance(maker, mocks=MOCKS, injected=INJECTED, seed=3, progress=lambda _: None)


def test_clumps_are_looked_for_on_the_arcs_and_around_them(lens):
    region = search_region(lens)
    assert region[lens.arcs].all()
    assert lens.arcs.sum() < region.sum() < 3 * lens.arcs.sum()
    middle = len(region) // 2
    assert not region[middle, middle]
    assert AROUND_ARCS < 0.5


def test_the_peaks_of_a_lens_without_clumps_are_no_rarity(lens, solution, chance):
    (highest, *others) = find_peaks(lens, solution, chance.spread)
    assert chance.of(highest.height) > 2 / (1 + MOCKS)
    assert all(peak.height <= highest.height for peak in others)
    for peak in others:
        assert math.hypot(peak.x - highest.x, peak.y - highest.y) >= 0.25


def test_chances_fall_with_height_and_are_never_0(chance):
    assert chance.of(0.0) == 1
    assert chance.of(1e3) == 1 / (1 + MOCKS)
    assert chance.of(float(np.median(chance.highest))) == pytest.approx(0.5, abs=0.1)


def test_what_is_injected_is_found_or_not(chance):
    mass, limit, strength, found = chance.injected.T
    assert len(mass) == INJECTED
    assert ((mass / limit > 10**-0.51) & (mass / limit < 10.1)).all()
    assert set(found) <= {0.0, 1.0}
    assert (strength[found == 1] > 0).all()
    assert math.isnan(chance.factor)  # of so few


def injected(factor, num=400):
    rng = np.random.default_rng(2)
    mass = 10 ** rng.uniform(-0.5, 1, num)
    found = rng.normal(np.log(mass / factor), 0.5) > 0
    return np.stack([mass, np.ones(num), mass, found.astype(float)], axis=1)


def test_the_share_that_is_found_is_told_from_what_was_injected():
    offset, slope = probit(injected(2.0))
    assert slope == pytest.approx(2, rel=0.15)
    assert offset == pytest.approx(-2 * math.log(2), abs=0.2)
    assert found_with_90_percent(injected(2.0)) == pytest.approx(2 * math.exp(0.64), rel=0.15)


def test_a_limit_beyond_what_was_injected_is_none():
    assert math.isnan(found_with_90_percent(injected(8.0)))
    nothing = injected(2.0)
    nothing[:, 3] = 0
    assert math.isnan(found_with_90_percent(nothing))


def test_the_mass_limit_is_that_of_linear_theory_times_what_was_found():
    error = np.full((4, 4), 0.001)
    plain = {
        "spread": np.ones((4, 4)),
        "highest": np.linspace(2, 4, 101),
        "left": np.ones(101),
        "correlation": np.zeros(101),
        "injected": np.empty((0, 4)),
    }
    one, two = (Chance(**plain, factor=factor) for factor in (1.0, 2.0))
    assert one.threshold == pytest.approx(3.9)
    assert one.mass_limit(error)[0, 0] == pytest.approx(0.001 * (3.9 + 1.2816), rel=1e-4)
    assert two.mass_limit(error)[0, 0] == pytest.approx(2 * one.mass_limit(error)[0, 0])


def test_white_residuals_are_not_alike(lens, solution):
    assert abs(lag_correlation(lens, solution)[0]) < 0.2
