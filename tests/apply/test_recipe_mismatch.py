from dataclasses import replace
from typing import Any

import pytest

from lenspinn.apply.recipe_mismatch import recipe_mismatches
from lenspinn.data.info import DatasetInfo
from lenspinn.simulate import Recipe, get_recipe


def info(recipe: Recipe, **changes: Any) -> DatasetInfo:
    facts: dict[str, Any] = {
        "num_images": 10,
        "num_pix": recipe.num_pix,
        "pixel_scale": recipe.instrument.pixel_scale,
        "classes": recipe.classes,
        "recipe": recipe.name,
        "instrument": recipe.instrument.name,
        "unit": recipe.unit,
        "noise_sigma": recipe.noise_sigma,
        "lens_light": recipe.lens_light is not None,
        "recipe_config": recipe.to_dict() | {"engine": "eager"},
        "seed": 1,
    }
    return DatasetInfo(**(facts | changes))


TRAINED = info(get_recipe("survey/hst_realistic"))


def realistic(**overrides: Any) -> DatasetInfo:
    return info(get_recipe("survey/hst_realistic", **overrides))


def test_a_dataset_of_the_recipe_of_training_is_no_mismatch() -> None:
    assert recipe_mismatches(realistic(), TRAINED) == ()


def test_names_and_engines_do_not_matter() -> None:
    other = realistic()
    config = other.recipe_config | {"name": "mine", "summary": "as I call it", "engine": "compiled"}
    config["instrument"] = config["instrument"] | {"source": "a paper"}
    assert recipe_mismatches(info(get_recipe("survey/hst"), recipe_config=config), TRAINED) == ()


def test_the_recipe_of_the_same_name_that_differs_is_serious_with_every_value() -> None:
    (found,) = recipe_mismatches(info(get_recipe("survey/hst_complex")), TRAINED)
    assert (found.kind, found.serious) == ("recipe", True)
    assert "instrument.psf_fwhm 0.08 (in training 0.12)" in found.message
    assert "source.clumps.number 10 (in training 20)" in found.message
    assert "populations.cdm.mass power_law [1e+06, 1e+10, -1.9] (in training" in found.message


def test_many_differences_are_counted() -> None:
    (found,) = recipe_mismatches(info(get_recipe("deeplense/model_2")), TRAINED)
    assert found.message.endswith("more")
    assert len(found.message) < 700


@pytest.mark.parametrize(
    "overrides",
    [
        {"lens.theta_E": 1.0},
        {"lens.theta_E": {"uniform": [0.8, 1.2]}},
        {"lens.e1": {"normal": [0.0, 0.05]}},
        {"source.magnitude": 23.0},
        {"source.R_sersic": {"log_uniform": [0.2, 0.3]}},
        {"source.clumps.share": 0.0},
    ],
)
def test_a_part_of_the_lenses_and_sources_of_training_is_named_but_not_serious(
    overrides: dict[str, Any],
) -> None:
    (found,) = recipe_mismatches(realistic(**overrides), TRAINED)
    assert (found.kind, found.serious) == ("recipe", False)
    assert next(iter(overrides)) in found.message
    assert "draws a part of" in found.message


@pytest.mark.parametrize(
    "overrides",
    [
        {"lens.theta_E": {"uniform": [0.6, 1.6]}},
        {"lens.center_x": 0.4},
        {"lens.e1": {"normal": [0.0, 0.2]}},
        {"lens.gamma": None},
        {"source.magnitude": 25.0},
        {"source.clumps.number": 5},
        {"instrument.psf_fwhm": 0.1},
        {"instrument.exposure_time": 600.0},
        {"supersampling": 3},
        {"geometry.z_source": 2.0},
        {"faults.second_poisson": True},
        # Inside of training, but subhalos that nobody can see.
        {"populations.cdm.mass": {"power_law": [1e6, 1e7, -0.9]}},
        {"populations.axion.mass": 1e10},
    ],
)
def test_anything_beyond_is_serious(overrides: dict[str, Any]) -> None:
    (found,) = recipe_mismatches(realistic(**overrides), TRAINED)
    assert (found.kind, found.serious) == ("recipe", True)
    assert next(iter(overrides)) in found.message


def test_one_part_within_does_not_excuse_another_beyond() -> None:
    changed = realistic(**{"source.magnitude": 23.0, "instrument.psf_fwhm": 0.2})
    (found,) = recipe_mismatches(changed, TRAINED)
    assert found.serious
    # What speaks against the answer comes first.
    assert found.message.index("psf_fwhm") < found.message.index("magnitude")


def test_size_and_pixel_scale_are_left_to_the_check_of_the_pixels() -> None:
    assert recipe_mismatches(realistic(num_pix=80), TRAINED) == ()


def test_a_class_that_the_network_does_not_know_is_serious() -> None:
    recipe = get_recipe("survey/hst_realistic", **{"populations.wdm": "cdm"})
    (found,) = recipe_mismatches(info(recipe), TRAINED)
    assert (found.kind, found.serious) == ("classes", True)
    assert "wdm" in found.message
    assert "knows axion, cdm, no_sub" in found.message


def test_fewer_classes_are_named() -> None:
    config = realistic().recipe_config
    config["populations"] = {"cdm": config["populations"]["cdm"]}
    few = info(get_recipe("survey/hst_realistic"), classes=("cdm",), recipe_config=config)
    (found,) = recipe_mismatches(few, TRAINED)
    assert (found.kind, found.serious) == ("classes", False)


def test_images_that_were_not_simulated_are_known_by_name_alone() -> None:
    other = replace(TRAINED, recipe="imported", recipe_config={"folder": "a", "files": {}})
    (found,) = recipe_mismatches(other, TRAINED)
    assert (found.kind, found.serious) == ("recipe", True)
    assert recipe_mismatches(other, other) == ()
