from pathlib import Path

import numpy as np
import pytest

from lenspinn.config import parse_config
from lenspinn.errors import ConfigError
from lenspinn.sensitivity import SensitivityConfig
from lenspinn.sensitivity.sweep import mass_of, quantity_of, sweeps_of
from lenspinn.simulate import draw_scenes, get_recipe

from .conftest import make_config


def test_against_magnitude_the_recipe_is_as_it_is():
    own, _ = sweeps_of(make_config(Path("out"), overrides={}))
    assert own.recipe == get_recipe("survey/hst")
    assert own.magnitudes == [21.0, 24.0]
    assert own.detected == ["axion", "cdm"]


def test_against_mass_there_is_one_subhalo_of_any_mass():
    _, wide = sweeps_of(make_config(Path("out")))
    _, truth = draw_scenes(wide.recipe, 0, range(1, 600, 3))
    assert (truth["num_subhalos"] == 1).all()
    mass = mass_of(truth, quantity_of(wide.recipe, "cdm"))
    assert mass.min() >= 1e7
    assert mass.max() <= 1e10
    decades = np.bincount(np.log10(mass).astype(int))[7:]
    assert decades.min() > 40


def test_against_mass_vortices_have_any_mass():
    _, wide = sweeps_of(make_config(Path("out")))
    _, truth = draw_scenes(wide.recipe, 0, range(0, 600, 3))
    assert quantity_of(wide.recipe, "axion") == "vortex_mass"
    decades = np.bincount(np.log10(mass_of(truth, "vortex_mass")).astype(int))[8:]
    assert decades.min() > 40


def test_every_source_has_the_magnitude_asked_for():
    own, _ = sweeps_of(make_config(Path("out")))
    _, truth = draw_scenes(own.at(24.0), 0, range(6))
    assert truth["source_magnitude"].tolist() == [24.0] * 6


@pytest.mark.parametrize("population", ["cdm", "tnfw_subhalos"])
def test_of_many_subhalos_the_most_massive_counts(population):
    recipe = get_recipe("survey/hst", **{"populations.cdm": population})
    _, truth = draw_scenes(recipe, 0, [1, 4])
    key = "point_mass" if population == "cdm" else "halo_mass"
    heaviest = [max(row[row > 0]) for row in np.nan_to_num(truth[key])]
    assert mass_of(truth, "subhalo_mass").tolist() == heaviest


def test_a_lens_without_subhalos_has_no_mass():
    recipe = get_recipe("survey/hst", **{"populations.cdm.mean_number": 0})
    assert mass_of(draw_scenes(recipe, 0, [1])[1], "subhalo_mass").tolist() == [0.0]


def test_one_of_the_changes_against_mass_can_be_given_alone():
    words = ["--recipe", "survey/hst", "--out", "x"]
    change = ["--mass_overrides.populations.axion.mass", "{log_uniform: [1e9, 1e10]}"]
    before, after = (parse_config(SensitivityConfig, [*words, *w]) for w in ([], change))
    was, now = (sweeps_of(config)[1].recipe.populations for config in (before, after))
    assert now["cdm"] == was["cdm"]
    assert now["axion"].mass.low == 1e9


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"magnitudes": []}, "^magnitudes must name at least one"),
        ({"mass_magnitudes": [22.0, 1e4]}, "^mass_magnitudes must lie between 0 and 40, got 10000"),
        ({"num": 56}, "num must be at least 57, got 56"),
        ({"num_lenses": 1}, "num_lenses must be at least 2, got 1"),
        ({"seed": -1}, "seed must be at least 0, got -1"),
        ({"recipe": "survey/hts"}, "did you mean 'survey/hst'"),
        (
            {"recipe": "deeplense/model_1", "overrides": {}},
            "have an amplitude, and a magnitude is needed",
        ),
        ({"recipe": "deeplense/model_3", "overrides": {}}, "model_3 have no noise"),
        ({"recipe": "survey/hst_clumpy"}, "sources of survey/hst_clumpy have clumps"),
        ({"mass_overrides": {"populations.cdn.mean_number": 1}}, "there is no populations.cdn"),
        ({"overrides": {"instrument.psf_kernel": "absent.npy"}}, r"^instrument\.psf_kernel: "),
    ],
)
def test_impossible_settings_are_refused(changes, message):
    with pytest.raises(ConfigError, match=message):
        make_config(Path("out"), **changes)
