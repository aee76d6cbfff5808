import numpy as np

from lenspinn.detect.mock_noise import LEAST_BLANK, LONGEST_LAG, Noise, noise_of_residual

BLANK = np.ones((120, 120), dtype=bool)


def correlated(rng, scale):
    alone = np.zeros((2 * LONGEST_LAG + 1,) * 2)
    alone[LONGEST_LAG, LONGEST_LAG] = 1.0
    for step in (-1, 1):
        alone[LONGEST_LAG, LONGEST_LAG + step] = 0.3
        alone[LONGEST_LAG + step, LONGEST_LAG] = 0.3
    return Noise(scale, alone).draw(rng, (1, 120, 120))[0].astype(float)


def test_noise_is_measured_as_it_was_drawn():
    found = noise_of_residual(correlated(np.random.default_rng(1), 0.7), BLANK)
    middle = LONGEST_LAG
    assert abs(found.scale - 0.7) < 0.02
    assert abs(found.correlation[middle, middle + 1] - 0.3) < 0.03
    assert abs(found.correlation[middle + 2, middle]) < 0.04
    assert found.correlation[middle, middle] == 1


def test_a_pixel_that_is_no_noise_does_not_count():
    residual = correlated(np.random.default_rng(2), 1.0)
    hit = residual.copy()
    hit[50, 50] = 500.0
    assert (
        abs(noise_of_residual(hit, BLANK).scale / noise_of_residual(residual, BLANK).scale - 1)
        < 0.01
    )


def test_where_nothing_is_blank_noise_is_taken_at_its_word():
    few = np.zeros_like(BLANK)
    few.flat[: LEAST_BLANK - 1] = True
    found = noise_of_residual(np.full(BLANK.shape, 3.0), few)
    assert found.scale == 1
    assert found.correlation.sum() == 1
