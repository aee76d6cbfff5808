import dataclasses

import numpy as np
import pytest
import torch

from lenspinn.data.instrument import INSTRUMENTS
from lenspinn.errors import ConfigError
from lenspinn.simulate import noise as noise_module
from lenspinn.simulate.faults import Faults
from lenspinn.simulate.noise import add_noise, background_sigma, noise_sigma, observe

HST = INSTRUMENTS["hst_wfc3_f160w"]
PIXELS = (200, 200)


def generator() -> np.random.Generator:
    return np.random.default_rng(11)


# Golden values of the reference facts, printed there to six decimals.
@pytest.mark.parametrize(
    ("name", "sigma"),
    [
        ("hst_wfc3_f160w", 0.005920),
        ("hst_acs_f814w", 0.005374),
        ("euclid_vis", 0.010904),
        ("euclid_vis_legacy", 0.005869),
        ("rubin_g", 0.075479),
        ("rubin_r", 0.066299),
        ("rubin_i", 0.076372),
    ],
)
def test_the_background_is_the_golden_value(name, sigma):
    assert background_sigma(INSTRUMENTS[name]) == pytest.approx(sigma, abs=5e-7)


@pytest.mark.parametrize("name", sorted(INSTRUMENTS))
@pytest.mark.parametrize("flux", [0.0, 0.5, 20.0])
@pytest.mark.parametrize("library", ["numpy", "torch"])
def test_noise_has_the_mean_and_variance_of_the_formula(name, flux, library):
    instrument = INSTRUMENTS[name]
    image = np.full((10_000, 10, 10), flux)
    if library == "numpy":
        noise = add_noise(image, instrument, generator()) - image
    else:
        tensor = torch.from_numpy(image)
        drawn = add_noise(tensor, instrument, torch.Generator().manual_seed(3)) - tensor
        noise = drawn.numpy()
    expected = background_sigma(instrument) ** 2 + flux / instrument.total_exposure
    # 10,000 draws of 100 pixels: variance and mean scatter by 0.14 % and by 0.1 % of sigma.
    assert noise.var() == pytest.approx(expected, rel=0.01)
    assert abs(noise.mean()) < 0.01 * expected**0.5


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
    rate = observe(image, HST, Faults(), generator(), exposure_time=1000.0)
    counts = observe(image, HST, Faults(counts=True), generator(), exposure_time=1000.0)
    np.testing.assert_allclose(counts, 1000 * rate, rtol=1e-6)


def test_a_second_poisson_draw_gives_whole_counts_with_twice_the_photon_noise():
    time, flux = 2000.0, 5.0
    faults = Faults(second_poisson=True, counts=True)
    counts = observe(np.full(PIXELS, flux), HST, faults, generator(), exposure_time=time)
    background = (background_sigma(HST, time) * time) ** 2
    np.testing.assert_array_equal(counts, np.round(counts))
    assert counts.mean() == pytest.approx(flux * time, rel=1e-3)
    # The variance of 40,000 pixels scatters by 0.7 %.
    assert counts.var() == pytest.approx(2 * flux * time + background, rel=0.03)


def test_a_second_poisson_draw_loses_negative_counts():
    faults = Faults(second_poisson=True)
    assert observe(np.zeros(PIXELS), HST, faults, generator()).min() == 0
    assert observe(np.zeros(PIXELS), HST, Faults(), generator()).min() < 0


def test_subtracted_light_makes_noise_all_the_same():
    image, light = np.zeros(3), np.array([0.0, 1.0, 5.0])
    sigma = noise_sigma(image, HST, subtracted=light)
    np.testing.assert_allclose(sigma, noise_sigma(light, HST), rtol=1e-12)
    noisy = observe(np.zeros(PIXELS), HST, Faults(), generator(), subtracted=np.full(PIXELS, 5.0))
    assert noisy.std() == pytest.approx(sigma[2], rel=0.03)
    assert abs(noisy.mean()) < 0.03 * sigma[2]


