"""What is looked for, and at which brightness of the source."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import numpy as np

from lenspinn.errors import ConfigError
from lenspinn.places import check_output, check_own
from lenspinn.plain_yaml import Plain
from lenspinn.sensitivity.curves import FEWEST_WITHOUT
from lenspinn.simulate import Recipe
from lenspinn.simulate.catalogue import changed_recipe, configured_recipe
from lenspinn.simulate.draw import Truth
from lenspinn.simulate.limit.smooth import check_smooth
from lenspinn.simulate.overrides import with_overrides

__all__ = [
    "FIGURE",
    "NO_SUBSTRUCTURE",
    "RESULT",
    "TABLE",
    "SensitivityConfig",
    "Sweep",
    "mass_of",
    "quantity_of",
]

NO_SUBSTRUCTURE = "no_sub"
"""The class against which substructure is detected."""


RESULT, TABLE, FIGURE = "sensitivity.json", "sensitivity.csv", "sensitivity.png"
"""Files of the folder of a measurement."""
MOST_OF = {"num": 10_000_000, "num_lenses": 1_000_000}
"""Images and lenses of a measurement."""

ONE_SUBHALO: dict[str, Plain] = {
    "populations.cdm.mean_number": 1.0,
    "populations.cdm.mass": {"log_uniform": [1e7, 1e10]},
    "faults.fixed_subhalo_count": True,
    "populations.axion.mass": {"log_uniform": [1e8, 1e11]},
}
"""Changes to a recipe by which each lens has substructure of one mass, and that of every size."""


class Sweep(NamedTuple):
    """Lenses of a recipe, seen at several magnitudes of their source."""

    name: str
    """``magnitude`` or ``mass``: what the curve is against."""
    recipe: Recipe
    magnitudes: list[float]

    def at(self, magnitude: float) -> Recipe:
        """Return the recipe with sources of one magnitude."""
        return with_overrides(self.recipe, {"source.magnitude": magnitude})

    @property
    def detected(self) -> list[str]:
        """The classes with substructure."""
        return [name for name in self.recipe.classes if name != NO_SUBSTRUCTURE]


@dataclass(frozen=True, kw_only=True)
class SensitivityConfig:
    """Whose sensitivity to measure, and how well."""

    recipe: str
    """Name of a recipe; those of survey/* are meant."""
    out: Path
    """Folder for the results; what it already holds of this measurement is kept."""
    run: Path | None = None
    """Run folder of a network trained for the recipe's instrument; without one, or until one is
    given, the curves are those of the ideal observer alone."""
    magnitudes: list[float] = field(default_factory=lambda: [20.0, 21.0, 22.0, 23.0, 24.0, 25.0])
    """AB magnitudes of the unlensed source, for the curves against magnitude."""
    mass_magnitudes: list[float] = field(default_factory=lambda: [20.0, 22.0, 24.0])
    """The same for the curves against mass, one curve each."""
    num: int = 3000
    """Images that the network sees for each magnitude of each of the two; the classes in turn."""
    num_lenses: int = 128
    """Lenses of the ideal observer, the same at every magnitude; more may be asked for later."""
    seed: int = 1
    """Another seed gives other lenses; not that of the images the network was trained on."""
    overrides: dict[str, Plain] = field(default_factory=dict)
    """Changes to the recipe by dotted key, such as instrument.exposure_time: 2700."""
    mass_overrides: dict[str, Plain] = field(default_factory=lambda: dict(ONE_SUBHALO))
    """Further changes for the curves against mass, laid over these: one subhalo, and masses of
    every size."""

    def __post_init__(self) -> None:
        check_output(self.out, "out")
        check_own(self.out, "out", mark=RESULT, replaced=[TABLE, FIGURE])
        for key, value in MOST_OF.items():
            if getattr(self, key) > value:
                raise ConfigError(f"{key} must be at most {value}, got {getattr(self, key)}")
        for sweep in self.sweeps:
            _check(sweep)
        num_classes = len(self.sweeps[0].recipe.classes)
        least = {"num": num_classes * FEWEST_WITHOUT, "num_lenses": 2, "seed": 0}
        for key, value in least.items():
            if getattr(self, key) < value:
                raise ConfigError(f"{key} must be at least {value}, got {getattr(self, key)}")

    @property
    def sweeps(self) -> tuple[Sweep, Sweep]:
        """The recipe as it is against magnitude, and with the `mass_overrides` against mass."""
        own = configured_recipe(self.recipe, self.overrides)
        wide = changed_recipe(own, self._mass_changes(own))
        return (
            Sweep("magnitude", own, sorted(set(map(float, self.magnitudes)))),
            Sweep("mass", wide, sorted(set(map(float, self.mass_magnitudes)))),
        )

    def _mass_changes(self, recipe: Recipe) -> dict[str, Plain]:
        """Return the `mass_overrides`, less those by default for classes that are not there."""

        def is_absent(key: str, value: Plain) -> bool:
            name = key.removeprefix("populations.").split(".")[0]
            return (
                ONE_SUBHALO.get(key) == value
                and key.startswith("populations.")
                and (name not in recipe.classes)
            )

        return {k: v for k, v in self.mass_overrides.items() if not is_absent(k, v)}


def quantity_of(recipe: Recipe, name: str) -> str:
    """Return ``vortex_mass`` or ``subhalo_mass``: by which mass a class is binned."""
    is_vortex = "vortex_mass" in recipe.populations[name].truth_fields
    return "vortex_mass" if is_vortex else "subhalo_mass"


def mass_of(truth: Truth | Mapping[str, np.ndarray], quantity: str) -> np.ndarray:
    """Return the mass of the vortices of each lens, or that of its most massive subhalo.

    Parameters
    ----------
    truth
        Of lenses of one class.
    quantity
        Of `quantity_of`.

    Returns
    -------
    (lenses,)
        Solar masses; 0 without subhalos.
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
