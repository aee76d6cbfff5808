import json
from pathlib import Path

import pytest
import yaml

from lenspinn.errors import ConfigError
from lenspinn.simulate import POPULATIONS, get_recipe, list_recipes
from lenspinn.simulate.catalogue import configured_recipe
from lenspinn.simulate.distributions import Fixed, PowerLaw

CONFIGS = Path(__file__).resolve().parents[2] / "configs" / "simulate"


def test_the_variants_differ_from_the_headline_in_what_they_are_named_for():
    headline = get_recipe("survey/hst").to_dict()
    expected = {
        "survey/hst_shallow": {"populations"},
        "survey/hst_multipoles": {"lens"},
        "survey/hst_tnfw": {"populations"},
        "survey/hst_cosmos": {"source", "supersampling"},
        "survey/hst_clumpy": {"source", "supersampling"},
        "survey/hst_complex": {"lens", "source", "supersampling"},
        "survey/hst_realistic": {"instrument", "lens", "source", "supersampling", "populations"},
        "survey/hst_lenslight": {"lens_light"},
        "survey/euclid": {"instrument", "supersampling"},
        "survey/rubin": {"instrument", "supersampling"},
        "survey/jwst": {"instrument", "supersampling", "num_pix"},
    }
    for name in list_recipes():
        if name.startswith("survey/") and name != "survey/hst":
            recipe = get_recipe(name).to_dict()
            changed = {key for key in headline if recipe[key] != headline[key]}
            assert changed - {"name", "summary"} == expected[name]
    assert get_recipe("survey/hst_shallow").populations["cdm"].mass == PowerLaw(1e6, 1e10, -0.9)


def test_the_recipe_of_the_shipped_network_is_what_its_training_drew():
    """By another name, with every override spelt out."""
    changed = yaml.safe_load((CONFIGS / "survey_hst_complex.yaml").read_text())
    names = ("name", "summary")
    found, trained = (
        {key: value for key, value in recipe.to_dict().items() if key not in names}
        for recipe in (
            get_recipe("survey/hst_realistic"),
            get_recipe(changed["recipe"], **changed["overrides"]),
        )
    )
    assert found == trained
    assert yaml.safe_load((CONFIGS / "survey_hst_realistic.yaml").read_text())["recipe"] == (
        "survey/hst_realistic"
    )


def test_the_shipped_network_knows_its_recipe():
    folder = CONFIGS.parents[1] / "models" / "lenspinn_fit_hst"
    info = json.loads((folder / "data.json").read_text())
    recipe = get_recipe("survey/hst_realistic").to_dict() | {"engine": "eager"}
    assert info["recipe"] == "survey/hst_realistic"
    assert info["recipe_config"] == json.loads(json.dumps(recipe))


@pytest.mark.parametrize(
    "overrides",
    [
        {"populations.cdm": "tnfw_subhalos"},
        {"populations": {"cdm": "tnfw_subhalos"}},
        {"populations": {"cdm": {"population": "tnfw_subhalos"}}},
    ],
)
def test_a_population_is_chosen_by_name(overrides):
    recipe = get_recipe("survey/hst", **overrides)
    assert recipe.populations["cdm"] == POPULATIONS["tnfw_subhalos"]
    assert recipe.classes == ("axion", "cdm", "no_sub")
    assert get_recipe(**json.loads(json.dumps(recipe.to_dict()))) == recipe


def test_a_class_is_added_and_changed_at_once():
    recipe = get_recipe(
        "survey/hst", **{"populations.wdm": "warm_subhalos", "populations.wdm.mean_number": 5}
    )
    assert recipe.classes == ("axion", "cdm", "no_sub", "wdm")
    assert recipe.populations["wdm"].mean_number == 5.0
    assert get_recipe(**recipe.to_dict()) == recipe


@pytest.mark.parametrize(
    ("overrides", "said"),
    [
        ({"populations.cdm": "tnfw_subhalo"}, "no population 'tnfw_subhalo'; did you mean"),
        ({"populations.wdm.mean_number": 5}, "there is no populations.wdm"),
        ({"instrument": "rubin_z"}, "no instrument 'rubin_z'; did you mean 'rubin_"),
        ({"source.amplitude": 3.0}, "source: give either magnitude or amplitude"),
        ({"instrument.zero_point": None}, "zero_point of hst_wfc3_f160w must be given"),
        ({"supersampling": 0}, "supersampling must be at least 1"),
        ({"lens.gamma": -1}, "lens: gamma must lie between 1 and 3"),
        ({"lens_light": {"magnitude": 20}}, "lens_light is none in this recipe: start from"),
        ({"source.clumps.number": 5}, "source.clumps is none in this recipe: start from"),
    ],
)
def test_a_bad_override_is_one_sentence_that_names_the_key(overrides, said):
    with pytest.raises(ConfigError, match=said):
        get_recipe("survey/hst", **overrides)


def test_clumps_are_changed_by_key():
    overrides = {"source.clumps.number": 3, "source.clumps.share": 0.25}
    recipe = get_recipe("survey/hst_clumpy", **overrides)
    assert recipe.source.clumps.number == 3
    assert recipe.source.clumps.share == Fixed(0.25)
    assert get_recipe(**json.loads(json.dumps(recipe.to_dict()))) == recipe


