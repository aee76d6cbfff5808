"""Dark-matter populations: what a halo holds besides its smooth mass.

A new population is a frozen dataclass of its parameters with `max_points`, `truth_fields` and
`draw`, and a line in `POPULATIONS`; recipes and the store take it from there.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar, NamedTuple, Protocol, runtime_checkable

import numpy as np

from lenspinn.errors import ConfigError
from lenspinn.simulate.distributions import (
    Distribution,
    LogUniform,
    PowerLaw,
    Uniform,
    require_positive,
)
from lenspinn.simulate.faults import Faults

__all__ = [
    "POPULATIONS",
    "AxionVortex",
    "MainLens",
    "NoSubstructure",
    "PointSubhalos",
    "Population",
    "Substructure",
]


class MainLens(NamedTuple):
    """What a population needs to know of the lens it lives in."""

    center_x: float
    center_y: float
    """Arcsec."""
    theta_E_unit: float
    """Einstein radius that one solar mass has in the image, arcsec; it grows as sqrt(mass)."""
    faults: Faults


class Substructure(NamedTuple):
    """Point masses in the lens plane."""

    x: np.ndarray
    y: np.ndarray
    """(n,) arcsec, from the centre of the image."""
    theta_E: np.ndarray
    """(n,) arcsec, as it acts in the image."""
    mass: np.ndarray
    """(n,) solar masses."""
    truth: dict[str, Any]
    """The population's own `truth_fields`."""


@runtime_checkable
class Population(Protocol):
    """Draws the substructure of one lens."""

    truth_fields: ClassVar[Mapping[str, tuple[int, ...]]]
    """Shape of each truth value it adds; images of other classes hold NaN there."""

    @property
    def max_points(self) -> int:
        """Largest number of point masses of one image."""

    def draw(self, rng: np.random.Generator, lens: MainLens) -> Substructure:
        """Draw once."""


@dataclass(frozen=True, kw_only=True)
class NoSubstructure:
    """A smooth halo and nothing else."""

    truth_fields: ClassVar[Mapping[str, tuple[int, ...]]] = {"num_subhalos": ()}
    max_points: ClassVar[int] = 0

    def draw(self, rng: np.random.Generator, lens: MainLens) -> Substructure:
        """Draw nothing."""
        nothing = np.empty(0)
        return Substructure(nothing, nothing, nothing, nothing, {"num_subhalos": 0})


@dataclass(frozen=True, kw_only=True)
class PointSubhalos:
    """Cold dark matter: subhalos as point masses around the lens centre."""

    mean_number: float
    """Their number is Poisson about it, or exactly it with `Faults.fixed_subhalo_count`."""
    mass: Distribution
    """Solar masses; a power law is shallower by one with `Faults.shallow_mass_function`."""
    radius: Distribution
    """Distance from the lens centre, arcsec."""

    truth_fields: ClassVar[Mapping[str, tuple[int, ...]]] = {"num_subhalos": ()}

    def __post_init__(self) -> None:
        if not self.mean_number >= 0:
            raise ConfigError(f"mean_number must be at least 0, got {self.mean_number}")
        require_positive(self, "mass")

    @property
    def max_points(self) -> int:
        """Ten standard deviations above the mean: a Poisson draw stays below but once in 1e15."""
        return int(self.mean_number + 10 * self.mean_number**0.5 + 10)

    def draw(self, rng: np.random.Generator, lens: MainLens) -> Substructure:
        """Draw number, masses, radii and directions, in this order."""
        number = int(self.mean_number)
        if not lens.faults.fixed_subhalo_count:
            number = min(int(rng.poisson(self.mean_number)), self.max_points)
        mass_function = self.mass
        if lens.faults.shallow_mass_function and isinstance(mass_function, PowerLaw):
            mass_function = replace(mass_function, slope=mass_function.slope + 1)
        mass = mass_function.draw(rng, number)
        radius = self.radius.draw(rng, number)
        angle = 2 * np.pi * rng.random(number)
        return Substructure(
            x=lens.center_x + radius * np.cos(angle),
            y=lens.center_y + radius * np.sin(angle),
            theta_E=lens.theta_E_unit * np.sqrt(mass),
            mass=mass,
            truth={"num_subhalos": number},
        )


@dataclass(frozen=True, kw_only=True)
class AxionVortex:
    """Ultra-light axions: one straight vortex line through the lens centre.

    Notes
    -----
    The line is as long as the axion's de Broglie wavelength on both sides of the centre,
    ``length_at_1e_22_eV * (1e-22 eV / axion_mass)`` in all. The relation is the DeepLense
    simulator's, which calls it valid for a lens at z = 0.5 only.
    """

    axion_mass: Distribution
    """eV."""
    mass: float
    """Of the whole vortex, solar masses."""
    num_points: int
    """Equal point masses, evenly spaced from end to end, that stand for the line."""
    length_at_1e_22_eV: float
    """Arcsec."""

    truth_fields: ClassVar[Mapping[str, tuple[int, ...]]] = {
        "num_subhalos": (),
        "axion_mass_eV": (),
        "vortex_mass": (),
        "vortex_length": (),
        "vortex_ends": (4,),
    }

    def __post_init__(self) -> None:
        require_positive(self, "axion_mass")
        for key in ("mass", "num_points", "length_at_1e_22_eV"):
            if not getattr(self, key) > 0:
                raise ConfigError(f"{key} must be above 0, got {getattr(self, key)}")

    @property
    def max_points(self) -> int:
        """The number of points along the line."""
        return self.num_points

    def draw(self, rng: np.random.Generator, lens: MainLens) -> Substructure:
        """Draw axion mass and direction, in this order; ``vortex_ends`` is x0, y0, x1, y1."""
        axion_mass = self.axion_mass.draw(rng)
        angle = 2 * np.pi * rng.random()
        length = self.length_at_1e_22_eV * (1e-22 / axion_mass)
        along = np.linspace(-length / 2, length / 2, self.num_points)
        x = lens.center_x + along * np.cos(angle)
        y = lens.center_y + along * np.sin(angle)
        mass = np.full(self.num_points, self.mass / self.num_points)
        truth = {
            "num_subhalos": 0,
            "axion_mass_eV": axion_mass,
            "vortex_mass": self.mass,
            "vortex_length": length,
            "vortex_ends": (x[0], y[0], x[-1], y[-1]),
        }
        return Substructure(x, y, lens.theta_E_unit * np.sqrt(mass), mass, truth)


POPULATIONS: dict[str, Population] = {
    "axion": AxionVortex(
        axion_mass=LogUniform(1e-24, 1e-22), mass=3e10, num_points=100, length_at_1e_22_eV=0.06
    ),
    "cdm": PointSubhalos(
        mean_number=25.0, mass=PowerLaw(1e6, 1e10, -1.9), radius=Uniform(0.25, 2.0)
    ),
    "no_sub": NoSubstructure(),
}
"""The paper's populations, each under the name of its class."""
