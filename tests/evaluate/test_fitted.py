import numpy as np
import pytest

from lenspinn.evaluate.fitted import (
    ALARMS,
    RATIOS,
    fit_ranges,
    is_outside,
    lens_coordinates,
    lens_numbers,
)
from lenspinn.fitting.smooth import parameter_names

OFFSET = "offset from the middle"
ROUNDED_B = 3e-3  # of b in three digits after the point
# The tail of a Gaussian falls faster than the exponential that is put there: fewer alarms.
MOST_ALARMS = 1.5 * 20 * ALARMS


def fitted(num: int, seed: int, count: int = 19) -> dict[str, np.ndarray]:
    """Lenses near the middle, and what was found of their sources."""
    rng = np.random.default_rng(seed)
    names = parameter_names(count)
    numbers = {name: rng.normal(0, 0.05, num) for name in names}
    numbers["theta_E"] = rng.uniform(0.6, 1.5, num)
    numbers["signal_to_noise"] = rng.lognormal(4, 0.3, num)
    return numbers


def test_a_lens_beside_the_middle_is_outside_whichever_way_it_lies() -> None:
    ranges = fit_ranges(fitted(2000, 0))
    low, high = ranges[OFFSET]
    assert low == 0
    assert 0.15 < high < 0.3
    there = fitted(3, 1)
    there["center_x"][:], there["center_y"][:] = [0.4, 0.0, -0.3], [0.0, -0.4, 0.3]
    assert is_outside(lens_numbers(there)[OFFSET], low, high).all()


@pytest.mark.parametrize("num", [240, 2000])
def test_lenses_like_those_of_calibration_are_rarely_outside(num: int) -> None:
    shares = []
    for seed in range(5):
        ranges, numbers = fit_ranges(fitted(num, seed)), lens_numbers(fitted(4000, seed + 100))
        outside = [is_outside(numbers[name], *ends) for name, ends in ranges.items()]
        shares.append(np.any(outside, axis=0).mean())
    assert np.mean(shares) < MOST_ALARMS


def test_every_fitted_parameter_has_a_range() -> None:
    ranges = fit_ranges(fitted(300, 2))
    for name, moved in (
        ("density slope", {"gamma": 1.0}),
        ("theta_E", {"theta_E": 3.0}),
        ("ellipticity", {"e2": -0.5}),
        ("shear", {"gamma1": 0.5}),
        ("multipole of order 3", {"b3": 0.5}),
        ("multipole of order 4", {"a4": 0.5}),
        ("offset of the source", {"source_x": 1.0}),
        ("ellipticity of the source", {"source_e1": 0.5}),
        ("size of the source", {"log_R_sersic": 2.0}),
        ("Sersic index of the source", {"log_n_sersic": -2.0}),
        ("flux of the source", {"log_amplitude": -5.0}),
        ("signal to noise", {"signal_to_noise": 0.0}),
    ):
        there = fitted(1, 3)
        for key, value in moved.items():
            there[key][:] = value
        assert is_outside(lens_numbers(there)[name], *ranges[name]).all(), name


def test_a_fit_that_failed_is_outside() -> None:
    ranges = fit_ranges(fitted(300, 4))
    there = fitted(1, 5)
    there["center_x"][:] = np.nan
    assert is_outside(lens_numbers(there)[OFFSET], *ranges[OFFSET]).all()


def test_ellipsoids_have_no_slope_and_no_multipoles() -> None:
    names = lens_numbers(fitted(10, 6, count=14)).keys()
    assert "density slope" not in names
    assert not any("multipole" in name for name in names)
    assert "theta_E" in names


def test_a_network_that_fits_no_lens_has_no_ranges() -> None:
    assert lens_numbers({}) == fit_ranges({}) == {}


def test_coordinates_are_the_numbers_and_logarithms_of_ratios() -> None:
    there = fitted(4, 7)
    numbers, found = lens_numbers(there), lens_coordinates(there)
    assert found.shape == (4, len(numbers))
    for name, column in zip(numbers, found.T, strict=True):
        expected = np.log(numbers[name]) if name in RATIOS else numbers[name]
        np.testing.assert_allclose(column, expected)


def test_the_flux_is_that_of_the_whole_profile() -> None:
    there = fitted(1, 8) | {
        "log_R_sersic": np.log([0.2]),
        "log_n_sersic": np.array([0.0]),
        "log_amplitude": np.log([3.0]),
    }
    # Of an exponential disc: 2 pi n b^-2n Gamma(2n) e^b R^2 I, b = 1.678 (Graham & Driver 2005).
    expected = 2 * np.pi * 1.678**-2 * np.exp(1.678) * 0.2**2 * 3.0
    found = lens_numbers(there)["flux of the source"][0]
    assert found == pytest.approx(expected, rel=ROUNDED_B)