@pytest.mark.parametrize(
    ("overrides", "said"),
    [
        ({"source.clumps.share": {"uniform": [0, 2]}}, "^source.clumps: share must always lie"),
        ({"source.clumps": None}, "^source.clumps of survey/hst_clumpy cannot be null: take a"),
    ],
)
def test_bad_clumps_are_one_sentence_that_names_the_key(overrides, said):
    with pytest.raises(ConfigError, match=said):
        get_recipe("survey/hst_clumpy", **overrides)


TWO = {"cold": "cdm", "warm": {"population": "warm_subhalos", "mean_number": 5}}


@pytest.mark.parametrize(
    ("overrides", "classes"),
    [
        ({"populations.axion": None}, ("cdm", "no_sub")),
        ({"populations": {"axion": None}}, ("cdm", "no_sub")),
        ({"populations": {"axion": "axion", "no_sub": "no_sub"}}, ("axion", "no_sub")),
        ({"populations": TWO}, ("cold", "warm")),
        ({"populations": TWO, "populations.no_sub": "no_sub"}, ("cold", "no_sub", "warm")),
        ({"populations": TWO, "populations.cold.mean_number": 3}, ("cold", "warm")),
        ({"populations": {**TWO, "cold.mean_number": 3}}, ("cold", "warm")),
        ({"populations": {"axion": None, "wdm": "warm_subhalos"}}, ("cdm", "no_sub", "wdm")),
        ({"populations.wdm": "warm_subhalos"}, ("axion", "cdm", "no_sub", "wdm")),
        ({"populations": {"cdm": {"mean_number": 3}}}, ("axion", "cdm", "no_sub")),
    ],
)
def test_classes_are_a_choice(overrides, classes):
    recipe = get_recipe("survey/hst", **overrides)
    assert recipe.classes == classes
    assert get_recipe(**json.loads(json.dumps(recipe.to_dict()))) == recipe


def test_a_change_of_a_class_that_is_named_as_well_is_kept():
    recipe = get_recipe("survey/hst", **{"populations": TWO, "populations.cold.mean_number": 3})
    assert recipe.populations["cold"].mean_number == 3
    assert recipe.populations["warm"].mean_number == 5


def test_an_instrument_by_name_is_changed_at_once():
    recipe = get_recipe("survey/hst", **{"instrument": "euclid_vis", "instrument.read_noise": 1.0})
    assert (recipe.instrument.name, recipe.instrument.read_noise) == ("euclid_vis", 1.0)


@pytest.mark.parametrize(
    ("overrides", "said"),
    [
        ({"populations": None}, "populations must be a mapping by class, got null"),
        ({"populations": 3}, "populations must be a mapping by class, got 3"),
        ({"populations.axion": 3}, "populations.axion must be the name of a population"),
        ({"populations.axoin": None}, "no populations.axoin; did you mean 'axion'"),
        ({"populations": {"axion": None, "cdm": None}}, "2 to 100 classes, .* has no_sub: name"),
        ({"populations.a/b": "cdm"}, "the class 'a/b': use up to 40 letters"),
        ({"populations.x.population": 3}, "there is no population 3"),
        ({"populations.cdm.mean_number": 1e9}, "mean_number must be at least 0, and at most"),
        ({"populations.axion.num_points": 10**6}, "need places for 1000000 points in each image"),
        ({"num_pix": 10**6}, "num_pix must be at most 4096, got 1000000"),
        ({"supersampling": 1000}, "supersampling must be at most 64"),
        ({"geometry.H0": float("nan")}, "geometry.H0 is nan: give a finite number"),
        ({"geometry.Om0": 3}, "geometry: Om0 must be at most 1"),
        ({"instrument.pixel_scale": 1e308}, "pixel_scale .* must be between 0.0001 and 1000"),
        ({"instrument.read_noise": float("inf")}, "instrument.read_noise is inf"),
        ({"source.n_sersic": 0.29}, "source: n_sersic must lie between 0.3 and 12"),
        ({"source.e1": 1.0}, "source: e1 must lie between"),
        ({"lens.e1": 0.8, "lens.e2": 0.8}, "lens: e1 and e2 must keep the ellipticity"),
        ({"source.magnitude": 1e300}, "source: magnitude must lie between -10 and 60"),
        ({"lens": 3}, "lens must be LensPrior, got 3"),
        ({"source.magnitude": {"class_path": "os.system"}}, "no distribution 'class_path'"),
    ],
)
def test_what_no_image_can_be_made_of_is_a_sentence_that_names_the_key(overrides, said):
    with pytest.raises(ConfigError, match=said):
        get_recipe("survey/hst", **overrides)


@pytest.mark.parametrize("key", ["name", "summary"])
def test_a_configuration_cannot_rename_a_recipe(key):
    assert configured_recipe("survey/hst", {"num_pix": 32}).num_pix == 32
    with pytest.raises(ConfigError, match=f"overrides.{key} cannot be changed"):
        configured_recipe("survey/hst", {key: "mine"})
