import numpy as np
import pytest

from lenspinn.simulate.populations import POPULATIONS, Population

from .conftest import UNIT, drawn, lenses

KINDS = ("points", "halos", "rods")
BUILT_IN = sorted(name for name in POPULATIONS if not name.startswith("pyhalo"))


@pytest.mark.parametrize("name", BUILT_IN)
def test_a_population_keeps_its_promises(name):
    population, num = POPULATIONS[name], 20
    assert isinstance(population, Population)
    substructure = drawn(name, num)
    assert {kind for kind in KINDS if getattr(substructure, kind)} == population.capacity.keys()
    for kind, most in population.capacity.items():
        for values in getattr(substructure, kind):
            assert values.shape[0] == num
            assert values.shape[1] <= most
            assert np.isfinite(values).all()
    assert substructure.truth.keys() == population.truth_fields.keys()
    for field, shape in population.truth_fields.items():
        assert substructure.truth[field].shape == (num, *shape)


@pytest.mark.parametrize("name", BUILT_IN)
def test_one_lens_is_drawn_as_a_batch_of_one(name):
    one, again = (drawn(name, 1) for _ in range(2))
    for kind in KINDS:
        for first, second in zip(getattr(one, kind) or (), getattr(again, kind) or (), strict=True):
            np.testing.assert_array_equal(first, second)


@pytest.mark.parametrize("name", ["cdm", "axion"])
def test_einstein_radii_of_points_grow_as_the_root_of_mass(name):
    points = drawn(name, 20).points
    np.testing.assert_allclose(points.theta_E, UNIT * np.sqrt(points.mass), rtol=1e-12)


def test_some_of_the_lenses_can_be_taken():
    taken = lenses(5)._replace(center_x=np.arange(5.0)).take(np.array([3, 1]))
    assert list(taken.center_x) == [3.0, 1.0]
    assert taken.plane is lenses().plane
