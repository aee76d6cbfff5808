"""The recipes that have a name.

``deeplense/*`` make what the authors' simulator makes, its faults included and named;
``survey/*`` are correct and varied. The two are never mixed silently.
"""

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from lenspinn.data.instrument import INSTRUMENTS
from lenspinn.errors import ConfigError
from lenspinn.simulate.distributions import Fixed, LogUniform, Normal, PowerLaw, Uniform
from lenspinn.simulate.faults import Faults
from lenspinn.simulate.galaxies import GalaxyPrior
from lenspinn.simulate.names import SUMMARIES, list_recipes
from lenspinn.simulate.overrides import nearest, with_overrides
from lenspinn.simulate.populations import POPULATIONS, PointSubhalos
from lenspinn.simulate.priors import (
    ClumpPrior,
    LensLightPrior,
    LensPrior,
    MultipolePrior,
    SourcePrior,
)
from lenspinn.simulate.recipes import Recipe

__all__ = ["get_recipe"]


def get_recipe(name: str, **overrides: Any) -> Recipe:
    """Return a recipe, changed where asked.

    Parameters
    ----------
    name
        One of `list_recipes`.
    **overrides
        By key, nested or dotted: ``{"source.magnitude": 23.0}`` is
        ``{"source": {"magnitude": 23.0}}``. An instrument may be given by name, and so may the
        population of a class, also of a new class: ``{"populations.wdm": "warm_subhalos"}``.

    Raises
    ------
    ConfigError
        If the name or a key is unknown (the nearest right one is named), a value is impossible, or
        the clumps of a recipe that has some are set to null.
    """
    if name not in RECIPES:
        raise ConfigError(f"there is no recipe {name!r}; {nearest(name, list_recipes())}")
    recipe = RECIPES[name]
    if isinstance(overrides.get("instrument"), str):
        overrides["instrument"] = _named("instrument", overrides["instrument"], INSTRUMENTS)
    overrides, chosen = _without_populations(overrides)
    if chosen:
        recipe = replace(recipe, populations={**recipe.populations, **chosen})
    changed = with_overrides(recipe, overrides)
    if recipe.has_clumps and not changed.has_clumps:  # `Recipe.to_dict` could not say so
        raise ConfigError(
            f"source.clumps of {name} cannot be null: take a recipe without, or a "
            "source.clumps.share of 0"
        )
    return changed


