"""Dark-matter populations: what a halo holds besides its smooth mass.

A new population is a module with a frozen dataclass of its parameters (`Population`), and a line
in `POPULATIONS`; recipes and the store take it from there. One of a user's own gets its name by
`register_population`.
"""

import dataclasses

from lenspinn.errors import ConfigError
from lenspinn.simulate.distributions import Fixed, LogUniform, PowerLaw, Uniform
from lenspinn.simulate.populations.axion_vortex import AxionVortex
from lenspinn.simulate.populations.base import (
    Halos,
    MainLens,
    PointMasses,
    Population,
    Rods,
    Substructure,
)
from lenspinn.simulate.populations.no_substructure import NoSubstructure
from lenspinn.simulate.populations.point_subhalos import PointSubhalos
from lenspinn.simulate.populations.pyhalo import PyHaloSubhalos
from lenspinn.simulate.populations.single_subhalo import SingleSubhalo
from lenspinn.simulate.populations.tnfw_subhalos import TNFWSubhalos
from lenspinn.simulate.populations.warm_subhalos import WarmSubhalos

__all__ = [
    "POPULATIONS",
    "AxionVortex",
    "Halos",
    "MainLens",
    "NoSubstructure",
    "PointMasses",
    "PointSubhalos",
    "Population",
    "PyHaloSubhalos",
    "Rods",
    "SingleSubhalo",
    "Substructure",
    "TNFWSubhalos",
    "WarmSubhalos",
    "register_population",
]

POPULATIONS: dict[str, Population] = {
    "axion": AxionVortex(
        axion_mass=LogUniform(1e-24, 1e-22),
        mass=Fixed(3e10),
        num_points=100,
        length_at_1e_22_eV=0.06,
    ),
    "cdm": PointSubhalos(
        mean_number=25.0, mass=PowerLaw(1e6, 1e10, -1.9), radius=Uniform(0.25, 2.0)
    ),
    "no_sub": NoSubstructure(),
    "pyhalo_cdm": PyHaloSubhalos(),
    "pyhalo_wdm": PyHaloSubhalos(preset="WDM"),
    "single_subhalo": SingleSubhalo(
        mass=LogUniform(1e8, 1e10),
        concentration=Fixed(15.0),
        truncation=Fixed(5.0),
        radius=Uniform(0.8, 1.2),
    ),
    "tnfw_subhalos": TNFWSubhalos(
        mean_number=25.0,
        mass=PowerLaw(1e6, 1e10, -1.9),
        radius=Uniform(0.25, 2.0),
        truncation=Uniform(2.0, 10.0),
    ),
    "warm_subhalos": WarmSubhalos(
        mean_number=25.0,
        mass=PowerLaw(1e6, 1e10, -1.9),
        radius=Uniform(0.25, 2.0),
        truncation=Uniform(2.0, 10.0),
        half_mode_mass=LogUniform(1e7, 1e9),
    ),
}
"""Every population by name; the first three are the paper's, under the names of their classes."""


def register_population(name: str, population: Population) -> None:
    """Give a population a name, by which recipes and their overrides take it.

    Parameters
    ----------
    name
        Name, such as ``stellar_stream``.
    population
        Frozen dataclass with the numbers that a class has unless overrides change them.

    Raises
    ------
    ConfigError
        If the name is taken or is no identifier, or the population is no frozen dataclass that
        draws.
    """
    if name in POPULATIONS:
        raise ConfigError(f"a population named '{name}' is already registered: give another name")
    if not name.isidentifier():
        raise ConfigError(f"'{name}' cannot name a population: use letters, digits and underscores")
    kind = type(population)
    if not (
        isinstance(population, Population)
        and dataclasses.is_dataclass(population)
        and kind.__dataclass_params__.frozen
    ):
        raise ConfigError(
            f"'{name}' is no population: give an instance of a dataclass(frozen=True) with "
            "truth_fields, capacity and draw"
        )
    POPULATIONS[name] = population
