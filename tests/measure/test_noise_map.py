import numpy as np
import pytest

from lenspinn.errors import ImageError
from lenspinn.lensing.psf import gaussian_kernel
from lenspinn.measure.noise_map import (
    cosmic_rays,
    estimate_noise,
    gaps_filled,
    noise_of,
    robust_sigma,
)

SIDE = 101
# Of scatter estimated from a few thousand pixels, and from a twelfth of them.
SKY_ERROR, LIGHT_ERROR = 0.1, 0.3


def galaxy() -> np.ndarray:
    y, x = np.indices((SIDE, SIDE)) - SIDE // 2
    return 200 * np.exp(-np.hypot(x, y) / 8)


def noisy(sigma: np.ndarray) -> np.ndarray:
    return galaxy() + sigma * np.random.default_rng(2).standard_normal((SIDE, SIDE))


def test_the_robust_sigma_of_a_gaussian_is_its_own() -> None:
    values = np.random.default_rng(1).standard_normal(10_000)
    assert robust_sigma(np.append(values, [1e9] * 20)) == pytest.approx(1, rel=0.05)


def test_the_noise_of_the_sky_is_found() -> None:
    found = estimate_noise(noisy(np.ones((SIDE, SIDE))))
    assert found[:5].mean() == pytest.approx(1, rel=SKY_ERROR)


def test_the_noise_of_photons_is_found() -> None:
    sigma = np.sqrt(1 + galaxy())
    row = SIDE // 2 + 12
    found = estimate_noise(noisy(sigma))
    assert found[row, SIDE // 2] == pytest.approx(sigma[row, SIDE // 2], rel=LIGHT_ERROR)


def test_a_hit_is_found_and_a_star_is_not() -> None:
    axis = np.array(gaussian_kernel(2.5, 4.0))
    psf = np.outer(axis, axis)
    sigma = np.ones((SIDE, SIDE))
    image = noisy(sigma)
    half = len(axis) // 2
    image[20 - half : 21 + half, 30 - half : 31 + half] += 500 * psf
    image[80, 20:26] += 50.0
    hit = cosmic_rays(image, sigma, psf)
    assert hit[80, 20:26].all()
    assert not hit[15:26, 25:36].any()


def test_a_noise_map_and_a_mask_leave_pixels_out() -> None:
    noise, mask = np.full((20, 20), 2.0), np.zeros((20, 20))
    noise[0, :4] = [0.0, -1.0, np.nan, np.inf]
    mask[1, 1] = 1
    found = noise_of(np.ones((20, 20)), noise, mask)
    assert np.isinf(found[0, :4]).all()
    assert np.isinf(found[1, 1])
    assert np.isfinite(found).sum() == 395
    assert (found[np.isfinite(found)] == 2).all()


def test_without_a_map_noise_is_estimated() -> None:
    image = noisy(np.ones((SIDE, SIDE)))
    np.testing.assert_array_equal(noise_of(image, None, None), estimate_noise(image))


def test_an_image_without_noise_needs_a_map() -> None:
    with pytest.raises(ImageError, match="give a noise map"):
        noise_of(np.zeros((SIDE, SIDE)), None, None)


@pytest.mark.parametrize("unit", [1e-20, 1e-10, 1.0, 1e12])
def test_noise_is_found_in_any_unit(unit: float) -> None:
    image = noisy(np.ones((SIDE, SIDE))).astype(np.float32)
    found = noise_of((image * np.float32(unit)).astype(">f4"), None, None)
    np.testing.assert_allclose(found / unit, noise_of(image, None, None), rtol=1e-4)


def test_pixels_of_the_image_that_are_not_finite_are_left_out_with_or_without_a_map() -> None:
    image = noisy(np.ones((SIDE, SIDE)))
    image[30, 40], image[0, 0] = np.nan, np.inf
    for noise in (None, np.ones((SIDE, SIDE))):
        found = noise_of(image, noise, None)
        assert np.isinf(found[[30, 0], [40, 0]]).all()
        assert np.isinf(found).sum() == 2
    expected = noise_of(noisy(np.ones((SIDE, SIDE))), None, None)
    found = noise_of(image, None, None)
    np.testing.assert_allclose(found[found < 9], expected[found < 9], rtol=0.02)


def test_gaps_are_filled_with_what_is_around_them() -> None:
    image = galaxy()
    holed = np.where(np.hypot(*(np.indices(image.shape) - 20)) < 2, np.nan, image)
    np.testing.assert_allclose(gaps_filled(holed), image, atol=0.3)


@pytest.mark.parametrize(
    ("noise", "said"),
    [
        (np.zeros(SIDE), "0 pixels of the image count"),
        (np.full(SIDE, np.nan), "0 pixels of the image count"),
    ],
)
def test_a_noise_map_that_says_nothing_is_refused(noise: np.ndarray, said: str) -> None:
    with pytest.raises(ImageError, match=said):
        noise_of(noisy(np.ones((SIDE, SIDE))), np.tile(noise, (SIDE, 1)), None)


def test_a_noise_map_with_one_usable_pixel_is_refused() -> None:
    noise = np.zeros((SIDE, SIDE))
    noise[50, 50] = 1.0
    with pytest.raises(ImageError, match=r"1 pixels of the image count, .* at least 100"):
        noise_of(noisy(np.ones((SIDE, SIDE))), noise, None)
