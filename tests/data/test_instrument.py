import dataclasses

import numpy as np
import pytest

from lenspinn.data.instrument import INSTRUMENTS, flux_from_magnitude
from lenspinn.errors import ConfigError

HST = INSTRUMENTS["hst_wfc3_f160w"]


# Golden values of the reference facts, printed there to three decimals.
@pytest.mark.parametrize(
    ("name", "flux"),
    [
        ("hst_wfc3_f160w", 242.103),
        ("hst_acs_f814w", 112.409),
        ("euclid_vis", 194.089),
        ("euclid_vis_legacy", 39.811),
        ("rubin_g", 2089.296),
        ("rubin_r", 1786.488),
        ("rubin_i", 1306.171),
    ],
)
def test_a_source_of_20_mag_has_the_golden_flux(name, flux):
    zero_point = INSTRUMENTS[name].zero_point
    assert flux_from_magnitude(20.0, zero_point) == pytest.approx(flux, abs=5e-4)


def test_magnitudes_may_be_an_array():
    np.testing.assert_allclose(flux_from_magnitude(np.array([20.0, 22.5]), 22.5), [10.0, 1.0])


@pytest.mark.parametrize("name", sorted(INSTRUMENTS))
def test_every_instrument_says_where_its_numbers_come_from(name):
    assert INSTRUMENTS[name].name == name
    assert INSTRUMENTS[name].source


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"pixel_scale": 0.0}, "pixel_scale of hst_wfc3_f160w must be above 0"),
        ({"psf_fwhm": -0.1}, "psf_fwhm .* at least 0"),
        ({"read_noise": None}, "read_noise .* given, or else background_rms"),
        ({"exposure_time": float("nan")}, "exposure_time .* above 0"),
    ],
)
def test_an_impossible_instrument_is_refused(change, said):
    with pytest.raises(ConfigError, match=said):
        dataclasses.replace(HST, **change)
