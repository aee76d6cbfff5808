import pytest

from lenspinn.errors import ConfigError
from lenspinn.simulate import get_recipe
from lenspinn.simulate.distributions import Fixed, Uniform
from lenspinn.simulate.overrides import to_plain, with_overrides

RECIPE = get_recipe("survey/hst")


def test_dotted_and_nested_keys_are_the_same():
    dotted = with_overrides(RECIPE, {"lens.e1": 0.2, "lens.e2": 0.1, "source.magnitude": 23})
    nested = with_overrides(RECIPE, {"lens": {"e1": 0.2, "e2": 0.1}, "source.magnitude": 23.0})
    assert dotted == nested
    assert (dotted.lens.e1, dotted.source.magnitude) == (Fixed(0.2), Fixed(23.0))


def test_keys_of_one_population_add_up():
    changed = with_overrides(
        RECIPE, {"populations.cdm.mean_number": 3, "populations.cdm.mass": {"uniform": [1e6, 1e7]}}
    )
    assert changed.populations["cdm"].mean_number == 3
    assert changed.populations["cdm"].mass == Uniform(1e6, 1e7)
    assert changed.populations["axion"] == RECIPE.populations["axion"]


def test_values_that_are_only_right_together_can_be_given_together():
    changed = with_overrides(RECIPE, {"lens.theta_E": None, "lens.mass": 1e12})
    assert changed.lens.mass == Fixed(1e12)


def test_numbers_that_yaml_reads_as_text_are_numbers():
    assert with_overrides(RECIPE, {"geometry.H0": "7e1"}).geometry.H0 == 70.0


def test_the_original_is_unchanged():
    with_overrides(RECIPE, {"num_pix": 32})
    assert RECIPE.num_pix == 64


@pytest.mark.parametrize(
    ("overrides", "said"),
    [
        ({"source.magnitud": 20}, "no source.magnitud; did you mean 'magnitude'"),
        ({"sauce": {}}, "no sauce; did you mean 'source'"),
        ({"populations.wdm.mass": 1}, "no populations.wdm"),
        ({"faults.counts": 1}, "faults.counts must be bool, got 1"),
        ({"num_pix": 6.5}, "num_pix must be int, got 6.5"),
        ({"geometry": 3}, "geometry must be Geometry, got 3"),
        ({"lens_light.magnitude": 18}, "lens_light is none in this recipe: start from"),
        ({"instrument.read_noise": -1}, "instrument: read_noise .* at least 0, got -1"),
        ({"lens.theta_E": {"uniform": [0, 1]}}, "lens: theta_E must always be above 0"),
    ],
)
def test_a_wrong_key_or_value_is_one_sentence(overrides, said):
    with pytest.raises(ConfigError, match=said):
        with_overrides(RECIPE, overrides)


def test_plain_form_holds_only_what_json_holds():
    def check(value):
        if isinstance(value, dict):
            return all(isinstance(key, str) and check(item) for key, item in value.items())
        if isinstance(value, list):
            return all(check(item) for item in value)
        return value is None or isinstance(value, bool | int | float | str)

    assert check(to_plain(RECIPE))


@pytest.mark.parametrize(
    ("key", "text", "value"),
    [
        ("populations.axion.continuous", "true", True),
        ("populations.axion.number", "3", 3),
        ("num_pix", "32", 32),
        ("instrument.read_noise", "1e1", 10.0),
        ("instrument.psf_kernel", "true", "true"),
    ],
)
def test_text_from_the_command_line_is_read_as_what_the_key_is(key, text, value):
    node = get_recipe("survey/hst", **{key: text})
    for name in key.split("."):
        node = node[name] if isinstance(node, dict) else getattr(node, name)
    assert (node, type(node)) == (value, type(value))
