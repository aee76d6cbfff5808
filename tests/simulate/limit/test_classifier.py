import math

import numpy as np
import pytest
import torch

from lenspinn.simulate.limit.classifier import ideal_confusion, mean_interval

# Of a probability, from the 4096 quasi-random draws of the noise.
TOLERANCE = 2e-3


def signals(*rows):
    return torch.tensor([rows], dtype=torch.float64)


def normal_cdf(x):
    return 0.5 * (1 + math.erf(x / math.sqrt(2)))


@pytest.mark.parametrize("distance", [0.3, 1.0, 3.0])
def test_two_classes_are_told_apart_by_half_their_distance(distance):
    found = ideal_confusion(signals([0.0, 0.0, 1.0], [0.0, distance, 1.0]), seed=0)
    right = normal_cdf(distance / 2)
    expected = torch.tensor([[[right, 1 - right], [1 - right, right]]], dtype=torch.float64)
    torch.testing.assert_close(found, expected, rtol=0, atol=TOLERANCE)


def test_three_classes_on_a_line():
    found = ideal_confusion(signals([-2.0], [0.0], [2.0]), seed=0)[0]
    tail = 1 - normal_cdf(1.0)
    assert found[1, 1].item() == pytest.approx(1 - 2 * tail, abs=TOLERANCE)
    assert found[0, 1].item() == pytest.approx(normal_cdf(3.0) - normal_cdf(1.0), abs=TOLERANCE)


def test_three_classes_agree_with_plain_monte_carlo():
    points = np.array([[0.0, 0.0, 0.0], [1.5, 0.0, 0.3], [0.4, 1.1, -0.2]])
    found = ideal_confusion(signals(*points.tolist()), seed=0)[0].numpy()
    data = points[:, None] + np.random.default_rng(1).standard_normal((3, 200_000, 3))
    nearest = np.square(data[:, :, None] - points).sum(axis=3).argmin(axis=2)
    expected = np.stack([np.bincount(row, minlength=3) / len(row) for row in nearest])
    np.testing.assert_allclose(found, expected, rtol=0, atol=TOLERANCE + 4 * 0.5 / 200_000**0.5)


@pytest.mark.parametrize("num_classes", [2, 3, 5])
def test_equal_classes_share(num_classes):
    found = ideal_confusion(torch.ones(4, num_classes, 7, dtype=torch.float64), seed=0)
    torch.testing.assert_close(found, torch.full_like(found, 1 / num_classes))


def test_two_equal_classes_and_one_far_away():
    found = ideal_confusion(signals([0.0, 0.0], [0.0, 0.0], [1000.0, 0.0]), seed=0)[0]
    expected = torch.tensor([[0.5, 0.5, 0.0], [0.5, 0.5, 0.0], [0.0, 0.0, 1.0]])
    torch.testing.assert_close(found, expected.double())


def test_rows_sum_to_one_and_follow_the_seed():
    points = torch.randn(6, 4, 9, dtype=torch.float64, generator=torch.Generator().manual_seed(2))
    found = ideal_confusion(points, seed=5)
    torch.testing.assert_close(found.sum(dim=2), torch.ones(6, 4, dtype=torch.float64))
    assert torch.equal(found, ideal_confusion(points, seed=5))
    assert not torch.equal(found, ideal_confusion(points, seed=6))


def test_only_differences_matter():
    points = signals([0.0, 0.0], [1.0, 0.5], [0.0, 2.0])
    moved = points @ torch.tensor([[0.6, 0.8], [-0.8, 0.6]], dtype=torch.float64) + 30.0
    torch.testing.assert_close(
        ideal_confusion(moved, seed=0), ideal_confusion(points, seed=0), rtol=0, atol=TOLERANCE
    )


def test_interval_of_a_mean_is_that_of_the_normal_law():
    values = np.random.default_rng(3).normal(5.0, 2.0, 400)
    mean, low, high = mean_interval(values, seed=0)
    assert mean == values.mean()
    half = 1.96 * values.std() / 400**0.5
    # 1000 resamples give a 2.5 % quantile to about 5 % of the half-width
    assert (low, high) == pytest.approx((mean - half, mean + half), abs=0.15 * half)
