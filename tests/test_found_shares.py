"""What `benchmarks/detect_injections.py` counts, and the intervals that it states."""

import runpy
from pathlib import Path

import numpy as np
import pytest

COUNTS = runpy.run_path(str(Path(__file__).parents[1] / "benchmarks" / "found_shares.py"))
Row, compared, in_bins = (COUNTS[name] for name in ("Row", "compared", "in_bins"))


def rows_of(lenses, num, *, spread):
    """Rows that are found as often as is said, but for what each lens has more or less."""
    rng = np.random.default_rng(4)
    said = rng.uniform(0.3, 0.7, (lenses, num))
    found = rng.uniform(size=(lenses, num)) < said + spread * rng.choice([-1, 1], (lenses, 1))
    return [
        Row(f"lens {at}", float(chance), bool(there))
        for at in range(lenses)
        for chance, there in zip(said[at], found[at], strict=True)
    ]


def test_a_curve_gives_one_half_where_its_argument_is_0():
    probability = COUNTS["probability"]
    assert probability(2.0, -np.log(2.0), 1.0) == pytest.approx(0.5)
    assert probability(4.0, -np.log(2.0), 1.0) == pytest.approx(0.7559, abs=1e-4)


def test_a_peak_is_there_if_it_is_both_high_and_near():
    is_there = COUNTS["is_there"]
    peaks = [[0.0, 0.0, 9.0, 1.0], [1.0, 0.1, 5.0, 1.0]]
    assert is_there(peaks, (1.0, 0.0), 5.0, 0.15)
    assert not is_there(peaks[:1], (1.0, 0.0), 5.0, 0.15)
    assert not is_there(peaks, (1.0, 0.0), 5.1, 0.15)
    assert not is_there(peaks, (1.0, -0.1), 5.0, 0.15)


def test_what_is_found_as_said_differs_by_nothing_within_its_interval():
    both = compared(rows_of(12, 60, spread=0.0))
    low, high = both["found_less_said_interval"]
    assert low < 0 < high
    assert high - low < 0.1
    assert both["found"] == pytest.approx(both["said"] + both["found_less_said"])


def test_intervals_are_as_wide_as_lenses_differ():
    widths = [
        np.ptp(compared(rows_of(12, 60, spread=spread))["found_interval"]) for spread in (0, 0.25)
    ]
    assert widths[1] > 2 * widths[0]


def test_each_row_is_in_one_bin_and_certainty_in_the_last():
    rows = [Row("a", said, True) for said in (0.0, 0.05, 0.1, 0.6, 0.95, 1.0)]
    bins = in_bins(rows)
    assert [each["num"] for each in bins] == [2, 1, 0, 1, 0, 2]
    assert compared([]) == {"num": 0}
