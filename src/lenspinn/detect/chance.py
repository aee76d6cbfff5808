"""Chance of a peak in mocks without clumps, and completeness for clumps put into mocks.

A significance cannot be converted to a chance as that of a normal number: noise is correlated, and
sources have structure, more in some pixels than in others. So each pixel is compared with the same
pixel in mocks of the same lens.
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
"""Distance below which two peaks are one, arcsec."""
MOST_PEAKS = 3
"""Largest number of peaks that are followed up."""
SMOOTHED = 2.0
"""Standard deviation of the Gaussian that the spread of mocks is averaged with, pixels: few mocks
constrain a single pixel badly."""
FALSE_ALARMS = 0.05
"""False-alarm rate: share of images without clumps whose highest peak exceeds the height at which
the completeness counts a clump as found."""
NEAR_ENOUGH = 0.15
"""Largest distance between a clump and the peak at which it counts as found, arcsec."""
INJECTED_FROM, INJECTED_TO = -0.5, 1.0
"""Range of the masses of injected clumps, in decades about the mass limit of linear theory, drawn
evenly: mostly above the limit, where images are no longer linear in the mass."""
PROBABLY = 0.9
"""Probability with which a clump at the mass limit is found."""
LEAST_SLOPE = 0.2
"""Least slope of the probit of completeness in the natural logarithm of mass; below it no limit is
stated."""
LEAST_INJECTED = 10
"""Least number of injected clumps from which a mass limit is derived."""


@dataclass(frozen=True)
class Peak:
    """A local maximum of the improvement of the fit by one more point mass."""

    row: int
    column: int
    x: float
    y: float
    """Position along y, as `x` in arcsec from the middle of the frame."""
    significance: float
    """Significance of a point mass at this pixel, standard deviations of the stated noise."""
    strength: float
    """Best squared Einstein radius to first order, arcsec^2."""
    height: float
    """Ratio of `scaled_significance` to its spread in mocks at this pixel; NaN without mocks."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Chance:
    """Chance of peaks, and completeness, from mocks of one lens."""

    spread: Pixels
    """Root mean square of `scaled_significance` in mocks, in each pixel."""
    highest: Float[np.ndarray, " mocks"]
    """Height of the highest peak of each mock without clumps."""
    left: Float[np.ndarray, " mocks"]
    """Roughness (`lenspinn.detect.mocks.roughness_left`) of each mock without clumps."""
    correlation: Float[np.ndarray, " mocks"]
    """Correlation of neighbouring pixels (`lag_correlation`) of each mock without clumps."""
    injected: Float[np.ndarray, "injected 4"]
    """Mocks with a clump, one a row: squared Einstein radius of the clump, mass limit of linear
    theory at its place, strength of the highest peak (all arcsec^2), and 1 if this peak is above
    `threshold` and within `NEAR_ENOUGH` of the clump, else 0."""
    factor: float
    """Factor between the measured mass limit and that of linear theory; NaN if no clumps were
    injected, or too few of them were found to tell."""

    @property
    def threshold(self) -> float:
        """Height that a share `FALSE_ALARMS` of the mocks without clumps exceeds."""
        return float(np.quantile(self.highest, 1 - FALSE_ALARMS))

    def of(self, height: float) -> float:
        """Return the chance of a peak of at least this height anywhere on the ring.

        The chance is ``(1 + k) / (1 + n)`` where *k* of *n* mocks show such a peak: no less than
        ``1 / (1 + n)``.
        """
        above = int((self.highest >= height).sum())
        return (1 + above) / (1 + len(self.highest))

    def mass_limit(self, strength_error: Pixels) -> Pixels:
        """Return the squared Einstein radius that is found with probability `PROBABLY`, arcsec^2.

        Parameters
        ----------
        strength_error
            Standard error of the squared Einstein radius in each pixel, for the stated noise,
            arcsec^2.
        """
        return self.factor * self.linear_limit(strength_error)

    def linear_limit(self, strength_error: Pixels) -> Pixels:
        """Return the mass limit if heights are normal about mass over error, arcsec^2."""
        error = strength_error * self.spread * math.sqrt(float(np.median(self.left)))
        return (self.threshold + float(norm.ppf(PROBABLY))) * error


