from pathlib import Path

import numpy as np
import pytest

from lenspinn.data.fits import read_fits
from lenspinn.measure.noise_check import are_variances, weights_fit

SIDE = 40
SIGMA = 0.3


@pytest.fixture
def image() -> np.ndarray:
    y, x = np.indices((SIDE, SIDE)) - SIDE / 2
    light = 20 * np.exp(-np.hypot(x, y) / 3)
    return light + SIGMA * np.random.default_rng(4).standard_normal((SIDE, SIDE))


def test_weights_in_the_unit_of_the_image_give_its_scatter(image) -> None:
    assert weights_fit(image, np.full_like(image, SIGMA))


def test_exposure_times_do_not(image) -> None:
    assert not weights_fit(image, np.full_like(image, 1 / np.sqrt(2000)))


def test_nothing_fits_an_image_without_a_border(image) -> None:
    assert not weights_fit(np.full_like(image, np.nan), np.full_like(image, SIGMA))


@pytest.fixture
def photons() -> tuple[np.ndarray, np.ndarray]:
    """An image in which photons make most of the noise of bright pixels, and the noise."""
    y, x = np.indices((SIDE, SIDE)) - SIDE / 2
    light = 50 * np.exp(-np.hypot(x, y) / 4)
    sigma = np.sqrt(SIGMA**2 + 0.1 * light)
    return light + sigma * np.random.default_rng(5).standard_normal(light.shape), sigma


@pytest.mark.parametrize("unit", [1e-3, 1.0, 1e3])
@pytest.mark.parametrize("too_large", [1.0, 1.4])
def test_variances_are_told_from_standard_deviations_in_any_unit(
    photons, unit: float, too_large: float
) -> None:
    image, sigma = photons
    assert are_variances(unit * image, (unit * too_large * sigma) ** 2)
    assert not are_variances(unit * image, unit * too_large * sigma)


def test_pixels_to_leave_out_say_nothing(photons) -> None:
    image, sigma = photons
    holed = np.where(image > np.quantile(image, 0.99), np.nan, image)
    left_out = sigma**2
    left_out[:3], left_out[-3:], left_out[:, 5] = 1e8, 0.0, np.inf
    assert are_variances(holed, left_out)


@pytest.mark.parametrize("sigma", [0.3, 2.4])
def test_a_map_that_does_not_vary_is_believed(sigma: float) -> None:
    image = sigma * np.random.default_rng(6).standard_normal((SIDE, SIDE))
    assert not are_variances(image, np.full_like(image, sigma**2))


def maps_of(shared_data: Path) -> list[tuple[Path, Path]]:
    slacs = [(f.parent / "data.fits", f) for f in shared_data.glob("hst_slacs63/*/noise_map.fits")]
    cowls = shared_data.glob("jwst_cowls/*/*_noise_map.fits")
    return slacs + [(f.with_name(f.name.replace("noise_map", "data")), f) for f in cowls]


def test_noise_maps_of_real_lenses_are_believed_and_their_squares_are_not(
    shared_data: Path,
) -> None:
    found = {"hst_slacs63": [0, 0], "jwst_cowls": [0, 0]}
    for image, noise in maps_of(shared_data):
        pixels, sigma = (read_fits(path).data.astype(float) for path in (image, noise))
        units = (1e-3, 1.0, 10.0, 100.0, 1e3)
        assert not any(are_variances(unit * pixels, unit * sigma) for unit in units), image
        count = found[image.parents[1].name]
        count[0] += 1
        count[1] += are_variances(pixels, sigma**2)
    # In most of JWST's a floor hides how the noise rises.
    assert found == {"hst_slacs63": [28, 28], "jwst_cowls": [20, 3]}
