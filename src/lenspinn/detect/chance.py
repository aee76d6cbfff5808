"""How often mocks without clumps show a peak as high, and which clumps mocks would have shown.

A significance is not taken at its word: noise is correlated, sources are rough, and more so here
than there. Each pixel is compared with what the same pixel does in mocks of the same lens.
"""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float
from scipy import ndimage
from scipy.optimize import minimize
from scipy.stats import norm

from lenspinn.detect.dark_solution import DarkSolution, solve
from lenspinn.detect.mocks import BATCH, MockMaker, roughness_left
from lenspinn.detect.observed_lens import AROUND_ARCS, ObservedLens
from lenspinn.detect.subhalo import Subhalo

__all__ = ["Chance", "Peak", "find_peaks", "measure_chance", "probit", "search_region"]

Pixels = Float[np.ndarray, "y x"]
Mask = Bool[np.ndarray, "y x"]

APART = 0.25
"""Arcsec: peaks nearer to each other are one."""
MOST_PEAKS = 3
SMOOTHED = 2.0
"""Pixels: standard deviation over which the spread of mocks is averaged, for few mocks tell little
of a single pixel."""
FALSE_ALARMS = 0.05
"""Share of images without clumps in which one would be claimed, at the height from which the
completeness counts a clump as found."""
NEAR_ENOUGH = 0.15
"""Arcsec from its place within which a clump is found."""
INJECTED_FROM, INJECTED_TO = -0.5, 1.0
"""Decades of mass about the limit of linear theory, evenly over which injected clumps are drawn:
more above, where images are no longer linear in them."""
PROBABLY = 0.9
"""Probability of being found at the mass limit."""
LEAST_SLOPE = 0.2
"""Of the probit of being found in the natural logarithm of mass, from where it rises at all."""
LEAST_INJECTED = 10
"""Clumps from which it is told where nearly all are found."""


