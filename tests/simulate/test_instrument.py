import dataclasses

import numpy as np
import pytest
import torch

from lenspinn.errors import ConfigError
from lenspinn.simulate.faults import Faults
from lenspinn.simulate.instrument import (
    INSTRUMENTS,
    add_noise,
    background_sigma,
    flux_from_magnitude,
    noise_sigma,
    observe,
)

HST = INSTRUMENTS["hst_wfc3_f160w"]
PIXELS = (200, 200)


def generator() -> np.random.Generator:
    return np.random.default_rng(11)


# Golden values of the reference facts, printed there to four digits.
@pytest.mark.parametrize(
    ("name", "sigma", "flux"),
    [("hst_wfc3_f160w", 0.005920, 242.103), ("euclid_vis_legacy", 0.005869, 39.811)],
)
def test_background_and_flux_are_the_golden_values(name, sigma, flux):
    instrument = INSTRUMENTS[name]
    assert background_sigma(instrument) == pytest.approx(sigma, abs=5e-7)
    assert flux_from_magnitude(20.0, instrument.zero_point) == pytest.approx(flux, abs=5e-4)


def test_model_1_states_its_background_directly():
    assert background_sigma(INSTRUMENTS["deeplense_model_1"]) == 0.01


@pytest.mark.parametrize("name", sorted(INSTRUMENTS))
@pytest.mark.parametrize("flux", [0.0, 0.5, 20.0])
def test_noise_has_the_mean_and_variance_of_the_formula(name, flux):
    instrument = INSTRUMENTS[name]
    image = np.full(PIXELS, flux)
    noise = add_noise(image, instrument, generator()) - image
    expected = background_sigma(instrument) ** 2 + flux / instrument.total_exposure
    # 40,000 pixels: the variance scatters by 0.7 %, the mean by 0.5 % of sigma.
    assert noise.var() == pytest.approx(expected, rel=0.02)
    assert abs(noise.mean()) < 0.02 * expected**0.5


def test_negative_pixels_have_background_noise_only():
    sigma = noise_sigma(np.array([-1.0, 0.0]), HST)
    np.testing.assert_allclose(sigma, background_sigma(HST), rtol=1e-12)


def test_a_longer_exposure_has_less_noise():
    bright = np.array([100.0])
    long, short = noise_sigma(bright, HST, 4 * 5400.0), noise_sigma(bright, HST)
    # Photons of source and sky halve it; the same one read-out does more, but is 1e-4 of it all.
    assert long.item() == pytest.approx(short.item() / 2, rel=1e-4)
    assert background_sigma(HST, 4 * 5400.0) < background_sigma(HST) / 2


def test_tensors_have_the_noise_of_arrays():
    image = np.linspace(-1, 5, 7)
    np.testing.assert_allclose(
        noise_sigma(torch.from_numpy(image), HST).numpy(), noise_sigma(image, HST), rtol=1e-12
    )


def test_noise_keeps_float32():
    assert add_noise(np.ones((4, 4), dtype=np.float32), HST, generator()).dtype == np.float32


def test_without_faults_the_noise_is_in_the_stored_image():
    image = np.full(PIXELS, 0.2, dtype=np.float32)
    stored = observe(image, HST, Faults(), generator())
    np.testing.assert_array_equal(stored, add_noise(image, HST, generator()))


def test_noise_left_out_stores_the_model():
    image = np.ones((4, 4), dtype=np.float32)
    np.testing.assert_array_equal(
        observe(image, HST, Faults(noise_left_out=True), generator()), image
    )


def test_the_doubled_image_is_twice_the_model():
    image = np.ones((4, 4), dtype=np.float32)
    faults = Faults(noise_left_out=True, image_doubled=True)
    np.testing.assert_array_equal(observe(image, HST, faults, generator()), 2 * image)


def test_counts_are_the_rate_times_the_exposure_time():
    image = np.full(PIXELS, 0.2, dtype=np.float32)
    rate = observe(image, HST, Faults(), generator(), 1000.0)
    counts = observe(image, HST, Faults(counts=True), generator(), 1000.0)
    np.testing.assert_allclose(counts, 1000 * rate, rtol=1e-6)


def test_a_second_poisson_draw_gives_whole_counts_with_twice_the_photon_noise():
    time, flux = 2000.0, 5.0
    faults = Faults(second_poisson=True, counts=True)
    counts = observe(np.full(PIXELS, flux), HST, faults, generator(), time)
    background = (background_sigma(HST, time) * time) ** 2
    np.testing.assert_array_equal(counts, np.round(counts))
    assert counts.mean() == pytest.approx(flux * time, rel=1e-3)
    # The variance of 40,000 pixels scatters by 0.7 %.
    assert counts.var() == pytest.approx(2 * flux * time + background, rel=0.03)


def test_a_second_poisson_draw_loses_negative_counts():
    faults = Faults(second_poisson=True)
    assert observe(np.zeros(PIXELS), HST, faults, generator()).min() == 0
    assert observe(np.zeros(PIXELS), HST, Faults(), generator()).min() < 0


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
