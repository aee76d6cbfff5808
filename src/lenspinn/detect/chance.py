"""Chance of a peak in mocks without clumps, and completeness for clumps put into mocks.

A significance cannot be converted to a chance as that of a normal number: noise is correlated, and
sources have structure, more in some pixels than in others. So each template is compared with the
same template in mocks of the same lens.
"""

import itertools
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import TypeVar

import numpy as np
import torch
from jaxtyping import Float

from lenspinn.detect.completeness import Completeness, draw_masses, was_found
from lenspinn.detect.dark_solution import DarkSolution, solve
from lenspinn.detect.mocks import BATCH, MockMaker
from lenspinn.detect.observed_lens import ObservedLens
from lenspinn.detect.peaks import Peak, find_peaks
from lenspinn.detect.subhalo import Subhalo
from lenspinn.detect.template_bank import PerTemplate, TemplateBank

Result = TypeVar("Result")

__all__ = ["Chance", "lag_correlation", "measure_chance"]

SMOOTHED = 0.1
"""Standard deviation of the Gaussian that the spread of mocks is averaged with over places, arcsec:
few mocks constrain a single place badly."""
FALSE_ALARMS = 0.05
"""False-alarm rate: share of images without clumps whose highest peak exceeds the height at which
the completeness counts a clump as found."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Chance:
    """Chance of peaks, and completeness, from mocks of one lens."""

    spread: PerTemplate
    """Root mean square of `TemplateBank.scaled` in mocks, for each template."""
    highest: Float[np.ndarray, " mocks"]
    """Height of the highest peak of each mock without clumps."""
    left: Float[np.ndarray, " mocks"]
    """Roughness (`TemplateBank.roughness_left`) of each mock without clumps."""
    correlation: Float[np.ndarray, " mocks"]
    """Correlation of neighbouring pixels (`lag_correlation`) of each mock without clumps."""
    completeness: Completeness | None = None
    """Mocks with a clump; None if there are none."""

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

    def expected_heights(self, bank: TemplateBank) -> PerTemplate:
        """Return the height that each template's mass has in the mean, were the rest known."""
        return bank.length / (self.spread * np.sqrt(np.median(self.left)))


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
    bank = maker.bank

    def look(solution: DarkSolution) -> tuple[np.ndarray, ...]:
        return (
            bank.scaled(solution),
            bank.heights(solution, None) > 0,
            bank.roughness_left(solution),
            lag_correlation(maker.lens, solution),
        )

    of_batches = _of_batches(look, maker, maker.draw(mocks, seed), progress)
    scaled, plausible, left, correlation = map(np.concatenate, zip(*of_batches, strict=True))
    squares = _smoothed(bank, scaled**2)
    # Each mock is compared with the other mocks alone, or few mocks would compare with themselves.
    others = ((squares.sum(axis=0) - squares) / (mocks - 1)).clip(min=1e-12)
    heights = np.where(plausible, scaled / np.sqrt(others), 0.0)
    bare = Chance(
        spread=np.sqrt(squares.mean(axis=0)),
        highest=heights.max(axis=(1, 2)),
        left=left,
        correlation=correlation,
    )
    if injected == 0:
        return bare
    return replace(bare, completeness=_completeness(maker, bare, injected, seed, progress))


def _of_batches(
    look: Callable[[DarkSolution], Result],
    maker: MockMaker,
    images: torch.Tensor,
    progress: Callable[[int], None],
) -> Iterator[Result]:
    """Solve mocks, a batch a thread, and yield what is looked at in each batch, in order.

    Each thread computes with one core, so that results do not depend on their number.
    """

    def one(batch: torch.Tensor) -> Result:
        torch.set_num_threads(1)
        return look(solve(maker.lens, batch))

    cores = torch.get_num_threads()
    batches = images.split(BATCH)
    try:
        with ThreadPoolExecutor(cores) as pool:
            for batch, result in zip(batches, pool.map(one, batches), strict=True):
                progress(len(batch))
                yield result
    finally:
        torch.set_num_threads(cores)


def _completeness(
    maker: MockMaker, chance: Chance, num: int, seed: int, progress: Callable[[int], None]
) -> Completeness:
    """Search mocks for point masses put into them."""
    bank, rng = maker.bank, np.random.default_rng([seed, 1])
    numbers, expected = draw_masses(bank, chance.expected_heights(bank), num, rng)
    subhalos = [Subhalo(profile="point", x=x, y=y, mass=mass) for x, y, mass in numbers.tolist()]
    images = maker.draw(num, seed + num + 1, subhalos)

    def look(solution: DarkSolution) -> list[list[Peak]]:
        return find_peaks(bank, solution, chance.spread, most=1)

    of_batches = _of_batches(look, maker, images, progress)
    peaks = list(itertools.chain.from_iterable(of_batches))
    found = [
        was_found(of_image, x, y, chance.threshold)
        for of_image, (x, y, _) in zip(peaks, numbers, strict=True)
    ]
    return Completeness(mass=numbers[:, 2], expected=expected, found=np.array(found))


def _smoothed(
    bank: TemplateBank, squares: Float[np.ndarray, "mocks masses places"]
) -> Float[np.ndarray, "mocks masses places"]:
    """Return squares averaged over places close by."""
    away = np.hypot(bank.x[:, None] - bank.x, bank.y[:, None] - bank.y)
    weight = np.exp(-((away / SMOOTHED) ** 2) / 2)
    smooth: Float[np.ndarray, "mocks masses places"] = squares @ (weight / weight.sum(axis=0))
    return smooth