@dataclass(frozen=True)
class Peak:
    """A place where one more mass explains more than around it."""

    row: int
    column: int
    x: float
    y: float
    """From the middle of the frame, arcsec."""
    significance: float
    """Of a point mass there, in units of the stated noise."""
    strength: float
    """Best squared Einstein radius, arcsec^2, as far as images are linear in it."""
    height: float
    """`scaled_significance` over the spread of that in mocks at this place; NaN without mocks."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Chance:
    """What mocks of one lens say."""

    spread: Pixels
    """Of `scaled_significance` in mocks, in each pixel."""
    highest: Float[np.ndarray, " mocks"]
    """Height of the highest peak of each mock without clumps."""
    left: Float[np.ndarray, " mocks"]
    """`lenspinn.detect.mocks.roughness_left` of each of these."""
    correlation: Float[np.ndarray, " mocks"]
    """`lag_correlation` of each of these."""
    injected: Float[np.ndarray, "injected 4"]
    """Of mocks with a clump: squared Einstein radius, mass limit of linear theory there, strength
    that was found, and 1 if its peak was the highest and above `threshold`, else 0."""
    factor: float
    """By which mass limits are those of linear theory; NaN if nothing was injected, or if too few
    of it were found to tell."""

    @property
    def threshold(self) -> float:
        """Height that `FALSE_ALARMS` of the mocks exceed."""
        return float(np.quantile(self.highest, 1 - FALSE_ALARMS))

    def of(self, height: float) -> float:
        """Return the chance of a peak as high anywhere on the ring.

        ``(1 + k) / (1 + n)`` for *k* of *n* mocks: no less than one over their number.
        """
        above = int((self.highest >= height).sum())
        return (1 + above) / (1 + len(self.highest))

    def mass_limit(self, strength_error: Pixels) -> Pixels:
        """Return the squared Einstein radius that is found with probability `PROBABLY`, arcsec^2.

        Parameters
        ----------
        strength_error
            Of a point mass in each pixel, stated noise.
        """
        return self.factor * self.linear_limit(strength_error)

    def linear_limit(self, strength_error: Pixels) -> Pixels:
        """Return the same as linear theory has it: heights are normal about mass over error."""
        error = strength_error * self.spread * math.sqrt(float(np.median(self.left)))
        return (self.threshold + float(norm.ppf(PROBABLY))) * error


def search_region(lens: ObservedLens) -> Mask:
    """Return where clumps are looked for: on the arcs and a little around them."""
    distance = ndimage.distance_transform_edt(~lens.arcs) * lens.pixel_scale
    return (distance <= AROUND_ARCS) & np.isfinite(lens.sigma[0].numpy())


def scaled_significance(
    lens: ObservedLens, solution: DarkSolution
) -> Float[np.ndarray, "batch y x"]:
    """Return the significance of a point mass in each pixel, where an image is as rough as it is.

    It is that in units of the stated noise, over the root of what is left on the arcs away from the
    highest peak: sources of mocks are not equally rough, nor is noise what a map says.
    """
    left = roughness_left(lens, solution)
    return solution.scan.significance.double().numpy() / np.sqrt(left)[:, None, None]


def lag_correlation(lens: ObservedLens, solution: DarkSolution) -> Float[np.ndarray, " batch"]:
    """Return how alike neighbouring pixels of a residual on the arcs are, -1 to 1."""
    arcs, found = lens.arcs, []
    for residual in solution.residual.double().numpy():
        pairs = [
            (residual[:-1][both], residual[1:][both])
            for both, residual in (
                (arcs[:-1] & arcs[1:], residual),
                (arcs.T[:-1] & arcs.T[1:], residual.T),
            )
        ]
        one, other = (np.concatenate(side) for side in zip(*pairs, strict=True))
        found.append(float(np.corrcoef(one, other)[0, 1]))
    return np.array(found)


def find_peaks(
    lens: ObservedLens, solution: DarkSolution, spread: Pixels | None, most: int = MOST_PEAKS
) -> list[Peak]:
    """Return the highest peaks, the highest first.

    Parameters
    ----------
    lens
    solution
        Of one image.
    spread
        Of mocks; None if there are none.
    most
        Peaks.
    """
    region = search_region(lens)
    significance = solution.scan.significance[0].double().numpy()
    scaled = scaled_significance(lens, solution)[0]
    height = scaled / (1.0 if spread is None else spread)
    left = np.where(region, height, -np.inf)
    peaks: list[Peak] = []
    rows, columns = np.indices(region.shape)
    middle = (len(region) - 1) / 2
    strength = solution.scan.strength[0].double().numpy()
    while len(peaks) < most:
        row, column = (int(at) for at in np.unravel_index(int(left.argmax()), left.shape))
        if not left[row, column] > 0:
            break
        x, y = ((at - middle) * lens.pixel_scale for at in (column, row))
        peaks.append(
            Peak(
                row=row,
                column=column,
                x=x,
                y=y,
                significance=float(significance[row, column]),
                strength=float(strength[row, column]),
                height=math.nan if spread is None else float(height[row, column]),
            )
        )
        left[np.hypot(rows - row, columns - column) * lens.pixel_scale < APART] = -np.inf
    return peaks


def measure_chance(
    maker: MockMaker, *, mocks: int, injected: int, seed: int, progress: Callable[[int], None]
) -> Chance:
    """Solve mocks without and with clumps.

    Parameters
    ----------
    maker
        Of mocks.
    mocks, injected
        How many without, and with one clump each; at least two of the first.
    seed
        Of both.
    progress
        Called with the number of mocks that were solved, each time.
    """
    lens, region = maker.lens, search_region(maker.lens)
    significance, left, correlation = [], [], []
    for solution in _solved(maker, maker.draw(mocks, seed), progress):
        significance.append(scaled_significance(lens, solution))
        left.append(roughness_left(lens, solution))
        correlation.append(lag_correlation(lens, solution))
    maps = np.concatenate(significance)
    square = _smoothed((maps**2).mean(axis=0), region)
    # Each mock is compared with the others: of few, one would be compared with itself.
    heights = [
        (one / np.sqrt(_without(square, _smoothed(one**2, region), mocks)))[region].max()
        for one in maps
    ]
    bare = Chance(
        spread=np.sqrt(square),
        highest=np.array(heights),
        left=np.concatenate(left),
        correlation=np.concatenate(correlation),
        injected=np.empty((0, 4)),
        factor=math.nan,
    )
    if injected == 0:
        return bare
    found = _injections(maker, bare, injected, seed, progress)
    return Chance(**{**vars(bare), "injected": found, "factor": found_with_90_percent(found)})


def _solved(
    maker: MockMaker, images: torch.Tensor, progress: Callable[[int], None]
) -> Iterator[DarkSolution]:
    for batch in images.split(BATCH):
        yield solve(maker.lens, batch)
        progress(len(batch))


def _injections(
    maker: MockMaker, chance: Chance, num: int, seed: int, progress: Callable[[int], None]
) -> Float[np.ndarray, "injected 4"]:
    """Put point masses on the ring, of masses around the limit of linear theory, and look."""
    lens, rng = maker.lens, np.random.default_rng([seed, 1])
    error = maker.solution.scan.strength_error[0].double().numpy()
    limits = chance.linear_limit(error)
    rows, columns = np.nonzero(search_region(lens))
    chosen = rng.integers(len(rows), size=num)
    rows, columns = rows[chosen], columns[chosen]
    middle = (len(limits) - 1) / 2
    masses = limits[rows, columns] * 10 ** rng.uniform(INJECTED_FROM, INJECTED_TO, num)
    subhalos = [
        Subhalo(
            profile="point",
            x=(column - middle) * lens.pixel_scale,
            y=(row - middle) * lens.pixel_scale,
            mass=mass,
        )
        for row, column, mass in zip(rows, columns, masses, strict=True)
    ]
    images = maker.draw(num, seed + num + 1, subhalos)
    found: list[tuple[float, float]] = []
    for solution in _solved(maker, images, progress):
        for at in range(len(solution.residual)):
            peak = find_peaks(lens, solution.one(at), chance.spread, most=1)
            subhalo = subhalos[len(found)]
            found.append(_was_found(peak, subhalo, chance.threshold))
    strengths, there = np.array(found).T
    return np.stack([masses, limits[rows, columns], strengths, there], axis=1)


def _was_found(peaks: list[Peak], subhalo: Subhalo, threshold: float) -> tuple[float, float]:
    if not peaks:
        return 0.0, 0.0
    distance = math.hypot(peaks[0].x - float(subhalo.x), peaks[0].y - float(subhalo.y))
    there = peaks[0].height >= threshold and distance <= NEAR_ENOUGH
    return peaks[0].strength, float(there)


def probit(injected: Float[np.ndarray, "injected 4"]) -> tuple[float, float]:
    """Return how the share of clumps that are found rises with their mass.

    Returns
    -------
    offset, slope
        The share is ``Phi(offset + slope ln(mass / limit))``, the limit being that of linear
        theory; by maximum likelihood.
    """
    mass, limit, _, found = injected.T
    log_share = np.log(mass / limit)

    def misfit(numbers: np.ndarray) -> float:
        chance = norm.cdf(numbers[0] + numbers[1] * log_share).clip(1e-9, 1 - 1e-9)
        return -float((found * np.log(chance) + (1 - found) * np.log(1 - chance)).sum())

    offset, slope = minimize(misfit, [0.0, 1.0], method="Nelder-Mead").x
    return float(offset), float(slope)


def found_with_90_percent(injected: Float[np.ndarray, "injected 4"]) -> float:
    """Return by which mass limits are those of linear theory.

    NaN where that is more than was injected, or cannot be told.
    """
    if len(injected) < LEAST_INJECTED or injected[:, 3].min() == injected[:, 3].max():
        return math.nan
    offset, slope = probit(injected)
    if slope < LEAST_SLOPE:
        return math.nan
    factor = math.exp(min((float(norm.ppf(PROBABLY)) - offset) / slope, 10.0))
    return factor if factor <= 10**INJECTED_TO else math.nan


def _smoothed(squares: Pixels, region: Mask) -> Pixels:
    """Average over neighbours that are in the region, and take the mean elsewhere."""
    inside = ndimage.gaussian_filter(np.where(region, squares, 0.0), SMOOTHED)
    share = ndimage.gaussian_filter(region.astype(float), SMOOTHED)
    mean = float(squares[region].mean())
    return np.where(region, inside / share.clip(min=1e-6), mean).clip(min=1e-12)


def _without(mean: Pixels, one: Pixels, num: int) -> Pixels:
    """Return the mean of all but one."""
    return ((mean * num - one) / (num - 1)).clip(min=1e-12)
