"""Each fault of the DeepLense simulator, switched on and off through a recipe."""

import json
from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import ks_2samp

from lenspinn.simulate import Faults, draw_scenes, get_recipe, render, simulate_images

CDM = np.arange(1, 91, 3)


def theta_E(**faults) -> float:
    recipe = get_recipe("deeplense/model_3", faults=faults)
    return float(draw_scenes(recipe, 0, [0])[0].lens.theta_E[0])


def test_no_fault_is_on_unless_asked():
    off = Faults()
    assert all(not value for value in vars(off).values())


# Ten digits: what the simulator printed depends on the physical constants of its astropy.
def test_model_3_has_the_theta_E_of_the_simulator():
    assert theta_E() == pytest.approx(0.811770414834367, rel=1e-10)


def test_an_exact_radian_makes_theta_E_smaller_by_a_millionth():
    assert theta_E(rounded_arcsec=False) / theta_E() == pytest.approx(1 - 9.393e-7, abs=1e-10)


def test_published_images_have_the_theta_E_of_an_older_cosmology():
    assert theta_E(convention_Om0=0.2814) == pytest.approx(0.81287, abs=5e-6)


def test_without_the_source_convention_nothing_is_scaled():
    assert theta_E(z_source_convention=None) == pytest.approx(1.28149, abs=5e-6)


def test_with_correct_distances_the_ring_is_larger():
    correct = theta_E(z_source_convention=None, luminosity_distances=False)
    assert correct == pytest.approx(1.6645, abs=5e-5)


def test_the_convention_scales_shear_and_substructure_masses_too():
    faulty = draw_scenes(get_recipe("deeplense/model_3"), 0, CDM)[0]
    recipe = get_recipe("deeplense/model_3", **{"faults.z_source_convention": None})
    correct = draw_scenes(recipe, 0, CDM)[0]
    scaling = 0.6334579710123897
    np.testing.assert_allclose(faulty.lens.gamma1 / correct.lens.gamma1, scaling, rtol=1e-12)
    np.testing.assert_allclose(
        faulty.points.theta_E**2 / correct.points.theta_E**2, scaling, rtol=1e-12
    )


def test_a_shallow_mass_function_has_heavy_subhalos():
    faulty = draw_scenes(get_recipe("deeplense/model_3"), 0, CDM)[1]
    recipe = get_recipe("deeplense/model_3", **{"faults.shallow_mass_function": False})
    correct = draw_scenes(recipe, 0, CDM)[1]
    # Share of 750 masses above 1e8: 0.613 for a slope of -0.9 and 0.0156 for -1.9.
    for drawn, share in ((faulty, 0.613), (correct, 0.0156)):
        mass = drawn["point_mass"][:, :25]
        assert (mass > 1e8).mean() == pytest.approx(
            share, abs=5 * (share * (1 - share) / 750) ** 0.5
        )


@pytest.mark.parametrize("model", ["I", "II", "III"])
def test_populations_are_distributed_as_the_authors_truth(model, shared_data):
    entries = json.loads((shared_data / "deeplensesim" / f"model_{model}_truth.json").read_text())
    cdm = [e for e in entries if e["cls"] == "cdm"]
    points = np.concatenate([np.array(e["cdm_point_masses_thetaE_x_y"]) for e in cdm])
    recipe = get_recipe(f"deeplense/model_{len(model)}")
    scene = draw_scenes(recipe, 0, np.arange(1, 601, 3))[0]
    ours = [values[:, :25] for values in scene.points[:3]]
    # 1 in 1,000 truths would fail by chance.
    assert ks_2samp(points[:, 0], ours[2].ravel()).pvalue > 1e-3
    assert ks_2samp(np.hypot(*points[:, 1:].T), np.hypot(*ours[:2]).ravel()).pvalue > 1e-3


def test_a_fixed_count_is_25_subhalos_and_a_poisson_one_varies():
    faulty = draw_scenes(get_recipe("deeplense/model_3"), 0, CDM)[1]
    recipe = get_recipe("deeplense/model_3", **{"faults.fixed_subhalo_count": False})
    correct = draw_scenes(recipe, 0, CDM)[1]
    assert set(faulty["num_subhalos"]) == {25}
    # Variance of 30 Poisson numbers of mean 25.
    assert 10 < correct["num_subhalos"].var() < 50


def test_a_larger_core_dims_the_source_centre():
    on_centre = {"center_x": 0.0, "center_y": 0.0}
    recipe = get_recipe(
        "deeplense/model_3",
        num_pix=3,
        source=on_centre,
        instrument={"psf_fwhm": 0.0},
        lens={"gamma1": 0.0},
    )
    scene = draw_scenes(recipe, 0, [2])[0]
    camera = recipe.camera
    faulty = render(scene, camera)[0, 1, 1].item()
    correct = render(scene, replace(camera, source_core=1e-4))[0, 1, 1].item()
    b_n, R_sersic = 1.6721, 0.25
    assert faulty / correct == pytest.approx(np.exp(-b_n * (1e-3 - 1e-4) / R_sersic), rel=1e-4)


def test_the_stored_image_is_doubled_and_noise_free():
    recipe = get_recipe("deeplense/model_2")
    images, _, _ = simulate_images(recipe, 3, seed=4)
    scene, _ = draw_scenes(recipe, 4, [2])
    model = render(scene, recipe.camera)[0].numpy()
    # Rounding of float32, which differs with the place in a batch.
    np.testing.assert_allclose(images[2, 0], 2 * model, rtol=1e-5, atol=1e-6 * model.max())


def test_with_its_faults_off_a_deeplense_image_is_noisy_and_single():
    off = {"noise_left_out": False, "image_doubled": False}
    recipe = get_recipe("deeplense/model_2", faults=off)
    images, _, _ = simulate_images(recipe, 3, seed=4)
    models, _, _ = simulate_images(
        get_recipe("deeplense/model_2", **{"faults.image_doubled": False}), 3, seed=4
    )
    faint = models < models.max() / 1e4
    noise = (images - models)[faint]
    # A few thousand faint pixels: their scatter is known to 2 %.
    assert noise.std() == pytest.approx(0.005869, rel=0.06)


def test_model_1_stores_whole_counts():
    images, _, truth = simulate_images("deeplense/model_1", 3, seed=1)
    np.testing.assert_array_equal(images, np.round(images))
    assert images.min() == 0
    assert (truth["exposure_time"] >= 1e3).all()
    assert (truth["exposure_time"] <= 10**3.5).all()
