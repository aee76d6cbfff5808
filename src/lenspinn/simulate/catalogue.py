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
from lenspinn.nearest_name import nearest_name
from lenspinn.overlay import nested
from lenspinn.plain_yaml import shown
from lenspinn.simulate.distributions import Fixed, LogUniform, Normal, PowerLaw, Uniform
from lenspinn.simulate.faults import Faults
from lenspinn.simulate.galaxies import GalaxyPrior
from lenspinn.simulate.names import SUMMARIES, list_recipes
from lenspinn.simulate.overrides import to_plain, with_overrides
from lenspinn.simulate.populations import POPULATIONS, PointSubhalos, Population
from lenspinn.simulate.priors import (
    ClumpPrior,
    LensLightPrior,
    LensPrior,
    MultipolePrior,
    SourcePrior,
)
from lenspinn.simulate.recipes import Recipe

__all__ = ["changed_recipe", "configured_recipe", "get_recipe"]

LEAST_CLASSES, MOST_CLASSES = 2, 100
"""Least and largest number of classes of a recipe; a store keeps each label in one byte."""


def get_recipe(name: str, **overrides: Any) -> Recipe:
    """Return a recipe, changed where asked.

    Parameters
    ----------
    name
        One of `list_recipes`.
    **overrides
        Changes by key, nested or dotted: ``{"source.magnitude": 23.0}`` is
        ``{"source": {"magnitude": 23.0}}``. An instrument may be given by name, and so may the
        population of a class, also of a new class: ``{"populations.wdm": "warm_subhalos"}``; null
        removes a class: ``{"populations.axion": None}``. A mapping under ``populations`` that names
        the population of each of two classes or more replaces all classes, as `Recipe.to_dict`
        writes them; any other mapping changes, adds and removes single classes.

    Raises
    ------
    ConfigError
        If the name or a key is unknown (the nearest right one is named), a value is impossible, or
        the clumps of a recipe that has some are set to null.
    """
    if name not in RECIPES:
        near = nearest_name(name[:80], list_recipes())
        raise ConfigError(f"there is no recipe {shown(name)}; {near}")
    return changed_recipe(RECIPES[name], overrides)


def configured_recipe(name: str, overrides: Mapping[str, Any]) -> Recipe:
    """Return a recipe with the overrides of a configuration, which cannot rename it.

    Raises
    ------
    ConfigError
        As `get_recipe`, and for the overrides ``name`` and ``summary``.
    """
    for key in ("name", "summary"):
        if key in overrides:
            raise ConfigError(
                f"overrides.{key} cannot be changed, it says which recipe this is: leave it out"
            )
    return get_recipe(name, **overrides)


def changed_recipe(recipe: Recipe, overrides: Mapping[str, Any]) -> Recipe:
    """Return a recipe with overrides as `get_recipe` takes them.

    Raises
    ------
    ConfigError
        See `get_recipe`.
    """
    written = {key: _spelt_out(key, value) for key, value in overrides.items()}
    changes = nested(written)
    of_classes = changes.pop("populations", {})
    if not isinstance(of_classes, Mapping):
        raise ConfigError(f"populations must be a mapping by class, got {shown(of_classes)}")
    known = {} if _are_all_classes(written.get("populations")) else recipe.populations
    populations, changes["populations"] = _populations(known, of_classes)
    if not LEAST_CLASSES <= len(populations) <= MOST_CLASSES:
        raise ConfigError(
            f"a recipe needs {LEAST_CLASSES} to {MOST_CLASSES} classes, and populations has "
            f"{', '.join(sorted(populations))[:200] or 'none'}: name others"
        )
    if populations != recipe.populations:
        recipe = replace(recipe, populations=populations)
    changed = with_overrides(recipe, changes)
    if recipe.has_clumps and not changed.has_clumps:  # `Recipe.to_dict` could not say so
        raise ConfigError(
            f"source.clumps of {recipe.name} cannot be null: take a recipe without, or a "
            "source.clumps.share of 0"
        )
    return changed


def _spelt_out(key: str, value: Any) -> Any:
    """Replace the name of an instrument or a population by what can be changed key by key."""
    if key == "instrument" and isinstance(value, str):
        return to_plain(_named("instrument", value, INSTRUMENTS))
    if key == "populations" and isinstance(value, Mapping):
        return {name: _spelt_out(f"populations.{name}", given) for name, given in value.items()}
    if key.startswith("populations.") and key.count(".") == 1 and isinstance(value, str):
        return {"population": value}
    return value


def _are_all_classes(populations: Any) -> bool:
    """Return whether a mapping given as ``populations`` names the population of each class."""
    if not isinstance(populations, Mapping):
        return False
    of_classes = nested(populations)
    named = [isinstance(of, Mapping) and "population" in of for of in of_classes.values()]
    return len(named) >= LEAST_CLASSES and all(named)


def _populations(
    known: Mapping[str, Population], given: Mapping[str, Any]
) -> tuple[dict[str, Population], dict[str, Any]]:
    """Add, replace and remove classes, and return the classes and the remaining changes."""
    populations, changes = dict(known), {}
    for name, change in given.items():
        if isinstance(change, Mapping) and "population" in change:
            populations[name] = _named("population", change["population"], POPULATIONS)
        elif name not in populations:
            near = nearest_name(name[:80], known)
            raise ConfigError(f"there is no populations.{name[:80]}; {near}")
        if change is None:
            del populations[name]
        elif isinstance(change, Mapping):
            changes[name] = {key: value for key, value in change.items() if key != "population"}
        else:
            raise ConfigError(
                f"populations.{name} must be the name of a population, changes to it, or null, got "
                f"{shown(change)}"
            )
    return populations, changes


def _named(kind: str, name: Any, known: Mapping[str, Any]) -> Any:
    if not isinstance(name, str) or name not in known:
        near = nearest_name(str(name)[:80], known)
        own = "; if it is your own: --import FILE.py" if kind == "population" else ""
        raise ConfigError(f"there is no {kind} {shown(name)}; {near}{own}")
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
    Recipe(
        name="deeplense/model_3_varied_mass",
        summary=SUMMARIES["deeplense/model_3_varied_mass"],
        instrument=INSTRUMENTS["hst_wfc3_f160w"],
        # 0.6 to 1.4 in the image: the faults scale all deflections by 0.63346.
        lens=replace(_DEEPLENSE_LENS, mass=None, theta_E=Uniform(0.9472, 2.2101)),
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
_SHALLOW = PointSubhalos(
    mean_number=25.0, mass=PowerLaw(1e6, 1e10, -0.9), radius=Uniform(0.25, 2.0)
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
        populations=_PAPER_CLASSES | {"cdm": _SHALLOW},
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
        name="survey/hst_realistic",
        summary=SUMMARIES["survey/hst_realistic"],
        instrument=replace(_SURVEY_HST.instrument, psf_fwhm=0.12),
        lens=replace(_SURVEY_HST.lens, gamma=Normal(2.0, 0.16), multipoles=_MULTIPOLES),
        source=replace(
            _SURVEY_SOURCE,
            magnitude=Uniform(22.0, 24.0),
            clumps=ClumpPrior(
                number=20,
                share=Uniform(0.0, 0.6),
                sigma=LogUniform(0.02, 0.12),
                radius=Uniform(0.0, 1.5),
            ),
        ),
        populations=_PAPER_CLASSES | {"cdm": _SHALLOW},
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
