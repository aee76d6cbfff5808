"""Placeholder of the galaxies branch."""

from dataclasses import dataclass

from lenspinn.simulate.distributions import Distribution


@dataclass(frozen=True, kw_only=True)
class GalaxyPrior:
    """Real galaxies as sources."""

    galaxies: str
    magnitude: Distribution
    size: Distribution
    center_x: Distribution
    center_y: Distribution
