import numpy as np
import pytest

from lenspinn.measure.lens_light import MODEL_ERROR, fit_lens_light, only_sky

SIDE, SCALE, SIGMA = 31, 0.1, 0.01
# Of light at a ring that broad Gaussians take for the galaxy's.
RING_ERROR = 0.2


def galaxy() -> np.ndarray:
    y, x = (np.indices((SIDE, SIDE)) - SIDE // 2) * SCALE
    return 3 * np.exp(-0.5 * (x**2 + (y / 0.8) ** 2) / 0.4**2)


def ring() -> np.ndarray:
    y, x = (np.indices((SIDE, SIDE)) - SIDE // 2) * SCALE
    return 0.3 * np.exp(-0.5 * ((np.hypot(x, y) - 1.0) / 0.1) ** 2)


def noise(image: np.ndarray) -> np.ndarray:
    return np.hypot(SIGMA, MODEL_ERROR * image)


def fitted(image: np.ndarray, **options):
    return fit_lens_light(image, np.full_like(image, SIGMA), pixel_scale=SCALE, psf=None, **options)


def test_it_takes_the_shape_of_a_galaxy_and_the_sky() -> None:
    image = galaxy() + 0.2
    assert np.abs(fitted(image).model - image).max() < MODEL_ERROR * image.max()


def test_it_leaves_a_ring_alone() -> None:
    arcs = galaxy() + ring() - fitted(galaxy() + ring()).model
    assert arcs[SIDE // 2, SIDE // 2 + 10] == pytest.approx(0.3, rel=RING_ERROR)


def test_a_pixel_left_out_does_not_matter() -> None:
    sigma = noise(galaxy())
    sigma[20, 20] = np.inf
    broken = galaxy()
    broken[20, 20] = 1e6
    models = [
        fit_lens_light(image, sigma, pixel_scale=SCALE, psf=None).model
        for image in (galaxy(), broken)
    ]
    assert models[0] == pytest.approx(models[1], abs=1e-9)


def test_the_sky_alone_is_the_median_of_what_counts() -> None:
    image = np.full((SIDE, SIDE), 0.2)
    sigma = np.full_like(image, SIGMA)
    image[:20], sigma[:20] = 9.0, np.inf
    sky = only_sky(image, sigma)
    assert (sky.model == 0.2).all()
    assert sky.basis.shape == (1, SIDE, SIDE)
