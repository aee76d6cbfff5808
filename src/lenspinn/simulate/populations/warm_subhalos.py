"""Warm dark matter: fewer and less concentrated subhalos below a cut-off mass."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from lenspinn.simulate.distributions import Distribution, require_positive, require_within
from lenspinn.simulate.populations.base import MainLens, Substructure
from lenspinn.simulate.populations.tnfw_subhalos import (
    CONCENTRATION_SCATTER,
    TNFWSubhalos,
    concentration_200,
    truncated_halos,
)

_ABUNDANCE = (4.2, 2.5, -0.2)
"""Parameters alpha, beta and gamma of the abundance of warm subhalos in Lovell (2020)."""
_CONCENTRATION = (60.0, -0.17)
"""Parameters gamma_1 and -gamma_2 of the concentration of warm halos in Bose et al. (2016)."""


@dataclass(frozen=True, kw_only=True)
class WarmSubhalos(TNFWSubhalos):
    """Warm dark matter: `TNFWSubhalos` suppressed below the half-mode mass.

    Notes
    -----
    Of the subhalos that cold dark matter would have, each is kept with the probability
    ``(1 + (4.2 M_hm / M)^2.5)^-0.2``, and concentrations are lower by
    ``(1 + 60 M_hm / M)^-0.17 (1 + z)^(0.026 z - 0.04)``.

    References
    ----------
    Lovell (2020), arXiv:2003.01125; Bose et al. (2016), arXiv:1507.01998.
    """

    half_mode_mass: Distribution
    """Half-mode mass, solar masses, one for each lens."""

    truth_fields: ClassVar[Mapping[str, tuple[int, ...]]] = {
        "num_subhalos": (),
        "half_mode_mass": (),
    }

    def __post_init__(self) -> None:
        super().__post_init__()
        require_positive(self, "half_mode_mass")
        require_within(self, 1.0, 1e18, "half_mode_mass")

    def draw(self, rng: np.random.Generator, lens: MainLens) -> Substructure:
        """Draw as `TNFWSubhalos`, then the half-mode mass and the subhalos that survive."""
        used, mass, x, y = self._draw_places(rng, lens)
        scatter = CONCENTRATION_SCATTER * rng.standard_normal(mass.shape)
        tau = self.truncation.draw(rng, mass.shape)
        half_mode_mass = self.half_mode_mass.draw(rng, len(mass))
        ratio = half_mode_mass[:, None] / mass
        used = used & (rng.random(mass.shape) < abundance(ratio))
        concentration = concentration_200(mass, lens.plane) * 10**scatter
        concentration = concentration * relative_concentration(ratio, lens.plane.z_lens)
        truth = {
            "num_subhalos": used.sum(axis=1).astype(float),
            "half_mode_mass": half_mode_mass,
        }
        halos = truncated_halos(mass, concentration, tau, x, y, used, lens.plane)
        return Substructure(halos=halos, truth=truth)


def abundance(ratio: np.ndarray) -> np.ndarray:
    """Return the share of cold subhalos that warm dark matter has, by half-mode mass over mass."""
    alpha, beta, gamma = _ABUNDANCE
    return (1 + (alpha * ratio) ** beta) ** gamma


def relative_concentration(ratio: np.ndarray, z: float) -> np.ndarray:
    """Return warm over cold concentration, by half-mode mass over mass, at a redshift."""
    gamma_1, gamma_2 = _CONCENTRATION
    return (1 + gamma_1 * ratio) ** gamma_2 * (1 + z) ** (0.026 * z - 0.04)
