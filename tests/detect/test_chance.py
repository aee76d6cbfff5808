import math

import numpy as np
import pytest

from lenspinn.detect.chance import lag_correlation, measure_chance
from lenspinn.detect.mocks import mock_maker
from lenspinn.detect.peaks import find_peaks
from lenspinn.detect.template_bank import MASSES

MOCKS, INJECTED = 10, 6
ALIKE = 1.3
"""Largest ratio of the highest peak of an image without clumps to that of ten mocks."""


@pytest.fixture(scope="module")
def chance(bank, solution):
    maker = mock_maker(bank, solution, seed=1)
    return measure_chance(maker, mocks=MOCKS, injected=INJECTED, seed=3, progress=lambda _: None)


def test_the_peaks_of_a_lens_without_clumps_are_no_rarity(bank, solution, chance):
    ((highest, *others),) = find_peaks(bank, solution, chance.spread)
    assert highest.height < ALIKE * chance.highest.max()
    assert all(peak.height <= highest.height for peak in others)
    for peak in others:
        assert math.hypot(peak.x - highest.x, peak.y - highest.y) >= 0.25


def test_chances_fall_with_height_and_are_never_0(chance):
    assert chance.of(0.0) == 1
    assert chance.of(1e3) == 1 / (1 + MOCKS)
    assert chance.of(float(np.median(chance.highest))) == pytest.approx(0.5, abs=0.1)


def test_what_is_injected_is_found_or_not(chance):
    told = chance.completeness
    assert len(told.mass) == len(told.found) == INJECTED
    assert ((told.mass >= MASSES[0]) & (told.mass <= MASSES[-1])).all()
    assert (told.expected > 0).all()
    assert np.isnan(told.height_limit)  # of so few


def test_heights_are_expected_from_lengths_and_spread(bank, chance):
    assert chance.spread.shape == bank.length.shape
    assert (chance.highest > 0).all()
    assert chance.expected_heights(bank) == pytest.approx(
        bank.length / chance.spread / np.sqrt(np.median(chance.left))
    )


def test_white_residuals_are_not_alike(lens, solution):
    assert abs(lag_correlation(lens, solution)[0]) < 0.2
