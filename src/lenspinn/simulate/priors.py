"""Priors of lenses, sources and lens light."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from lenspinn.data.instrument import Instrument, flux_from_magnitude
from lenspinn.errors import ConfigError
from lenspinn.lensing import sersic_total_flux
from lenspinn.simulate.distributions import (
    Distribution,
    Normal,
    require_positive,
    require_within,
)
from lenspinn.simulate.plane import LensPlane
from lenspinn.simulate.scene import Clumps, SersicLight, SmoothLens

__all__ = ["ClumpPrior", "LensLightPrior", "LensPrior", "SourcePrior"]

SLOPES = (1.05, 2.95)
"""Range of the slope of a power law: its mass diverges at 1, its deflection at the centre at 3."""

LARGEST_ELLIPTICITY = 0.95
"""Largest ellipticity drawn: normal distributions have no bounds; at 1 an ellipse is a line."""
MOST_CLUMPS = 1000
"""Largest number of clumps on a source."""
SERSIC_INDICES = (0.3, 12.0)
"""Range of the Sersic index in which R_sersic is the half-light radius; see
`lenspinn.lensing.sersic`."""
MAGNITUDES = (-10.0, 60.0)
"""Range of AB magnitudes, from brighter than any star to less than a photon in the age of the
universe."""
ARCSEC = (1e-4, 1e3)
"""Range of sizes and Einstein radii, arcsec."""

Truth = dict[str, np.ndarray]


@dataclass(frozen=True, kw_only=True)
class LensPrior:
    """The smooth lens: an elliptical power law, external shear, and multipoles if asked for."""

    theta_E: Distribution | None = None
    """Einstein radius, arcsec."""
    mass: Distribution | None = None
    """Mass inside the Einstein radius, solar masses, in the place of `theta_E`."""
    e1: Distribution
    e2: Distribution
    center_x: Distribution
    center_y: Distribution
    """Position of the centre, arcsec, as `center_x`."""
    gamma1: Distribution
    gamma2: Distribution
    gamma: Distribution | None = None
    """Slope of the three-dimensional density, between 1 and 3, where draws are cut; None: 2, a
    singular isothermal ellipsoid, which is cheaper."""
    multipoles: "MultipolePrior | None" = None

    def __post_init__(self) -> None:
        _require_one_of(self, "theta_E", "mass")
        require_positive(self, "theta_E", "mass")
        require_within(self, *ARCSEC, "theta_E")
        require_within(self, 1.0, 1e18, "mass")
        require_within(self, -1e3, 1e3, "center_x", "center_y")
        require_within(self, -10.0, 10.0, "gamma1", "gamma2")
        _require_ellipse(self)
        if self.gamma is not None:
            typical = self.gamma.mean if isinstance(self.gamma, Normal) else self.gamma.minimum
            if not SLOPES[0] <= typical <= SLOPES[1]:
                raise ConfigError(f"gamma must lie between 1 and 3, which {self.gamma} does not")

    def draw(self, rng: np.random.Generator, plane: LensPlane, num: int) -> SmoothLens:
        """Draw theta_E, e1, e2, center_x, center_y, gamma1, gamma2, in this order, unscaled."""
        if self.theta_E is not None:
            theta_E = self.theta_E.draw(rng, num)
        else:
            assert self.mass is not None  # __post_init__ has seen to it
            theta_E = plane.theta_E_unit * self.mass.draw(rng, num) ** 0.5
        names = ("e1", "e2", "center_x", "center_y", "gamma1", "gamma2")
        others = {name: getattr(self, name).draw(rng, num) for name in names}
        others |= _ellipticity(others["e1"], others["e2"])
        return SmoothLens(theta_E=theta_E, **others)

    def draw_shape(self, rng: np.random.Generator, num: int) -> Truth:
        """Draw the rest of a `SmoothLens`: its slope, then its multipoles."""
        drawn = {}
        if self.gamma is not None:
            drawn["gamma"] = np.clip(self.gamma.draw(rng, num), *SLOPES)
        if self.multipoles is not None:
            for name in ("a3", "phi3", "a4", "phi4"):
                drawn[name] = getattr(self.multipoles, name).draw(rng, num)
        return drawn


@dataclass(frozen=True, kw_only=True)
class MultipolePrior:
    """Departures of the lens from an ellipse, lenstronomy's ``MULTIPOLE`` of order 3 and 4."""

    a3: Distribution
    """Amplitude of order 3 in units of theta_E, as `a4` of order 4."""
    a4: Distribution
    phi3: Distribution
    """Direction of order 3, radians, as `phi4` of order 4."""
    phi4: Distribution

    def __post_init__(self) -> None:
        require_within(self, -1.0, 1.0, "a3", "a4")
        require_within(self, -100.0, 100.0, "phi3", "phi4")


