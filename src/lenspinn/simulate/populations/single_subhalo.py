"""One truncated NFW halo near the Einstein ring, to ask what a search for dark clumps finds."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from lenspinn.simulate.distributions import Distribution, require_positive, require_within
from lenspinn.simulate.populations.base import MainLens, Substructure
from lenspinn.simulate.populations.tnfw_subhalos import truncated_halos


@dataclass(frozen=True, kw_only=True)
class SingleSubhalo:
    """One truncated NFW halo a lens, of a stated mass and concentration."""

    mass: Distribution
    """M200 before truncation, solar masses."""
    concentration: Distribution
    """r200 in units of the scale radius."""
    truncation: Distribution
    """Truncation radius in units of the scale radius."""
    radius: Distribution
    """Projected distance from the lens centre in units of theta_E."""

    truth_fields: ClassVar[Mapping[str, tuple[int, ...]]] = {"subhalo_concentration": ()}

    def __post_init__(self) -> None:
        require_positive(self, "mass", "concentration", "truncation")
        require_within(self, 1.0, 1e18, "mass")
        require_within(self, 0.1, 1e4, "concentration")
        require_within(self, 1e-2, 1e4, "truncation")
        require_within(self, 0.0, 1e2, "radius")

    @property
    def capacity(self) -> dict[str, int]:
        """Number of halos in an image: one."""
        return {"halos": 1}

    def draw(self, rng: np.random.Generator, lens: MainLens) -> Substructure:
        """Draw masses, concentrations, truncations, radii and directions, in this order."""
        shape = (len(lens.center_x), 1)
        mass, concentration, tau, radius = (
            np.asarray(each.draw(rng, shape))
            for each in (self.mass, self.concentration, self.truncation, self.radius)
        )
        angle = 2 * np.pi * rng.random(shape)
        distance = radius * lens.theta_E[:, None] * lens.plane.scaling
        halos = truncated_halos(
            mass,
            concentration,
            tau,
            lens.center_x[:, None] + distance * np.cos(angle),
            lens.center_y[:, None] + distance * np.sin(angle),
            np.ones(shape, dtype=bool),
            lens.plane,
        )
        return Substructure(halos=halos, truth={"subhalo_concentration": concentration[:, 0]})