def search_region(lens: ObservedLens) -> Mask:
    """Return the mask of pixels in which clumps are looked for: on the arcs and close to them."""
    distance = ndimage.distance_transform_edt(~lens.arcs) * lens.pixel_scale
    return (distance <= AROUND_ARCS) & np.isfinite(lens.sigma[0].numpy())


def scaled_significance(
    lens: ObservedLens, solution: DarkSolution
) -> Float[np.ndarray, "batch y x"]:
    """Return the significance of a point mass in each pixel, scaled by the roughness of the image.

    The significance in units of the stated noise is divided by the root mean square of the residual
    on the arcs away from the highest peak: sources of mocks are not equally rough, nor is the noise
    exactly that of the noise map.
    """
    left = roughness_left(lens, solution)
    return solution.scan.significance.double().numpy() / np.sqrt(left)[:, None, None]


def lag_correlation(lens: ObservedLens, solution: DarkSolution) -> Float[np.ndarray, " batch"]:
    """Return the correlation of neighbouring pixels of the residual on the arcs, -1 to 1."""
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
        Observed lens.
    solution
        Solution of one image.
    spread
        Spread of `scaled_significance` in mocks; None without mocks.
    most
        Largest number of peaks.
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
    """Measure chances and completeness by solving mocks without and with clumps.

    Parameters
    ----------
    maker
        Maker of the mocks.
    mocks, injected
        Number of mocks without a clump, at least 2, and with one clump each.
    seed
        Seed of all mocks.
    progress
        Function that is called with the number of mocks of each batch when it is solved.
    """
    lens, region = maker.lens, search_region(maker.lens)
    significance, left, correlation = [], [], []
    for solution in _solved(maker, maker.draw(mocks, seed), progress):
        significance.append(scaled_significance(lens, solution))
        left.append(roughness_left(lens, solution))
        correlation.append(lag_correlation(lens, solution))
    maps = np.concatenate(significance)
    square = _smoothed((maps**2).mean(axis=0), region)
    # Each mock is compared with the other mocks alone, or few mocks would compare with themselves.
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
    """Search mocks for point masses put into them, of masses around the linear-theory limit."""
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
    """Return the completeness as a function of mass: a probit fitted by maximum likelihood.

    Returns
    -------
    offset, slope
        Numbers of the completeness ``Phi(offset + slope ln(mass / limit))``, where the limit is
        that of linear theory.
    """
    mass, limit, _, found = injected.T
    log_share = np.log(mass / limit)

    def misfit(numbers: np.ndarray) -> float:
        chance = norm.cdf(numbers[0] + numbers[1] * log_share).clip(1e-9, 1 - 1e-9)
        return -float((found * np.log(chance) + (1 - found) * np.log(1 - chance)).sum())

    offset, slope = minimize(misfit, [0.0, 1.0], method="Nelder-Mead").x
    return float(offset), float(slope)


def found_with_90_percent(injected: Float[np.ndarray, "injected 4"]) -> float:
    """Return the factor between the measured mass limit and that of linear theory.

    The factor is NaN where the limit is above all injected masses, or cannot be told.
    """
    if len(injected) < LEAST_INJECTED or injected[:, 3].min() == injected[:, 3].max():
        return math.nan
    offset, slope = probit(injected)
    if slope < LEAST_SLOPE:
        return math.nan
    factor = math.exp(min((float(norm.ppf(PROBABLY)) - offset) / slope, 10.0))
    return factor if factor <= 10**INJECTED_TO else math.nan


def _smoothed(squares: Pixels, region: Mask) -> Pixels:
    """Return squares averaged over neighbours within the region, and their mean outside of it."""
    inside = ndimage.gaussian_filter(np.where(region, squares, 0.0), SMOOTHED)
    share = ndimage.gaussian_filter(region.astype(float), SMOOTHED)
    mean = float(squares[region].mean())
    return np.where(region, inside / share.clip(min=1e-6), mean).clip(min=1e-12)


def _without(mean: Pixels, one: Pixels, num: int) -> Pixels:
    """Return the mean of `num` maps without one of them."""
    return ((mean * num - one) / (num - 1)).clip(min=1e-12)