@dataclass(frozen=True, kw_only=True)
class ClumpPrior:
    """Clumps on a source: circular Gaussians, lenstronomy's ``GAUSSIAN``.

    Clumps take their flux from the Sersic profile, so the total flux stays the same, and share it
    unequally: by exponential random weights, so that a few clumps are bright.
    """

    number: int
    """Number of clumps on each source."""
    share: Distribution
    """Share of the flux of a source that is in its clumps, between 0 and 1."""
    sigma: Distribution
    """Standard deviation of each clump, arcsec."""
    radius: Distribution
    """Radius of the ellipse of the source through the centre of each clump, in units of R_sersic;
    the direction is uniform."""

    def __post_init__(self) -> None:
        if self.number < 1:
            raise ConfigError(f"number must be at least 1, got {self.number}")
        if self.number > MOST_CLUMPS:
            raise ConfigError(f"number must be at most {MOST_CLUMPS}, got {self.number}")
        if not 0 <= self.share.minimum <= self.share.maximum <= 1:
            raise ConfigError(f"share must always lie between 0 and 1, which {self.share} does not")
        require_positive(self, "sigma")
        require_within(self, *ARCSEC, "sigma")
        require_within(self, -ARCSEC[1], ARCSEC[1], "radius")
        if self.radius.minimum < 0:
            raise ConfigError(f"radius must never be below 0, which {self.radius} can be")

    def draw(self, rng: np.random.Generator, light: SersicLight) -> tuple[Clumps, np.ndarray]:
        """Draw share, weights, sigma, radius and direction, in this order.

        Returns
        -------
        clumps : Clumps
        share : (B,)
            Share of the flux of ``light`` that is in the clumps.
        """
        size = (len(light.flux), self.number)
        share = np.asarray(self.share.draw(rng, size[0]))
        weights = rng.standard_exponential(size)
        sigma = self.sigma.draw(rng, size)
        radius = light.R_sersic[:, None] * self.radius.draw(rng, size)
        angle = 2 * np.pi * rng.random(size)
        u, v = radius * np.cos(angle), radius * np.sin(angle)
        e1, e2 = light.e1[:, None], light.e2[:, None]
        # From a circle to the ellipse of equal area that `lenspinn.lensing.sersic` is constant on.
        stretch = 1 / np.sqrt(1 - e1**2 - e2**2)
        clumps = Clumps(
            flux=(share * light.flux / weights.sum(axis=1))[:, None] * weights,
            x=light.center_x[:, None] + stretch * ((1 + e1) * u + e2 * v),
            y=light.center_y[:, None] + stretch * (e2 * u + (1 - e1) * v),
            sigma=sigma,
        )
        return clumps, share


@dataclass(frozen=True, kw_only=True)
class SourcePrior:
    """The source: one elliptical Sersic profile, lenstronomy's ``SERSIC_ELLIPSE``, and clumps."""

    magnitude: Distribution | None = None
    """AB magnitude of the unlensed source."""
    amplitude: Distribution | None = None
    """Surface brightness at R_sersic, e-/s per square arcsec, in the place of `magnitude`."""
    R_sersic: Distribution
    """Half-light radius, arcsec."""
    n_sersic: Distribution
    e1: Distribution
    e2: Distribution
    center_x: Distribution
    center_y: Distribution
    """Position of the centre in the source plane, arcsec, as `center_x`."""
    clumps: ClumpPrior | None = None

    def __post_init__(self) -> None:
        _require_one_of(self, "magnitude", "amplitude")
        require_positive(self, "amplitude", "R_sersic", "n_sersic")
        require_within(self, *MAGNITUDES, "magnitude")
        require_within(self, 0.0, 1e20, "amplitude")
        require_within(self, *ARCSEC, "R_sersic")
        require_within(self, *SERSIC_INDICES, "n_sersic")
        require_within(self, -1e3, 1e3, "center_x", "center_y")
        _require_ellipse(self)

    def draw(
        self, rng: np.random.Generator, instrument: Instrument, num: int
    ) -> tuple[SersicLight, Truth]:
        """Draw brightness, R_sersic, n_sersic, e1, e2, center_x, center_y, in this order."""
        brightness = self.amplitude if self.magnitude is None else self.magnitude
        assert brightness is not None  # __post_init__ has seen to it
        value = brightness.draw(rng, num)
        R_sersic, n_sersic = self.R_sersic.draw(rng, num), self.n_sersic.draw(rng, num)
        if self.magnitude is None:
            flux, extra = np.asarray(sersic_total_flux(R_sersic, n_sersic, value)), {}
        else:
            assert instrument.zero_point is not None  # Recipe has refused magnitudes without it
            flux = flux_from_magnitude(value, instrument.zero_point)
            extra = {"source_magnitude": value}
        names = ("e1", "e2", "center_x", "center_y")
        shape = {name: getattr(self, name).draw(rng, num) for name in names}
        shape |= _ellipticity(shape["e1"], shape["e2"])
        return SersicLight(flux=flux, R_sersic=R_sersic, n_sersic=n_sersic, **shape), extra

    def draw_clumps(
        self, rng: np.random.Generator, light: SersicLight
    ) -> tuple[SersicLight, Truth]:
        """Draw the clumps of drawn sources, and ``clump_share``; none where `clumps` is None."""
        if self.clumps is None:
            return light, {}
        clumps, share = self.clumps.draw(rng, light)
        return replace(light, clumps=clumps), {"clump_share": share}


