"""Ultra-light axions: a straight vortex line."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from lenspinn.errors import ConfigError
from lenspinn.simulate.distributions import Distribution, require_positive
from lenspinn.simulate.populations.base import MainLens, PointMasses, Substructure


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
    def capacity(self) -> dict[str, int]:
        """The number of points along the line."""
        return {"points": self.num_points}

    def draw(self, rng: np.random.Generator, lens: MainLens) -> Substructure:
        """Draw axion mass and direction, in this order; ``vortex_ends`` is x0, y0, x1, y1."""
        num = len(lens.center_x)
        axion_mass = self.axion_mass.draw(rng, num)
        angle = 2 * np.pi * rng.random(num)
        length = self.length_at_1e_22_eV * (1e-22 / axion_mass)
        along = np.linspace(-length / 2, length / 2, self.num_points, axis=1)
        x = lens.center_x[:, None] + along * np.cos(angle)[:, None]
        y = lens.center_y[:, None] + along * np.sin(angle)[:, None]
        mass = np.full(x.shape, self.mass / self.num_points)
        truth = {
            "num_subhalos": np.zeros(num),
            "axion_mass_eV": axion_mass,
            "vortex_mass": np.full(num, self.mass),
            "vortex_length": length,
            "vortex_ends": np.stack([x[:, 0], y[:, 0], x[:, -1], y[:, -1]], axis=1),
        }
        points = PointMasses(x, y, lens.theta_E_unit * np.sqrt(mass), mass)
        return Substructure(points=points, truth=truth)
