"""Ultra-light axions: straight vortex lines."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from lenspinn.errors import ConfigError
from lenspinn.simulate.distributions import Distribution, Fixed, require_positive, require_within
from lenspinn.simulate.populations.base import MainLens, PointMasses, Rods, Substructure

LONGEST = 1e3
"""Largest length of a line of axions of 1e-22 eV, arcsec."""

_AT_CENTRE = Fixed(0.0)


@dataclass(frozen=True, kw_only=True)
class AxionVortex:
    """Ultra-light axions: straight vortex lines, by default one through the lens centre.

    Notes
    -----
    A line is as long as the axion's de Broglie wavelength on both sides of its middle,
    ``length_at_1e_22_eV * (1e-22 eV / axion_mass)`` in all. The relation is the DeepLense
    simulator's, which calls it valid for a lens at z = 0.5 only.
    """

    axion_mass: Distribution
    """Mass of the axion, eV."""
    mass: Distribution
    """Mass of all vortices of a lens together, solar masses; all vortices have equal masses."""
    num_points: int
    """Number of equal point masses, evenly spaced from end to end, that stand for a line."""
    length_at_1e_22_eV: float
    """Length of a line of axions of 1e-22 eV, arcsec."""
    number: int = 1
    """Number of vortices of a lens, each in a direction of its own."""
    offset: Distribution = _AT_CENTRE
    """Distance of the middle of a line from the lens centre, in any direction, arcsec."""
    continuous: bool = False
    """Whether a line is one continuous rod, in the place of its points."""

    truth_fields: ClassVar[Mapping[str, tuple[int, ...]]] = {
        "num_subhalos": (),
        "axion_mass_eV": (),
        "vortex_mass": (),
        "vortex_length": (),
        "vortex_ends": (4,),
    }

    def __post_init__(self) -> None:
        require_positive(self, "axion_mass", "mass")
        require_within(self, 1e-30, 1.0, "axion_mass")
        require_within(self, 1e-10, 1e18, "mass")
        require_within(self, -1e3, 1e3, "offset")
        for key in ("num_points", "length_at_1e_22_eV", "number"):
            if not getattr(self, key) > 0:
                raise ConfigError(f"{key} must be above 0, got {getattr(self, key)}")
        if self.length_at_1e_22_eV > LONGEST:
            raise ConfigError(
                f"length_at_1e_22_eV must be at most {LONGEST:g}, got {self.length_at_1e_22_eV}"
            )

    @property
    def capacity(self) -> dict[str, int]:
        """Number of rods, or of points along all lines."""
        if self.continuous:
            return {"rods": self.number}
        return {"points": self.number * self.num_points}

    def draw(self, rng: np.random.Generator, lens: MainLens) -> Substructure:
        """Draw axion masses, directions, offsets unless fixed at 0, and masses, in this order.

        The truth ``vortex_ends`` (x0, y0, x1, y1) holds the ends of the first of several vortices;
        all vortices are among the points or rods.
        """
        num = len(lens.center_x)
        lines = (num, self.number)
        axion_mass = self.axion_mass.draw(rng, num)
        angle = 2 * np.pi * rng.random(lines)
        length = self.length_at_1e_22_eV * (1e-22 / axion_mass)
        x, y = self._middles(rng, lens, lines)
        vortex_mass = self.mass.draw(rng, num)
        half_x, half_y = (length[:, None] / 2 * turn(angle) for turn in (np.cos, np.sin))
        truth = {
            "num_subhalos": np.zeros(num),
            "axion_mass_eV": axion_mass,
            "vortex_mass": vortex_mass,
            "vortex_length": length,
            "vortex_ends": np.stack(
                [(x - half_x)[:, 0], (y - half_y)[:, 0], (x + half_x)[:, 0], (y + half_y)[:, 0]],
                axis=1,
            ),
        }
        if self.continuous:
            mass = np.repeat(vortex_mass[:, None] / self.number, self.number, axis=1)
            theta_E = lens.theta_E_unit * np.sqrt(mass)
            rods = Rods(x - half_x, y - half_y, x + half_x, y + half_y, theta_E, mass)
            return Substructure(rods=rods, truth=truth)
        along = np.linspace(-1, 1, self.num_points)
        point_x = (x[..., None] + along * half_x[..., None]).reshape(num, -1)
        point_y = (y[..., None] + along * half_y[..., None]).reshape(num, -1)
        num_points = point_x.shape[1]
        mass = np.repeat(vortex_mass[:, None] / num_points, num_points, axis=1)
        points = PointMasses(point_x, point_y, lens.theta_E_unit * np.sqrt(mass), mass)
        return Substructure(points=points, truth=truth)

    def _middles(
        self, rng: np.random.Generator, lens: MainLens, lines: tuple[int, int]
    ) -> tuple[np.ndarray, np.ndarray]:
        """Draw the middle of each line, (B, number) arcsec."""
        x, y = (np.broadcast_to(centre[:, None], lines) for centre in lens[:2])
        if self.offset == _AT_CENTRE:
            return x, y
        distance, angle = self.offset.draw(rng, lines), 2 * np.pi * rng.random(lines)
        return x + distance * np.cos(angle), y + distance * np.sin(angle)
