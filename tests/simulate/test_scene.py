import dataclasses

import numpy as np

from lenspinn.simulate.populations import Halos, PointMasses
from lenspinn.simulate.scene import joined, padded

from .conftest import plain_scene, with_clumps


def halos(num: int, width: int) -> Halos:
    return Halos(*np.full((6, num, width), 2.0))


def test_take_repeats_and_reorders():
    scene = plain_scene(3, np.arange(9.0).reshape(3, 3, 1), theta_E=[1.0, 2.0, 3.0])
    taken = scene.take([2, 0, 0])
    assert list(taken.lens.theta_E) == [3.0, 1.0, 1.0]
    assert list(taken.points.y[:, 0]) == [5.0, 3.0, 3.0]
    assert len(taken) == 3


def test_smooth_scenes_have_no_substructure():
    scene = plain_scene(2, np.ones((3, 2, 4))).smooth()
    assert (scene.points, scene.halos, scene.rods) == (None, None, None)
    assert len(scene) == 2


def test_joined_scenes_have_places_for_the_richest():
    first = plain_scene(2, np.ones((3, 2, 1)))
    second = dataclasses.replace(plain_scene(1, np.full((3, 1, 3), 2.0)), halos=halos(1, 2))
    scene = joined([first, plain_scene(1), second])
    assert list(scene.points.theta_E.sum(axis=1)) == [1.0, 1.0, 0.0, 6.0]
    assert scene.halos.mass.shape == (4, 2)
    assert list(scene.halos.mass[:, 0]) == [0.0, 0.0, 0.0, 2.0]
    # A halo without mass needs a size all the same.
    assert list(scene.halos.Rs[:, 1]) == [1.0, 1.0, 1.0, 2.0]
    assert scene.rods is None
    assert list(scene.lens.theta_E) == [1.0] * 4


def test_joining_nothing_but_smooth_scenes_makes_no_places():
    empty = plain_scene(2, np.empty((3, 2, 0)))
    assert joined([plain_scene(1), empty]).points is None


def test_padding_keeps_what_is_there():
    values = np.array([[1.0, 2.0]])
    np.testing.assert_array_equal(padded("mass", values, 4), [[1.0, 2.0, 0.0, 0.0]])
    np.testing.assert_array_equal(padded("Rs", values, 3), [[1.0, 2.0, 1.0]])
    assert PointMasses._fields == ("x", "y", "theta_E", "mass")


def clumps(num: int) -> dict[str, np.ndarray]:
    """Four values for each of three clumps of ``num`` sources, all different."""
    values = np.arange(12.0 * num).reshape(4, num, 3) / 100
    return dict(zip(("flux", "x", "y", "sigma"), values, strict=True))


def test_clumps_are_taken_and_joined_with_their_source():
    two, one = with_clumps(plain_scene(2), **clumps(2)), with_clumps(plain_scene(), **clumps(1))
    scene = joined([two, one]).take([2, 0])
    for name, values in clumps(2).items():
        expected = np.stack([clumps(1)[name][0], values[0]])
        np.testing.assert_array_equal(getattr(scene.source.clumps, name), expected)


def test_clumps_take_their_flux_from_the_profile():
    source = with_clumps(plain_scene(), **clumps(1)).source
    assert source.smooth_flux == source.flux - 0.03
    assert plain_scene().source.smooth_flux == 1.0
