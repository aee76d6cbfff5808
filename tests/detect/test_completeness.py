import math

import numpy as np
import pytest

from lenspinn.detect.completeness import Completeness, expected_heights, was_found
from lenspinn.detect.peaks import Peak
from lenspinn.detect.template_bank import MASSES


def injected(height: float, num: int = 400) -> Completeness:
    """Masses of which those of a height are found half of the time."""
    rng = np.random.default_rng(2)
    expected = 10 ** rng.uniform(-0.5, 1, num)
    found = rng.normal(np.log(expected / height), 0.5) > 0
    return Completeness(mass=expected, expected=expected, found=found)


def test_the_share_that_is_found_is_told_from_what_was_injected():
    offset, slope = injected(2.0).probit()
    assert slope == pytest.approx(2, rel=0.15)
    assert offset == pytest.approx(-2 * math.log(2), abs=0.2)
    assert injected(2.0).height_limit == pytest.approx(2 * math.exp(0.64), rel=0.15)


def test_a_limit_beyond_what_was_injected_is_none():
    assert math.isnan(injected(8.0).height_limit)
    nothing = Completeness(mass=np.ones(20), expected=np.ones(20), found=np.zeros(20, dtype=bool))
    assert math.isnan(nothing.height_limit)
    assert nothing.mass_limit(np.ones((4, 3))) is None


def test_the_mass_limit_has_the_height_that_is_found_with_90_percent():
    told = injected(2.0)
    limit = told.height_limit
    steep = np.outer([0.5, 1.0, 2.0, 4.0], [limit, 2.2 * limit, limit / 100])
    found = told.mass_limit(steep)
    assert found[0] == pytest.approx(MASSES[1])
    assert found[1] == pytest.approx(MASSES[0])  # no lighter one is looked for
    assert math.isinf(found[2])
    between = told.mass_limit(steep[:, :1] / math.sqrt(2))
    assert between[0] == pytest.approx(math.sqrt(MASSES[1] * MASSES[2]), rel=1e-6)


def test_heights_are_expected_between_those_of_templates(bank):
    heights = np.outer([1.0, 3.0, 9.0, 27.0], np.ones(len(bank.x)))
    x, y = bank.x[:3] + 0.01, bank.y[:3] - 0.01
    masses = np.array([MASSES[0], MASSES[2], math.sqrt(MASSES[2] * MASSES[3])])
    expected = expected_heights(bank, heights, x, y, masses)
    assert expected == pytest.approx([1.0, 9.0, 9 * math.sqrt(3)])


@pytest.mark.parametrize(
    ("height", "x", "found"), [(5.0, 0.1, True), (3.9, 0.1, False), (5.0, 0.2, False)]
)
def test_a_clump_is_found_by_a_high_peak_near_it(height, x, found):
    peak = Peak(x=x, y=0.0, mass=0.02, significance=9.0, amplitude=1.0, height=height)
    assert was_found([peak], 0.0, 0.0, threshold=4.0) == found
    assert not was_found([], 0.0, 0.0, threshold=4.0)
