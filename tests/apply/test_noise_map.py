import numpy as np
import pytest

from lenspinn.apply.noise_map import (
    LEFT_OUT,
    cosmic_rays,
    estimate_noise,
    noise_of,
    robust_sigma,
)
from lenspinn.errors import ImageError
from lenspinn.lensing.psf import gaussian_kernel

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
    noise[0, :4] = [0.0, LEFT_OUT, np.nan, np.inf]
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