def _without_populations(overrides: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Split overrides into the others and the populations that are given by name.

    Those are text under ``populations.<class>``, or a mapping whose ``population`` is text and
    whose other keys change it, as `Recipe.to_dict` writes.
    """
    chosen: dict[str, Any] = {}

    def without_names(level: Mapping[str, Any], prefix: str) -> dict[str, Any]:
        rest = {}
        for key, value in level.items():
            name = value.get("population") if isinstance(value, Mapping) else value
            if not key.startswith(prefix) or not isinstance(name, str) or "." in key[len(prefix) :]:
                rest[key] = value
                continue
            chosen[key.removeprefix(prefix)] = _named("population", name, POPULATIONS)
            if isinstance(value, Mapping):
                rest[key] = {k: v for k, v in value.items() if k != "population"}
        return rest

    others = without_names(overrides, "populations.")
    if isinstance(others.get("populations"), Mapping):
        others["populations"] = without_names(others["populations"], "")
    return others, chosen


def _named(kind: str, name: str, known: Mapping[str, Any]) -> Any:
    if name not in known:
        raise ConfigError(f"there is no {kind} {name!r}; {nearest(name, known)}")
    return known[name]


_PAPER_CLASSES = {name: POPULATIONS[name] for name in ("axion", "cdm", "no_sub")}

# All DeepLense images share one lens; of the source, only the position varies.
_DEEPLENSE_LENS = LensPrior(
    mass=Fixed(1e12),
    e1=Fixed(0.1),
    e2=Fixed(0.0),
    center_x=Fixed(0.0),
    center_y=Fixed(0.0),
    gamma1=Fixed(0.05),
    gamma2=Fixed(0.0),
)
_DEEPLENSE_SOURCE = SourcePrior(
    magnitude=Fixed(20.0),
    R_sersic=Fixed(0.25),
    n_sersic=Fixed(1.0),
    e1=Fixed(-0.1),
    e2=Fixed(0.1),
    center_x=Uniform(-0.35, 0.35),
    center_y=Uniform(-0.35, 0.35),
)
# What simple_sim_2 of the simulator does to Models II and III.
_MODEL_2_AND_3_FAULTS = Faults(
    luminosity_distances=True,
    rounded_arcsec=True,
    z_source_convention=2.5,
    convention_Om0=0.309,
    source_core=0.001,
    fixed_subhalo_count=True,
    shallow_mass_function=True,
    noise_left_out=True,
    image_doubled=True,
)

_DEEPLENSE = (
    Recipe(
        name="deeplense/model_1",
        summary=SUMMARIES["deeplense/model_1"],
        instrument=INSTRUMENTS["deeplense_model_1"],
        num_pix=150,
        exposure_time=LogUniform(10**3.0, 10**3.5),
        lens=_DEEPLENSE_LENS,
        source=replace(_DEEPLENSE_SOURCE, magnitude=None, amplitude=Fixed(20.0)),
        populations=_PAPER_CLASSES,
        faults=Faults(
            luminosity_distances=True,
            rounded_arcsec=True,
            source_core=0.001,
            fixed_subhalo_count=True,
            shallow_mass_function=True,
            second_poisson=True,
            counts=True,
        ),
    ),
    Recipe(
        name="deeplense/model_2",
        summary=SUMMARIES["deeplense/model_2"],
        instrument=INSTRUMENTS["euclid_vis_legacy"],
        lens=_DEEPLENSE_LENS,
        source=_DEEPLENSE_SOURCE,
        populations=_PAPER_CLASSES,
        faults=_MODEL_2_AND_3_FAULTS,
    ),
    Recipe(
        name="deeplense/model_3",
        summary=SUMMARIES["deeplense/model_3"],
        instrument=INSTRUMENTS["hst_wfc3_f160w"],
        lens=_DEEPLENSE_LENS,
        source=_DEEPLENSE_SOURCE,
        populations=_PAPER_CLASSES,
        faults=_MODEL_2_AND_3_FAULTS,
    ),
)

_SURVEY_SOURCE = SourcePrior(
    magnitude=Fixed(22.0),
    R_sersic=LogUniform(0.1, 0.4),
    n_sersic=Uniform(0.7, 3.0),
    e1=Normal(0.0, 0.15),
    e2=Normal(0.0, 0.15),
    center_x=Uniform(-0.3, 0.3),
    center_y=Uniform(-0.3, 0.3),
)
_CLUMPY_SOURCE = replace(
    _SURVEY_SOURCE,
    clumps=ClumpPrior(
        number=10,
        share=Uniform(0.0, 0.4),
        sigma=LogUniform(0.03, 0.12),
        radius=Uniform(0.0, 1.5),
    ),
)
_MULTIPOLES = MultipolePrior(
    a3=Normal(0.0, 0.01),
    a4=Normal(0.0, 0.01),
    phi3=Uniform(0.0, 2 * math.pi / 3),
    phi4=Uniform(0.0, math.pi / 2),
)
_SURVEY_HST = Recipe(
    name="survey/hst",
    summary=SUMMARIES["survey/hst"],
    instrument=INSTRUMENTS["hst_wfc3_f160w"],
    lens=LensPrior(
        theta_E=Uniform(0.6, 1.5),
        e1=Normal(0.0, 0.1),
        e2=Normal(0.0, 0.1),
        center_x=Normal(0.0, 0.05),
        center_y=Normal(0.0, 0.05),
        gamma1=Normal(0.0, 0.04),
        gamma2=Normal(0.0, 0.04),
    ),
    source=_SURVEY_SOURCE,
    populations=_PAPER_CLASSES,
)

# The same sky, harder in one way each, or seen by another telescope.
_SURVEY = (
    _SURVEY_HST,
    replace(
        _SURVEY_HST,
        name="survey/hst_shallow",
        summary=SUMMARIES["survey/hst_shallow"],
        populations=_PAPER_CLASSES
        | {
            "cdm": PointSubhalos(
                mean_number=25.0, mass=PowerLaw(1e6, 1e10, -0.9), radius=Uniform(0.25, 2.0)
            )
        },
    ),
    replace(
        _SURVEY_HST,
        name="survey/hst_multipoles",
        summary=SUMMARIES["survey/hst_multipoles"],
        lens=replace(
            _SURVEY_HST.lens,
            multipoles=_MULTIPOLES,
        ),
    ),
    replace(
        _SURVEY_HST,
        name="survey/hst_tnfw",
        summary=SUMMARIES["survey/hst_tnfw"],
        populations=_PAPER_CLASSES | {"cdm": POPULATIONS["tnfw_subhalos"]},
    ),
    replace(
        _SURVEY_HST,
        name="survey/hst_cosmos",
        summary=SUMMARIES["survey/hst_cosmos"],
        source=GalaxyPrior(
            galaxies="",
            magnitude=Fixed(22.0),
            size=Uniform(0.5, 1.0),
            center_x=Uniform(-0.3, 0.3),
            center_y=Uniform(-0.3, 0.3),
        ),
        supersampling=3,
    ),
    replace(
        _SURVEY_HST,
        name="survey/hst_clumpy",
        summary=SUMMARIES["survey/hst_clumpy"],
        source=_CLUMPY_SOURCE,
        supersampling=2,
    ),
    replace(
        _SURVEY_HST,
        name="survey/hst_complex",
        summary=SUMMARIES["survey/hst_complex"],
        lens=replace(_SURVEY_HST.lens, gamma=Normal(2.0, 0.16), multipoles=_MULTIPOLES),
        source=_CLUMPY_SOURCE,
        supersampling=2,
    ),
    replace(
        _SURVEY_HST,
        name="survey/hst_lenslight",
        summary=SUMMARIES["survey/hst_lenslight"],
        lens_light=LensLightPrior(
            magnitude=Uniform(18.0, 20.0),
            R_sersic=LogUniform(0.5, 1.5),
            n_sersic=Uniform(2.5, 5.0),
            e1=Normal(0.0, 0.05),
            e2=Normal(0.0, 0.05),
            subtraction_error=Normal(0.0, 0.02),
        ),
    ),
    replace(
        _SURVEY_HST,
        name="survey/euclid",
        summary=SUMMARIES["survey/euclid"],
        instrument=INSTRUMENTS["euclid_vis"],
        supersampling=2,
    ),
    replace(
        _SURVEY_HST,
        name="survey/rubin",
        summary=SUMMARIES["survey/rubin"],
        instrument=INSTRUMENTS["rubin_i"],
        supersampling=4,
    ),
    replace(
        _SURVEY_HST,
        name="survey/jwst",
        summary=SUMMARIES["survey/jwst"],
        instrument=INSTRUMENTS["jwst_nircam_f277w"],
        num_pix=96,
        supersampling=2,
    ),
)

RECIPES = {recipe.name: recipe for recipe in (*_DEEPLENSE, *_SURVEY)}
"""Every recipe by name."""
