"""Interface of a dark-matter population, and the substructure that it draws."""

from collections.abc import Mapping
from typing import ClassVar, NamedTuple, Protocol, runtime_checkable

import numpy as np

from lenspinn.errors import ConfigError
from lenspinn.simulate.faults import Faults
from lenspinn.simulate.plane import LensPlane

MOST_SUBHALOS = 50_000
"""Largest mean number of subhalos in an image: each is a deflection at every pixel."""


class PointMasses(NamedTuple):
    """Point masses in the lens plane, each value (B, n); unused places are 0."""

    x: np.ndarray
    y: np.ndarray
    """Position, arcsec from the centre of the image, as `x`."""
    theta_E: np.ndarray
    """Einstein radius as it acts in the image, arcsec."""
    mass: np.ndarray
    """Mass of each point, solar masses."""


class Halos(NamedTuple):
    """Truncated NFW halos, each value (B, n); unused places have Rs = r_trunc = 1, else 0."""

    x: np.ndarray
    y: np.ndarray
    alpha_Rs: np.ndarray
    """Deflection at `Rs` as it acts in the image, arcsec."""
    Rs: np.ndarray
    r_trunc: np.ndarray
    mass: np.ndarray
    """Mass of each halo, solar masses."""


class Rods(NamedTuple):
    """Uniform straight lines, each value (B, n); unused places go from (0, 0) to (1, 0)."""

    x0: np.ndarray
    y0: np.ndarray
    x1: np.ndarray
    y1: np.ndarray
    theta_E: np.ndarray
    """Einstein radius of the whole line as it acts in the image, arcsec."""
    mass: np.ndarray
    """Mass of the whole line, solar masses."""


class Substructure(NamedTuple):
    """The substructure of B lenses."""

    points: PointMasses | None = None
    halos: Halos | None = None
    rods: Rods | None = None
    truth: Mapping[str, np.ndarray] = {}
    """Truth by field, the `truth_fields` of the population, each (B, *shape)."""


class MainLens(NamedTuple):
    """Facts about B lenses that a population needs."""

    center_x: np.ndarray
    center_y: np.ndarray
    """Position of the lens centre, (B,) arcsec, as `center_x`."""
    theta_E: np.ndarray
    """Einstein radius before any scaling, (B,) arcsec."""
    plane: LensPlane
    faults: Faults

    def take(self, rows: np.ndarray) -> "MainLens":
        """Return some of the lenses."""
        return self._replace(
            center_x=self.center_x[rows], center_y=self.center_y[rows], theta_E=self.theta_E[rows]
        )

    @property
    def theta_E_unit(self) -> float:
        """Einstein radius that one solar mass has in the image, arcsec; grows as sqrt(mass)."""
        # A deflection scaled by s is that of a mass scaled by s.
        return self.plane.theta_E_unit * self.plane.scaling**0.5


def check_mean_number(mean_number: float) -> None:
    """Refuse a mean number of subhalos that is negative or above `MOST_SUBHALOS`.

    Raises
    ------
    ConfigError
        If it is; the message names the number.
    """
    if not 0 <= mean_number <= MOST_SUBHALOS:
        raise ConfigError(
            f"mean_number must be at least 0, and at most {MOST_SUBHALOS}, got {mean_number}"
        )


@runtime_checkable
class Population(Protocol):
    """Population of dark matter, which draws the substructure of lenses."""

    truth_fields: ClassVar[Mapping[str, tuple[int, ...]]]
    """Shape of each truth value that the population adds; NaN for images of other classes."""

    @property
    def capacity(self) -> dict[str, int]:
        """Largest number of ``points``, ``halos`` and ``rods`` in an image, of kinds that occur."""

    def draw(self, rng: np.random.Generator, lens: MainLens) -> Substructure:
        """Draw a `Substructure` for each of the lenses."""
