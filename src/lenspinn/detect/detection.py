"""The result of a search for dark clumps in one image, in numbers and in one sentence."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Bool, Float

from lenspinn.data.figure_html import figure_html, verdict_html
from lenspinn.detect.candidates import Candidate
from lenspinn.detect.chance import FALSE_ALARMS, Chance
from lenspinn.detect.completeness import NEAR_ENOUGH, PROBABLY
from lenspinn.detect.dark_solution import DarkSolution
from lenspinn.detect.mocks import MockMaker
from lenspinn.detect.observed_lens import ObservedLens
from lenspinn.detect.robustness import SURVIVES, SecondLook
from lenspinn.detect.subhalo import SolarMasses
from lenspinn.detect.template_bank import MASSES, TemplateBank

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["Detection", "FoundClump"]

Pixels = Float[np.ndarray, "y x"]
Mask = Bool[np.ndarray, "y x"]

SURE = 0.01
"""Largest chance at which a clump is claimed."""
SCHEMA = 2


@dataclass(frozen=True, kw_only=True)
class FoundClump:
    """One candidate, its chance, and its looks in other models."""

    candidate: Candidate
    chance: float | None
    """Chance of a peak as high anywhere on the ring of a mock without clumps; None without
    mocks."""
    looks: tuple[SecondLook, ...]

    @property
    def stays(self) -> bool:
        """Whether the fit with all else free again ends at the peak, and gains what it promised."""
        c = self.candidate
        gain = math.sqrt(max(0.0, *c.gain.values())) / c.peak.significance
        return gain >= SURVIVES and math.hypot(c.x - c.peak.x, c.y - c.peak.y) <= NEAR_ENOUGH

    @property
    def robust(self) -> bool:
        """Whether the candidate stays, and every other model shows it."""
        return not self.lost_with

    @property
    def lost_with(self) -> list[str]:
        """Names of the models that do not show the candidate."""
        lost = [look.model for look in self.looks if not look.survives]
        return lost if self.stays else ["all else fitted again", *lost]

    def plot(self) -> "Figure":
        """Draw peak height and mass in every other model, relative to those in the first model."""
        from lenspinn.detect.detection_picture import clump_figure

        return clump_figure(self)

    def _repr_html_(self) -> str:
        return figure_html(self.plot(), "a candidate in other models")


@dataclass(frozen=True, kw_only=True, eq=False)
class Detection:
    """Candidates that were found in one image, and the masses that would have been found.

    Maps share the square frame of `lens`; positions are in arcsec from its middle.
    """

    bank: TemplateBank
    """Templates that were looked for."""
    solution: DarkSolution
    clumps: tuple[FoundClump, ...]
    """Candidates, the highest peak first."""
    maker: MockMaker | None
    chance: Chance | None
    """Chances and completeness from mocks; None if no mocks were asked for."""
    masses: SolarMasses | None
    """Conversion to solar masses; None where no redshifts are known."""
    reasons: tuple[str, ...]
    """Reasons why the result is not to be trusted; empty if it is."""

    @property
    def lens(self) -> ObservedLens:
        """Observed lens that was searched."""
        return self.bank.lens

    @property
    def trusted(self) -> bool:
        """Whether the result is to be trusted: there are no `reasons` against it."""
        return not self.reasons

    @property
    def region(self) -> Mask:
        """Mask of the pixels in which clumps were looked for."""
        return self.lens.region

    @property
    def significance(self) -> Pixels:
        """Significance of the best of the template masses at the place nearest to each pixel.

        In standard deviations of the stated noise, NaN outside the region that was searched.
        """
        return self.bank.as_map(self.bank.heights(self.solution, None)[0].max(axis=0))

    @property
    def height(self) -> Pixels | None:
        """Height of the best of the template masses at the place nearest to each pixel.

        As defined in `lenspinn.detect.peaks.Peak`; None without mocks, NaN outside the region.
        """
        if self.chance is None:
            return None
        return self.bank.as_map(self.bank.heights(self.solution, self.chance.spread)[0].max(axis=0))

    @property
    def mass_at_5_sigma(self) -> Pixels:
        """Squared Einstein radius of 5 sigma of the stated noise in each pixel, arcsec^2.

        To first order in the mass, so the smaller it is the better it holds.
        """
        return 5 * self.solution.scan.strength_error[0].double().numpy()

    @property
    def mass_limit(self) -> Pixels | None:
        """Squared Einstein radius found with probability 0.9, arcsec^2; None if not measured.

        Infinite in pixels where the heaviest mass that is looked for is not found as often, NaN
        outside the region that was searched.
        """
        if self.chance is None or self.chance.completeness is None:
            return None
        limit = self.chance.completeness.mass_limit(self.chance.expected_heights(self.bank))
        return None if limit is None else self.bank.as_map(limit)

    @property
    def claimed(self) -> list[FoundClump]:
        """Clumps of a chance up to `SURE` that every model shows, if the result is trusted."""
        return [
            clump
            for clump in self.clumps
            if self.trusted and clump.chance is not None and clump.chance <= SURE and clump.robust
        ]

    @property
    def verdict(self) -> str:
        """Result in one line."""
        if self.chance is None:
            text = f"{self._highest()}, its chance not measured (no mocks)"
        elif self.claimed:
            text = "; ".join(f"a clump: {self._about(clump)}" for clump in self.claimed)
        else:
            text = f"no clump is claimed: {self._highest()}"
        limit = self._limit()
        trust = "" if self.trusted else f"; NOT TO BE TRUSTED: {'; '.join(self.reasons)}"
        return f"{text}{'; ' if limit else ''}{limit}{trust}"

    def __str__(self) -> str:
        return self.verdict

    # Pictures are imported when they are asked for.

    def plot(self, name: str = "lens") -> "Figure":
        """Draw the search, its candidates numbered; ``savefig`` of the figure writes it.

        Parameters
        ----------
        name
            Name of the lens, for the heading.
        """
        from lenspinn.detect.detection_picture import detection_figure

        return detection_figure(self, name)

    def _repr_html_(self) -> str:
        verdict = verdict_html(self.verdict, trusted=self.trusted)
        return verdict + figure_html(self.plot(), "maps of the search")

    def mass_in_words(self, strength: float) -> str:
        """Return text of a squared Einstein radius, in solar masses if redshifts are known."""
        if self.masses is None:
            return f"{strength:.2g} arcsec^2"
        return f"{strength * self.masses.per_square_arcsec:.2g} M_sun"

    def to_json(self) -> dict[str, Any]:
        """Return the numbers as a dictionary for JSON."""
        region = self.region
        per_mass = None if self.masses is None else self.masses.per_square_arcsec
        limit = self.mass_limit
        return {
            "schema": SCHEMA,
            "verdict": self.verdict,
            "trusted": self.trusted,
            "reasons": list(self.reasons),
            "theta_E_arcsec": self.lens.measured.theta_E,
            "pixel_scale_arcsec": self.lens.pixel_scale,
            "middle_arcsec": list(self.lens.middle),
            "z_lens": None if self.masses is None else self.masses.z_lens,
            "z_source": None if self.masses is None else self.masses.z_source,
            "solar_masses_per_square_arcsec": per_mass,
            "chi2_per_freedom": float(
                self.solution.found.smooth.chi2[0] / self.solution.found.freedom[0]
            ),
            "pixels_searched": int(region.sum()),
            "median_mass_at_5_sigma_arcsec2": float(np.median(self.mass_at_5_sigma[region])),
            "median_mass_limit_arcsec2": _finite(limit, region, np.median),
            "best_mass_limit_arcsec2": _finite(limit, region, np.min),
            "clumps": [self._clump_json(clump) for clump in self.clumps],
            "mocks": self._mocks_json(),
        }

    def _clump_json(self, clump: FoundClump) -> dict[str, Any]:
        c, per_mass = clump.candidate, self.masses
        solar = {
            f"{name}_solar_masses": None if per_mass is None else value * per_mass.per_square_arcsec
            for name, value in (("mass", c.mass), ("inner_mass", c.inner_mass))
        }
        if c.profile == "sis":  # which has no end
            solar["mass_solar_masses"] = None
        return {
            "x_arcsec": c.x,
            "y_arcsec": c.y,
            "x_error_arcsec": c.x_error,
            "y_error_arcsec": c.y_error,
            "profile": c.profile,
            "mass_arcsec2": c.mass,
            "mass_relative_error": c.mass_log_error,
            "scale_radius_arcsec": c.scale_radius,
            "inner_mass_arcsec2": c.inner_mass,
            "inner_radius_arcsec": c.inner_radius,
            **solar,
            "gain_in_chi2": c.gain,
            "peak": {
                "x_arcsec": c.peak.x,
                "y_arcsec": c.peak.y,
                "significance": c.peak.significance,
                "height": None if math.isnan(c.peak.height) else c.peak.height,
                "mass_arcsec2": c.peak.mass,
                "amplitude": c.peak.amplitude,
            },
            "chance": clump.chance,
            "robust": clump.robust,
            "other_models": [
                {"model": look.model, "height": look.height, "mass": look.mass}
                for look in clump.looks
            ],
        }

    def _mocks_json(self) -> dict[str, Any] | None:
        if self.chance is None or self.maker is None:
            return None
        return {
            "number": len(self.chance.highest),
            "clumpy_share_of_source": self.maker.share,
            "clumps_of_source": self.maker.clumps,
            "noise_over_stated": self.maker.noise.scale,
            "highest_peaks": self.chance.highest.round(3).tolist(),
            "left_on_arcs": self.chance.left.round(4).tolist(),
            "left_on_arcs_of_image": float(self.bank.roughness_left(self.solution)[0]),
            "height_of_false_alarms": {str(FALSE_ALARMS): self.chance.threshold},
            "completeness": self._completeness_json(),
        }

    def _completeness_json(self) -> dict[str, Any] | None:
        completeness = None if self.chance is None else self.chance.completeness
        if completeness is None:
            return None
        limit = completeness.height_limit
        return {
            "mass_arcsec2": completeness.mass.round(6).tolist(),
            "expected_height": completeness.expected.round(3).tolist(),
            "found": completeness.found.astype(int).tolist(),
            "height_found_with_90_percent": None if math.isnan(limit) else limit,
        }

    def _highest(self) -> str:
        if not self.clumps:
            return "no place on the arcs is better with a mass"
        return f"the highest peak is {self._about(self.clumps[0])}"

    def _about(self, clump: FoundClump) -> str:
        c = clump.candidate
        parts = [
            f"{self.mass_in_words(c.inner_mass)} (± {c.mass_log_error:.0%}) within "
            f'{c.inner_radius:.2f}" of ({c.x:.2f}", {c.y:.2f}")',
        ]
        if clump.chance is not None and self.chance is not None:
            least = "at most " if clump.chance * (1 + len(self.chance.highest)) <= 1 else ""
            parts.append(f"chance {least}{clump.chance:.1%}")
        lost = clump.lost_with
        parts.append("robust" if not lost else f"not robust ({', '.join(lost)})")
        return ", ".join(parts)

    def _limit(self) -> str:
        if self.chance is None or self.chance.completeness is None:
            return ""
        limit = self.mass_limit
        if limit is None:
            return "which masses would be found is not known: too few were"
        heaviest = self.mass_in_words(MASSES[-1])
        typical = float(np.median(limit[self.region]))
        if math.isinf(typical):
            share = np.isfinite(limit[self.region]).mean()
            return (
                f"a point mass of {heaviest} would be found with {PROBABLY:.0%} on {share:.0%} of "
                "the arcs alone"
            )
        none = "no other" if self.claimed else "no"
        return (
            f"on half of the arcs {none} point mass of {self.mass_in_words(typical)} to {heaviest} "
            f"at {PROBABLY:.0%}"
        )


def _finite(
    limit: Pixels | None, region: Mask, of_all: Callable[[Pixels], np.floating]
) -> float | None:
    """Return a number of the limits in the region; None where there is none or it is infinite."""
    if limit is None:
        return None
    value = float(of_all(limit[region]))
    return value if math.isfinite(value) else None
