import numpy as np
import pytest

from lenspinn.measure.model_error import BLOCK, MOST, noise_factor

SIDE = 61
# Of the factor of white noise: chi^2 of the squares in some 500 pixels of arcs.
NOISE = 0.25


def ring() -> np.ndarray:
    y, x = np.indices((SIDE, SIDE)) - SIDE // 2
    return 5 * np.exp(-0.5 * ((np.hypot(x, y) - 15) / 2) ** 2)


def white() -> np.ndarray:
    return np.random.default_rng(3).standard_normal((SIDE, SIDE))


def everywhere() -> np.ndarray:
    return np.ones((SIDE, SIDE), dtype=bool)


def test_noise_alone_is_believed() -> None:
    factor = noise_factor(white(), ring(), everywhere())
    assert np.median(factor) == pytest.approx(1, abs=NOISE)


def test_what_is_alike_among_neighbours_counts_as_less() -> None:
    blocks = np.kron(np.random.default_rng(4).standard_normal((13, 13)), np.ones((5, 5)))
    factor = noise_factor(blocks[:SIDE, :SIDE], ring(), everywhere())
    assert np.median(factor) > BLOCK / 2
    assert factor.max() <= 3 * MOST**0.5


def test_circles_on_which_the_lens_light_is_wrong_are_believed_less() -> None:
    left = white()
    y, x = np.indices(left.shape) - SIDE // 2
    left[np.hypot(x, y) < 6] *= 8
    factor = noise_factor(left, np.zeros_like(left), everywhere())
    assert factor[SIDE // 2, SIDE // 2 + 3] > 4
    assert factor[SIDE // 2, SIDE // 2 + 20] < 1.5


def test_pixels_that_do_not_count_say_nothing() -> None:
    left, used = white(), everywhere()
    expected = noise_factor(np.where(np.arange(SIDE) < 40, left, 0), ring(), used)
    used[:, 40:] = False
    left[:, 40:] = 1e6
    assert np.isfinite(noise_factor(left, ring(), used)).all()
    assert np.median(noise_factor(left, ring(), used)) < 2 * np.median(expected)
