import numpy as np
import pytest

from lenspinn.errors import ImageError
from lenspinn.measure.observation import Observation, observe

SIDE, SIGMA = 40, 3.0
# Of pixels that are scaled, divided again, and stored in float32 between.
ROUNDING = 1e-5
# Of noise that is estimated from a few hundred pixels.
ESTIMATE = 0.15
PSF = np.outer([1.0, 2.0, 1.0], [1.0, 2.0, 1.0])


def pixels() -> np.ndarray:
    y, x = np.indices((SIDE, SIDE)) - SIDE // 2
    light = 300 * np.exp(-np.hypot(x, y) / 4)
    return light + SIGMA * np.random.default_rng(3).standard_normal((SIDE, SIDE))


def seen(image: np.ndarray | None = None, **changed) -> Observation:
    image = pixels() if image is None else image
    known = {"pixel_scale": 0.1, "noise": np.full(image.shape, SIGMA), "psf": PSF, "mask": None}
    return observe(image, **known | changed)


@pytest.mark.parametrize("factor", [1e-20, 1e-10, 1.0, 1e9, 1e12, 1e20])
def test_the_unit_does_not_matter(factor: float) -> None:
    noise = np.full((SIDE, SIDE), SIGMA)
    noise[3, 4] = 1e8
    there = seen((pixels() * factor).astype(np.float32), noise=(noise * factor).astype(np.float32))
    here = seen(noise=noise)
    used = np.isfinite(here.sigma)
    assert (np.isfinite(there.sigma) == used).all()
    ratio = here.image[used] / here.sigma[used]
    assert there.image[used] / there.sigma[used] == pytest.approx(ratio, rel=ROUNDING)
    assert 0.5 < np.median(there.sigma) < 2


def test_the_unit_gives_the_image_back() -> None:
    found = seen()
    assert (found.image * found.unit == pixels()).all()


def test_noise_that_is_estimated_knows_no_unit() -> None:
    found = seen(pixels() * 1e-18, noise=None)
    assert found.sigma.min() * found.unit == pytest.approx(SIGMA * 1e-18, rel=ESTIMATE)


@pytest.mark.parametrize("noise", [np.full((SIDE, SIDE), SIGMA), None])
def test_pixels_that_are_not_finite_are_left_out_and_filled(noise: np.ndarray | None) -> None:
    image = pixels()
    image[20, 20], image[0, 0], image[7, 8] = np.nan, np.inf, -np.inf
    found = seen(image, noise=noise)
    assert np.isfinite(found.image).all()
    assert np.isinf(found.sigma[[20, 0, 7], [20, 0, 8]]).all()
    assert found.image[20, 20] in found.image[[19, 21, 20, 20], [20, 20, 19, 21]]


def test_pixels_of_the_noise_that_are_not_finite_are_left_out() -> None:
    noise = np.full((SIDE, SIDE), SIGMA)
    noise[5, 5], noise[6, 6], noise[7, 7], noise[8, 8] = np.nan, np.inf, 0, 1e8
    found = seen(noise=noise)
    assert np.isinf(found.sigma[[5, 6, 7, 8], [5, 6, 7, 8]]).all()
    assert np.isinf(found.sigma).sum() == 4


@pytest.mark.parametrize("kind", [">f4", ">f8", "<f4"])
def test_any_byte_order_is_read(kind: str) -> None:
    found = seen(pixels().astype(kind), noise=np.full((SIDE, SIDE), SIGMA, dtype=kind))
    assert found.image.dtype == np.dtype(float)
    assert found.image == pytest.approx(seen().image, rel=ROUNDING)


def negative() -> np.ndarray:
    noise = np.full((SIDE, SIDE), SIGMA)
    noise[:3] = -SIGMA
    return noise


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"noise": pixels()}, "the noise map is the image itself"),
        ({"noise": 2 * pixels().astype(np.float32)}, "the noise map is the image itself"),
        ({"psf": pixels()}, "the PSF is the image itself"),
        ({"noise": np.abs(pixels()), "psf": np.abs(pixels())}, "the PSF is the noise map itself"),
        ({"noise": negative()}, "120 pixels of the noise map are negative"),
        ({"noise": np.full((SIDE, SIDE), SIGMA * 1e-12)}, "image and noise map in one unit"),
        ({"noise": np.full((SIDE, SIDE), np.nan)}, "^0 pixels of the image count"),
        ({"mask": np.ones((SIDE, SIDE))}, "^0 pixels of the image count"),
        ({"pixel_scale": 1e308}, "pixel_scale is 1e"),
        ({"pixel_scale": 1e-300}, "pixel_scale is 1e"),
        ({"pixel_scale": -0.1}, "pixel_scale is -0.1"),
        ({"pixel_scale": float("nan")}, "pixel_scale is nan"),
        ({"image": np.full((SIDE, SIDE), np.nan)}, "no pixel of the image is finite"),
        ({"image": np.ones((SIDE, SIDE)), "noise": None}, "no noise that could be estimated"),
    ],
)
def test_what_cannot_be_an_observation_is_refused(changed: dict, message: str) -> None:
    with pytest.raises(ImageError, match=message):
        seen(**changed)


def test_a_noise_map_that_is_one_number_is_no_image() -> None:
    assert np.isfinite(seen(noise=np.full((SIDE, SIDE), 2 * SIGMA)).sigma).all()