def test_each_image_of_a_batch_may_have_its_exposure_time():
    times = torch.tensor([1000.0, 4000.0]).reshape(2, 1, 1)
    images = torch.full((2, 300, 300), 3.0)
    noisy = observe(images, HST, Faults(), torch.Generator().manual_seed(0), exposure_time=times)
    for row, time in enumerate((1000.0, 4000.0)):
        expected = noise_sigma(np.array([3.0]), HST, time)
        assert noisy[row].std().item() == pytest.approx(expected.item(), rel=0.02)


@pytest.mark.parametrize("faults", [Faults(), Faults(second_poisson=True, counts=True)])
def test_a_batch_is_a_function_of_its_generator(faults):
    images = torch.rand(3, 8, 8)
    first, second, other = (
        observe(images, HST, faults, torch.Generator().manual_seed(seed)) for seed in (1, 1, 2)
    )
    assert torch.equal(first, second)
    assert not torch.equal(first, other)
    assert first.dtype == torch.float32


@pytest.fixture
def correlation(tmp_path):
    """A correlation function as drizzling leaves it: near pixels alike, nothing farther off."""
    near = np.array([1.0, 4.0, 6.0, 4.0, 1.0])
    near = np.convolve(near, near)
    path = tmp_path / "correlation.npy"
    np.save(path, 7.0 * np.outer(near, near))  # not 1 in the middle: it is normalised
    return path


@pytest.mark.parametrize("library", ["numpy", "torch"])
def test_correlated_noise_has_its_variance_and_its_correlation(correlation, library):
    instrument = dataclasses.replace(HST, noise_correlation=str(correlation))
    image = np.zeros((400, 40, 40))
    if library == "numpy":
        noise = add_noise(image, instrument, generator())
    else:
        tensor = torch.from_numpy(image)
        noise = add_noise(tensor, instrument, torch.Generator().manual_seed(0)).numpy()
    noise = noise / background_sigma(instrument)
    expected = np.load(correlation) / np.load(correlation).max()
    # 640,000 pixels, some 16 of which move together: scatter 1 %.
    assert noise.var() == pytest.approx(1.0, abs=0.04)
    for dy, dx in ((0, 1), (1, 0), (2, 1), (0, 5), (6, 6)):
        product = noise[:, dy:, dx:] * noise[:, : 40 - dy, : 40 - dx]
        centre = len(expected) // 2
        theory = expected[centre + dy, centre + dx] if max(dy, dx) <= centre else 0.0
        assert product.mean() == pytest.approx(theory, abs=0.03)
    # Opposite borders know nothing of each other.
    assert (noise[:, :, 0] * noise[:, :, -1]).mean() == pytest.approx(0.0, abs=0.04)


def test_the_noise_of_real_drizzled_images_is_drawn(shared_data):
    path = shared_data / "noise" / "acs_I_unrot_sci_20_cf.fits"
    instrument = dataclasses.replace(INSTRUMENTS["hst_acs_f814w"], noise_correlation=str(path))
    noise = add_noise(np.zeros((100, 64, 64)), instrument, generator())
    noise /= background_sigma(instrument)
    neighbours = (noise[:, :, 1:] * noise[:, :, :-1]).mean()
    assert noise.var() == pytest.approx(1.0, abs=0.05)
    centre = noise_module.load_correlation(str(path), 0.04)
    middle = len(centre) // 2
    assert neighbours == pytest.approx(centre[middle, middle + 1], abs=0.03)
    assert neighbours > 0.2


def test_a_correlation_must_be_largest_in_the_middle(tmp_path):
    values = np.zeros((3, 3))
    values[0, 0] = 1.0
    np.save(tmp_path / "a.npy", values)
    instrument = dataclasses.replace(HST, noise_correlation=str(tmp_path / "a.npy"))
    with pytest.raises(ConfigError, match=r"instrument.noise_correlation: the largest value"):
        add_noise(np.zeros((4, 4)), instrument, generator())