@dataclass(frozen=True, kw_only=True)
class LensLightPrior:
    """The light of the lens galaxy: a Sersic profile centred on its mass."""

    magnitude: Distribution
    """AB magnitude of the lens light."""
    R_sersic: Distribution
    """Half-light radius, arcsec."""
    n_sersic: Distribution
    e1: Distribution
    """First component of the ellipticity of the light minus that of the mass, as `e2`."""
    e2: Distribution
    subtraction_error: Distribution | None = None
    """Relative error in flux, R_sersic and n_sersic (a draw each) of the model of the lens light
    that is subtracted from the image; None: nothing is subtracted."""

    def __post_init__(self) -> None:
        require_positive(self, "R_sersic", "n_sersic")
        require_within(self, *MAGNITUDES, "magnitude")
        require_within(self, *ARCSEC, "R_sersic")
        require_within(self, *SERSIC_INDICES, "n_sersic")
        require_within(self, -0.5, 0.5, "subtraction_error")
        _require_ellipse(self)

    def draw(
        self, rng: np.random.Generator, lens: SmoothLens, zero_point: float
    ) -> tuple[SersicLight, SersicLight | None]:
        """Draw the lens light, and the model of it that is subtracted."""
        num = len(lens.theta_E)
        magnitude, R_sersic, n_sersic, e1, e2 = (
            getattr(self, name).draw(rng, num)
            for name in ("magnitude", "R_sersic", "n_sersic", "e1", "e2")
        )
        shape = _ellipticity(lens.e1 + e1, lens.e2 + e2)
        light = SersicLight(
            flux=flux_from_magnitude(magnitude, zero_point),
            R_sersic=R_sersic,
            n_sersic=n_sersic,
            e1=shape["e1"],
            e2=shape["e2"],
            center_x=lens.center_x,
            center_y=lens.center_y,
        )
        if self.subtraction_error is None:
            return light, None
        # A normal distribution could give a model without flux or size, or an index out of range.
        errors = [1 + self.subtraction_error.draw(rng, num).clip(min=-0.9) for _ in range(3)]
        return light, SersicLight(
            flux=light.flux * errors[0],
            R_sersic=light.R_sersic * errors[1],
            n_sersic=(light.n_sersic * errors[2]).clip(*SERSIC_INDICES),
            e1=light.e1,
            e2=light.e2,
            center_x=light.center_x,
            center_y=light.center_y,
        )


def _require_ellipse(prior: Any) -> None:
    """Refuse ellipticities that would always, or in their bounds, reach 1.

    Raises
    ------
    ConfigError
        If they would; the message names e1 and e2.
    """
    require_within(prior, -0.99, 0.99, "e1", "e2")
    bounded = [e for e in (prior.e1, prior.e2) if not isinstance(e, Normal)]
    largest = sum(max(abs(e.minimum), abs(e.maximum)) ** 2 for e in bounded) ** 0.5
    if largest >= 1:
        raise ConfigError(
            f"e1 and e2 must keep the ellipticity (e1^2 + e2^2)^0.5 below 1; they reach {largest:g}"
        )


def _ellipticity(e1: np.ndarray, e2: np.ndarray) -> Truth:
    """Return ellipticities, shortened along their direction to at most `LARGEST_ELLIPTICITY`."""
    size = np.hypot(e1, e2)
    if not (size > LARGEST_ELLIPTICITY).any():
        return {"e1": e1, "e2": e2}
    shorter = np.minimum(1.0, LARGEST_ELLIPTICITY / np.maximum(size, LARGEST_ELLIPTICITY))
    return {"e1": e1 * shorter, "e2": e2 * shorter}


def _require_one_of(prior: Any, first: str, second: str) -> None:
    given = [name for name in (first, second) if getattr(prior, name) is not None]
    if len(given) != 1:
        advice = ": set the other to null" if given else ""
        raise ConfigError(f"give either {first} or {second}, and not both{advice}")
