import json

import numpy as np
import pytest

from lenspinn.errors import ConfigError
from lenspinn.simulate import draw_scenes, get_recipe, list_recipes
from lenspinn.simulate.distributions import Fixed, LogUniform, Normal, PowerLaw, Uniform

from .conftest import RECIPES


@pytest.mark.parametrize("name", list_recipes())
def test_a_recipe_is_rebuilt_from_its_json(name):
    recipe = get_recipe(name, num_pix=20)
    assert get_recipe(**json.loads(json.dumps(recipe.to_dict()))) == recipe


def test_recipes_without_clumps_are_written_as_before_there_were_any():
    assert "clumps" not in get_recipe("survey/hst").to_dict()["source"]
    assert "clumps" in get_recipe("survey/hst_clumpy").to_dict()["source"]


@pytest.mark.parametrize("name", RECIPES)
def test_classes_are_those_of_the_paper_in_alphabetical_order(name):
    assert get_recipe(name).classes == ("axion", "cdm", "no_sub")


def test_the_headline_recipe_has_its_fixed_numbers():
    recipe = get_recipe("survey/hst")
    lens, source, cdm = recipe.lens, recipe.source, recipe.populations["cdm"]
    axion = recipe.populations["axion"]
    assert (recipe.num_pix, recipe.instrument.pixel_scale) == (64, 0.08)
    assert (recipe.instrument.name, recipe.unit) == ("hst_wfc3_f160w", "e-/s")
    assert vars(recipe.geometry) == {"z_lens": 0.5, "z_source": 1.0, "H0": 70.0, "Om0": 0.3}
    assert (lens.theta_E, lens.mass) == (Uniform(0.6, 1.5), None)
    assert lens.e1 == lens.e2 == Normal(0.0, 0.1)
    assert lens.center_x == lens.center_y == Normal(0.0, 0.05)
    assert lens.gamma1 == lens.gamma2 == Normal(0.0, 0.04)
    assert source.center_x == source.center_y == Uniform(-0.3, 0.3)
    assert (source.R_sersic, source.n_sersic) == (LogUniform(0.1, 0.4), Uniform(0.7, 3.0))
    assert source.e1 == source.e2 == Normal(0.0, 0.15)
    assert source.magnitude == Fixed(22.0)
    assert (cdm.mean_number, cdm.mass) == (25.0, PowerLaw(1e6, 1e10, -1.9))
    assert cdm.radius == Uniform(0.25, 2.0)
    assert (axion.mass, axion.axion_mass) == (Fixed(3e10), LogUniform(1e-24, 1e-22))
    assert not any(vars(recipe.faults).values())
    assert recipe.noise_sigma == pytest.approx(0.005920, abs=5e-7)


@pytest.mark.parametrize("name", RECIPES[:3])
def test_a_deeplense_recipe_varies_only_what_the_simulator_varies(name):
    scene, truth = draw_scenes(get_recipe(name), 0, range(2, 60, 3))
    varied = {
        (part, key)
        for part in ("lens", "source")
        for key, values in vars(getattr(scene, part)).items()
        if values is not None and np.ptp(values) > 0
    }
    assert varied == {("source", "center_x"), ("source", "center_y")}
    assert np.abs(scene.source.center_x).max() <= 0.35
    np.testing.assert_allclose(truth["main_mass"], 1e12, rtol=1e-12)


def test_an_instrument_is_given_by_name():
    recipe = get_recipe("survey/hst", instrument="euclid_vis_legacy")
    assert recipe.instrument.zero_point == 24.0


@pytest.mark.parametrize(
    ("name", "overrides", "said"),
    [
        ("survey/hts", {}, "no recipe 'survey/hts'; did you mean 'survey/hst'"),
        ("survey/hst", {"instrument": "hst_wfc3_f16w"}, "did you mean 'hst_wfc3_f160w'"),
        ("survey/hst", {"geometry.z_lens": 1.2}, "source must lie behind the lens"),
        ("deeplense/model_3", {"faults.z_source_convention": 0.4}, "behind the lens"),
        ("survey/hst", {"instrument.psf_fwhm": 6.0}, "psf_fwhm of 6.0 arcsec is larger than"),
        ("survey/hst", {"lens.e1": {"normal": [0, -0.1]}}, "lens.e1: .* sigma >= 0"),
        ("survey/hst", {"source.magnitude": None}, "source: give either magnitude or amplitude"),
        (
            "deeplense/model_1",
            {"source.magnitude": 20},
            "source: give either magnitude or amplitude, and not both: set the other to null",
        ),
        (
            "deeplense/model_1",
            {"source.magnitude": 20, "source.amplitude": None},
            "source.magnitude .* no zero_point",
        ),
        ("survey/hst", {"num_pix": 0}, "num_pix must be at least 1, got 0"),
    ],
)
def test_a_bad_recipe_is_one_sentence_that_names_the_key(name, overrides, said):
    with pytest.raises(ConfigError, match=said):
        get_recipe(name, **overrides)


@pytest.mark.parametrize(
    ("key", "size", "said"),
    [
        ("psf_kernel", 17, "psf.npy is 17 pixels wide, larger than the image with 16"),
        ("psf_kernel", 4, "psf.npy is 4 x 4; it must be square, with an odd size"),
        ("noise_correlation", 4, "psf.npy is 4 x 4; it must be square, with an odd size"),
        ("noise_correlation", None, "No such file"),
    ],
)
def test_a_file_that_cannot_be_used_is_one_sentence_that_names_the_key(tmp_path, key, size, said):
    path = tmp_path / "psf.npy"
    if size:
        np.save(path, np.ones((size, size)))
    recipe = get_recipe("survey/hst", num_pix=16, **{f"instrument.{key}": str(path)})
    with pytest.raises(ConfigError, match=f"^instrument.{key}: .*{said}"):
        recipe.check_files()


def test_a_psf_as_large_as_the_image_is_taken(tmp_path):
    np.save(tmp_path / "psf.npy", np.ones((15, 15)))
    changes = {"instrument.psf_kernel": str(tmp_path / "psf.npy")}
    get_recipe("survey/hst", num_pix=15, **changes).check_files()
