import numpy as np
import pytest
from scipy.stats import ks_2samp

from lenspinn.lensing import angular_diameter_distances, mass_from_theta_E
from lenspinn.simulate import Scene, draw_batch, draw_scene, draw_scenes, get_recipe, truth_fields
from lenspinn.simulate.draw import noise_generator

from .conftest import RECIPES

INDICES = [7, 0, 5, 301, 3]


def arrays(scene: Scene) -> list[np.ndarray]:
    """Every array of a scene, in a fixed order."""
    present = [part for part in (*vars(scene).values(), scene.source.clumps) if part is not None]
    parts = [part._asdict() if isinstance(part, tuple) else vars(part) for part in present]
    return [values for part in parts for values in part.values() if isinstance(values, np.ndarray)]


@pytest.mark.parametrize("name", RECIPES)
def test_a_scene_does_not_depend_on_what_else_is_drawn(name):
    recipe = get_recipe(name)
    together, truths = draw_scenes(recipe, 9, INDICES)
    for row, index in enumerate(INDICES):
        alone, truth = draw_scene(recipe, 9, index)
        width = 0 if alone.points is None else alone.points.x.shape[1]
        smooth = (arrays(alone.smooth()), arrays(together.smooth().take([row])))
        for values, expected in zip(*smooth, strict=True):
            np.testing.assert_array_equal(values, expected)
        for name, values in alone.points._asdict().items() if width else ():
            expected = getattr(together.points, name)[row]
            np.testing.assert_array_equal(values[0], expected[:width])
            assert not expected[width:].any()
        for key, value in truth.items():
            np.testing.assert_array_equal(value[0], truths[key][row])


@pytest.mark.parametrize("name", RECIPES)
def test_truth_has_the_declared_fields_and_shapes(name):
    recipe = get_recipe(name)
    _, truth = draw_scenes(recipe, 0, range(6))
    shapes = {key: values.shape[1:] for key, values in truth.items()}
    assert shapes == truth_fields(recipe)
    assert all(values.dtype == np.float64 for values in truth.values())


def test_another_seed_or_index_is_another_scene():
    recipe = get_recipe("survey/hst")
    drawn = [
        draw_scene(recipe, *key)[0].lens.theta_E[0] for key in ((0, 0), (0, 1), (1, 0), (1, 1))
    ]
    assert len(set(drawn)) == 4


def test_noise_has_random_numbers_of_its_own():
    scene = np.random.Generator(np.random.PCG64(np.random.SeedSequence([3, 4]))).random()
    assert noise_generator(3, 4).random() != scene
    assert noise_generator(3, 4).random() == noise_generator(3, 4).random()
    assert noise_generator(3, 4).random() != noise_generator(3, 5).random()


def test_the_classes_take_turns():
    _, truth = draw_scenes(get_recipe("survey/hst"), 0, range(6))
    assert list(np.isfinite(truth["axion_mass_eV"])) == [True, False, False] * 2
    assert list(truth["num_subhalos"] > 0) == [False, True, False] * 2


def test_absent_point_masses_have_no_mass_and_no_theta_E():
    _, truth = draw_scenes(get_recipe("survey/hst"), 0, [2])
    assert truth["point_x"].shape == (1, 100)
    assert not truth["point_theta_E"].any()
    assert not truth["point_mass"].any()


def test_masses_and_their_fraction_agree():
    _, truth = draw_scenes(get_recipe("survey/hst"), 0, range(30))
    mass = truth["point_mass"].sum(axis=1)
    distances = angular_diameter_distances(0.5, 1.0)
    np.testing.assert_allclose(truth["substructure_mass"], mass, rtol=1e-12)
    np.testing.assert_allclose(
        truth["main_mass"], mass_from_theta_E(truth["theta_E_physical"], distances), rtol=1e-12
    )
    np.testing.assert_allclose(
        truth["substructure_fraction"], mass / truth["main_mass"], rtol=1e-12
    )


def test_theta_E_is_kept_as_it_acts_and_as_it_was_before_scaling():
    _, truth = draw_scenes(get_recipe("deeplense/model_2"), 0, [0])
    assert truth["theta_E"][0] == pytest.approx(0.811770415, abs=1e-9)
    assert truth["theta_E_physical"][0] == pytest.approx(1.281490568, abs=1e-9)
    assert truth["gamma1_physical"][0] == 0.05


def test_magnitude_sets_the_flux():
    _, truth = draw_scenes(get_recipe("survey/hst", **{"source.magnitude": 20.0}), 0, [0])
    assert truth["source_flux"][0] == pytest.approx(242.103, abs=5e-4)
    assert truth["source_magnitude"][0] == 20.0


def test_without_a_zero_point_no_magnitude_is_kept():
    assert "source_magnitude" not in truth_fields(get_recipe("deeplense/model_1"))


def test_a_clumpy_recipe_has_the_lenses_and_sources_of_the_one_without():
    recipes = [get_recipe(name) for name in ("survey/hst", "survey/hst_clumpy")]
    rows = np.repeat([0, 1, 2], 4)
    for draw in (
        lambda recipe: draw_scenes(recipe, 7, range(12)),
        lambda recipe: draw_batch(recipe, rows, np.random.default_rng(7)),
    ):
        (_, plain), (_, clumpy) = (draw(recipe) for recipe in recipes)
        for name, values in plain.items():
            np.testing.assert_array_equal(clumpy[name], values)
        added = ["clump_flux", "clump_share", "clump_sigma", "clump_x", "clump_y"]
        assert sorted(clumpy.keys() - plain.keys()) == added
        total = clumpy["clump_share"] * plain["source_flux"]
        np.testing.assert_allclose(clumpy["clump_flux"].sum(axis=1), total, rtol=1e-12)


LABELS = np.repeat([0, 1, 2], 40)


@pytest.mark.parametrize("name", RECIPES)
def test_a_batch_is_a_function_of_the_random_numbers(name):
    recipe = get_recipe(name)
    drawn = [draw_batch(recipe, LABELS, np.random.default_rng(seed)) for seed in (3, 3, 4)]
    for first, second, other in zip(*(arrays(scene) for scene, _ in drawn), strict=True):
        np.testing.assert_array_equal(first, second)
        assert first.shape[0] == other.shape[0]
    assert (drawn[0][1]["source_x"] != drawn[2][1]["source_x"]).all()


@pytest.mark.parametrize("name", RECIPES)
def test_a_batch_is_distributed_as_single_scenes(name):
    recipe = get_recipe(name)
    num = 400
    labels = np.repeat([0, 1, 2], num)
    _, batch = draw_batch(recipe, labels, np.random.default_rng(0))
    order = np.argsort(np.arange(3 * num) % 3, kind="stable")
    _, single = draw_scenes(recipe, 0, np.arange(3 * num)[order])
    assert batch.keys() == single.keys()
    for key, values in single.items():
        assert batch[key].shape == values.shape
        np.testing.assert_array_equal(np.isnan(batch[key]), np.isnan(values))
        if values.ndim == 1:
            # 1 comparison in 10,000 would fail by chance; there are about 100.
            assert ks_2samp(batch[key], values, nan_policy="omit").pvalue > 1e-4, key
