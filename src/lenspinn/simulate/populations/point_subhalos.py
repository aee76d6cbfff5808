"""Cold dark matter as the paper has it: subhalos as point masses around the lens centre."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

from lenspinn.simulate.distributions import (
    Distribution,
    PowerLaw,
    require_positive,
    require_within,
)
from lenspinn.simulate.populations.base import (
    MainLens,
    PointMasses,
    Substructure,
    check_mean_number,
)


@dataclass(frozen=True, kw_only=True)
class PointSubhalos:
    """Cold dark matter: subhalos as point masses around the lens centre."""

    mean_number: float
    """Mean of the Poisson number of subhalos; the exact one with `Faults.fixed_subhalo_count`."""
    mass: Distribution
    """Mass of a subhalo, solar masses; with `Faults.shallow_mass_function` the slope of a power law
    is larger by one."""
    radius: Distribution
    """Distance from the lens centre, arcsec."""

    truth_fields: ClassVar[Mapping[str, tuple[int, ...]]] = {"num_subhalos": ()}

    def __post_init__(self) -> None:
        check_mean_number(self.mean_number)
        require_positive(self, "mass")
        require_within(self, 1e-10, 1e18, "mass")
        require_within(self, -1e3, 1e3, "radius")

    @property
    def capacity(self) -> dict[str, int]:
        """Number of points ten sigma above the mean: a Poisson draw exceeds it once in 1e15."""
        return {"points": int(self.mean_number + 10 * self.mean_number**0.5 + 10)}

    def draw(self, rng: np.random.Generator, lens: MainLens) -> Substructure:
        """Draw numbers, masses, radii and directions, in this order."""
        num = len(lens.center_x)
        number = np.full(num, int(self.mean_number))
        if not lens.faults.fixed_subhalo_count:
            number = np.minimum(rng.poisson(self.mean_number, num), self.capacity["points"])
        mass_function = self.mass
        if lens.faults.shallow_mass_function and isinstance(mass_function, PowerLaw):
            mass_function = replace(mass_function, slope=mass_function.slope + 1)
        places = (num, int(number.max()))
        used = np.arange(places[1]) < number[:, None]
        mass = np.where(used, mass_function.draw(rng, places), 0.0)
        radius = self.radius.draw(rng, places)
        angle = 2 * np.pi * rng.random(places)
        points = PointMasses(
            x=np.where(used, lens.center_x[:, None] + radius * np.cos(angle), 0.0),
            y=np.where(used, lens.center_y[:, None] + radius * np.sin(angle), 0.0),
            theta_E=lens.theta_E_unit * np.sqrt(mass),
            mass=mass,
        )
        return Substructure(points=points, truth={"num_subhalos": number.astype(np.float64)})
