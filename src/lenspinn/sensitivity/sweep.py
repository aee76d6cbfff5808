"""Sweeps: lenses with the substructure that is searched for, over magnitudes of the source."""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from lenspinn.errors import ConfigError
from lenspinn.plain_yaml import Plain
from lenspinn.sensitivity.config import ONE_SUBHALO, SensitivityConfig
from lenspinn.sensitivity.curves import FEWEST_WITHOUT
from lenspinn.simulate import Recipe
from lenspinn.simulate.catalogue import changed_recipe, configured_recipe
from lenspinn.simulate.draw import Truth
from lenspinn.simulate.limit.smooth import check_smooth
from lenspinn.simulate.overrides import with_overrides

__all__ = ["NO_SUBSTRUCTURE", "Sweep", "check_settings", "mass_of", "quantity_of", "sweeps_of"]

NO_SUBSTRUCTURE = "no_sub"
"""Name of the class against which substructure is detected."""


class Sweep(NamedTuple):
    """Lenses of a recipe, seen at several magnitudes of their source."""

    name: str
    """Quantity on the axis of the curve, ``magnitude`` or ``mass``."""
    recipe: Recipe
    magnitudes: list[float]

    def at(self, magnitude: float) -> Recipe:
        """Return the recipe with sources of one magnitude."""
        return with_overrides(self.recipe, {"source.magnitude": magnitude})

    @property
    def detected(self) -> list[str]:
        """Names of the classes with substructure."""
        return [name for name in self.recipe.classes if name != NO_SUBSTRUCTURE]


def sweeps_of(config: SensitivityConfig) -> tuple[Sweep, Sweep]:
    """Return the recipe as it is against magnitude, and with `mass_overrides` against mass."""
    own = configured_recipe(config.recipe, config.overrides)
    wide = changed_recipe(own, _mass_changes(config, own))
    return (
        Sweep("magnitude", own, sorted(set(map(float, config.magnitudes)))),
        Sweep("mass", wide, sorted(set(map(float, config.mass_magnitudes)))),
    )


def _mass_changes(config: SensitivityConfig, recipe: Recipe) -> dict[str, Plain]:
    """Return the `mass_overrides`, less those by default for classes that are not there."""

    def is_absent(key: str, value: Plain) -> bool:
        name = key.removeprefix("populations.").split(".")[0]
        return (
            ONE_SUBHALO.get(key) == value
            and key.startswith("populations.")
            and (name not in recipe.classes)
        )

    return {k: v for k, v in config.mass_overrides.items() if not is_absent(k, v)}


def check_settings(config: SensitivityConfig) -> None:
    """Refuse what cannot be measured.

    Raises
    ------
    ConfigError
        If a recipe, a magnitude or a number is impossible.
    """
    sweeps = sweeps_of(config)
    for sweep in sweeps:
        _check(sweep)
    num_classes = len(sweeps[0].recipe.classes)
    least = {"num": num_classes * FEWEST_WITHOUT, "num_lenses": 2, "seed": 0}
    for key, value in least.items():
        if getattr(config, key) < value:
            raise ConfigError(f"{key} must be at least {value}, got {getattr(config, key)}")


def quantity_of(recipe: Recipe, name: str) -> str:
    """Return the mass by which a class is binned: ``vortex_mass`` or ``subhalo_mass``."""
    is_vortex = "vortex_mass" in recipe.populations[name].truth_fields
    return "vortex_mass" if is_vortex else "subhalo_mass"


def mass_of(truth: Truth | Mapping[str, np.ndarray], quantity: str) -> np.ndarray:
    """Return the mass of the vortices of each lens, or that of its most massive subhalo.

    Parameters
    ----------
    truth
        Truth of lenses of one class.
    quantity
        Name of the mass, from `quantity_of`.

    Returns
    -------
    (lenses,)
        Mass, solar masses; 0 without subhalos.
    """
    if quantity == "vortex_mass":
        return np.asarray(truth["vortex_mass"])
    masses = [truth[key] for key in ("point_mass", "halo_mass", "rod_mass") if key in truth]
    return np.asarray(np.nan_to_num(np.concatenate(masses, axis=1)).max(axis=1))


def _check(sweep: Sweep) -> None:
    key = "magnitudes" if sweep.name == "magnitude" else "mass_magnitudes"
    if not sweep.magnitudes:
        raise ConfigError(f"{key} must name at least one")
    for magnitude in sweep.magnitudes:
        if not 0 <= magnitude <= 40:
            raise ConfigError(f"{key} must lie between 0 and 40, got {magnitude}")
    recipe = sweep.recipe
    check_smooth(recipe)
    if recipe.source.magnitude is None:
        raise ConfigError(f"sources of {recipe.name} have an amplitude, and a magnitude is needed")
    if NO_SUBSTRUCTURE not in recipe.classes or not sweep.detected:
        raise ConfigError(
            f"{recipe.name} has the classes {', '.join(recipe.classes)}: detection needs "
            f"{NO_SUBSTRUCTURE} and another"
        )
    if recipe.noise_sigma == 0:
        raise ConfigError(f"images of {recipe.name} have no noise: everything can be seen in them")
    recipe.check_files()
