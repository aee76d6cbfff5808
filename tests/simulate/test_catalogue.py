import json

import pytest

from lenspinn.errors import ConfigError
from lenspinn.simulate import POPULATIONS, get_recipe, list_recipes
from lenspinn.simulate.distributions import Fixed, PowerLaw


def test_the_variants_differ_from_the_headline_in_what_they_are_named_for():
    headline = get_recipe("survey/hst").to_dict()
    expected = {
        "survey/hst_shallow": {"populations"},
        "survey/hst_multipoles": {"lens"},
        "survey/hst_tnfw": {"populations"},
        "survey/hst_cosmos": {"source", "supersampling"},
        "survey/hst_clumpy": {"source", "supersampling"},
        "survey/hst_complex": {"lens", "source", "supersampling"},
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
