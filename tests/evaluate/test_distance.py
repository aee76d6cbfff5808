import numpy as np
import pytest

from lenspinn.evaluate.distance import fit_cloud, fit_feature_space

ROUNDING = 1e-6  # components are stored as float32


def correlated(num: int) -> np.ndarray:
    mixing = np.array([[2.0, 0.0, 0.0], [1.0, 0.5, 0.0], [-3.0, 0.4, 0.1]])
    return np.random.default_rng(7).normal(size=(num, 3)) @ mixing.T


def test_the_distance_is_that_of_a_normal_distribution_with_the_same_covariance():
    points = correlated(200_000)
    cloud = fit_cloud(points, np.zeros(len(points), dtype=int))
    squares = cloud.distance(points) ** 2
    assert squares.mean() == pytest.approx(3, rel=0.01)  # chi^2 of three degrees of freedom
    assert squares.var() == pytest.approx(6, rel=0.05)


def test_groups_share_a_covariance_and_the_nearest_centre_counts():
    points = correlated(3000)
    labels = np.arange(3000) % 2
    points[labels == 1] += 100
    cloud = fit_cloud(points, labels)
    np.testing.assert_allclose(cloud.distance(cloud.centres), 0, atol=ROUNDING)
    assert cloud.distance(np.full((1, 3), 50.0))[0] > 20


def test_few_points_in_many_dimensions_are_no_obstacle():
    points = np.random.default_rng(8).normal(size=(10, 40))
    found = fit_cloud(points, np.zeros(10, dtype=int)).distance(points)
    assert np.isfinite(found).all()


def test_a_coordinate_that_never_moves_does_not_divide_by_zero():
    points = np.column_stack([correlated(100), np.full(100, 7.0)])
    assert np.isfinite(fit_cloud(points, np.zeros(100, dtype=int)).distance(points)).all()


def test_what_the_components_leave_is_a_coordinate_of_its_own():
    rng = np.random.default_rng(9)
    directions = rng.normal(size=(2, 100))

    def near_a_plane(num):
        return rng.normal(size=(num, 2)) @ directions + 0.1 * rng.normal(size=(num, 100))

    space = fit_feature_space(near_a_plane(60))
    usual = near_a_plane(50)
    strange = usual + rng.normal(size=(50, 100))
    assert space.coordinates(strange)[:, -1].min() > space.coordinates(usual)[:, -1].max() + 1


def test_components_are_few_enough_for_the_images():
    space = fit_feature_space(np.random.default_rng(10).normal(size=(50, 200)))
    assert space.coordinates(np.zeros((1, 200))).shape == (1, 11)
    kept = space.components.astype(np.float64)
    np.testing.assert_allclose(kept @ kept.T, np.eye(10), atol=ROUNDING)


def test_a_group_without_points_is_near_nothing():
    points = np.random.default_rng(8).normal(size=(60, 2))
    labels = np.repeat([0, 1], 30)
    both = fit_cloud(points, labels).distance(points)
    np.testing.assert_array_equal(fit_cloud(points, 2 * labels).distance(points), both)
