"""Completeness: which point masses are found, told from point masses put into mocks."""

import math
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float
from scipy.optimize import minimize
from scipy.stats import norm

from lenspinn.detect.peaks import Peak
from lenspinn.detect.template_bank import MASSES, PerTemplate, TemplateBank

__all__ = ["NEAR_ENOUGH", "PROBABLY", "Completeness", "draw_masses", "was_found"]

NEAR_ENOUGH = 0.15
"""Largest distance between a clump and the peak at which it counts as found, arcsec."""
PROBABLY = 0.9
"""Probability with which a clump at the mass limit is found."""
LEAST_SLOPE = 0.2
"""Least slope of the probit of completeness in the natural logarithm of the expected height; below
it no limit is stated."""
LEAST_INJECTED = 10
"""Least number of injected clumps from which a mass limit is derived."""
_LEAST_HEIGHT = 1e-3
"""Least expected height, whose logarithm is taken."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Completeness:
    """Point masses that were put into mocks, one each, and those of them that were found."""

    mass: Float[np.ndarray, " injected"]
    """Squared Einstein radii, arcsec^2."""
    expected: Float[np.ndarray, " injected"]
    """Expected heights: those that the masses would have at their places if the rest of the model
    stayed as it is."""
    found: Bool[np.ndarray, " injected"]

    def probit(self) -> tuple[float, float]:
        """Return the completeness as a function of height: a probit of maximum likelihood.

        Returns
        -------
        offset, slope
            Numbers of the completeness ``Phi(offset + slope ln(expected))``.
        """
        log_height = np.log(self.expected)

        def misfit(numbers: np.ndarray) -> float:
            share = norm.cdf(numbers[0] + numbers[1] * log_height).clip(1e-9, 1 - 1e-9)
            return -float(np.where(self.found, np.log(share), np.log(1 - share)).sum())

        offset, slope = minimize(misfit, [0.0, 1.0], method="Nelder-Mead").x
        return float(offset), float(slope)

    @property
    def height_limit(self) -> float:
        """Expected height that is found with probability `PROBABLY`.

        NaN where it is above that of all injected masses, or cannot be told.
        """
        if len(self.found) < LEAST_INJECTED or self.found.all() or not self.found.any():
            return math.nan
        offset, slope = self.probit()
        if slope < LEAST_SLOPE:
            return math.nan
        height = math.exp(min((float(norm.ppf(PROBABLY)) - offset) / slope, 10.0))
        return height if height <= self.expected.max() else math.nan

    def mass_limit(self, heights: PerTemplate) -> Float[np.ndarray, " places"] | None:
        """Return the squared Einstein radius that is found with probability `PROBABLY`, arcsec^2.

        Parameters
        ----------
        heights
            Expected heights of all templates.

        Returns
        -------
        array of shape (places,), or None
            The least mass of which the expected height is `height_limit`: at least the lightest of
            `MASSES`, and infinite where the heaviest is not enough. None if there is no limit.
        """
        limit = self.height_limit
        if math.isnan(limit):
            return None
        log_mass, log_height = np.log(MASSES), np.log(heights.clip(min=_LEAST_HEIGHT))
        found = np.full(heights.shape[1], np.inf)
        for at in reversed(range(len(MASSES))):
            enough = log_height[at] >= math.log(limit)
            found[enough] = MASSES[at]
            if at:
                step = (log_height[at] - log_height[at - 1]).clip(min=1e-9)
                part = ((math.log(limit) - log_height[at - 1]) / step).clip(0, 1)
                between = np.exp(log_mass[at - 1] + part * (log_mass[at] - log_mass[at - 1]))
                found[enough] = between[enough]
        return found


def draw_masses(
    bank: TemplateBank, heights: PerTemplate, num: int, rng: np.random.Generator
) -> tuple[Float[np.ndarray, "num 3"], Float[np.ndarray, " num"]]:
    """Draw places in the region and masses between those of the templates, evenly in logarithm.

    Returns
    -------
    numbers
        Position x and y, arcsec, and squared Einstein radius, arcsec^2, of each mass.
    expected
        Expected height of each.
    """
    rows, columns = np.nonzero(bank.lens.region)
    chosen = rng.integers(len(rows), size=num)
    x, y = bank.lens.position(rows[chosen], columns[chosen])
    mass = np.exp(rng.uniform(math.log(MASSES[0]), math.log(MASSES[-1]), num))
    return np.stack([x, y, mass], axis=1), expected_heights(bank, heights, x, y, mass)


def expected_heights(
    bank: TemplateBank,
    heights: PerTemplate,
    x: Float[np.ndarray, " some"],
    y: Float[np.ndarray, " some"],
    mass: Float[np.ndarray, " some"],
) -> Float[np.ndarray, " some"]:
    """Return expected heights of masses at positions, interpolated between those of `MASSES`."""
    logs = np.log(heights.clip(min=_LEAST_HEIGHT))[:, bank.nearest(x, y)]
    of_each = zip(np.log(mass), logs.T, strict=True)
    return np.exp([np.interp(each, np.log(MASSES), of_place) for each, of_place in of_each])


def was_found(peaks: list[Peak], x: float, y: float, threshold: float) -> bool:
    """Return whether the highest peak is at least as high as the threshold and near a position."""
    if not peaks:
        return False
    near = math.hypot(peaks[0].x - x, peaks[0].y - y) <= NEAR_ENOUGH
    return near and peaks[0].height >= threshold
