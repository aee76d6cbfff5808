"""Mocks of an observed lens: its solution simulated again without dark clumps, as rough as it is.

The residual of a smooth lens and a smooth source in a real image is more than noise: sources have
structure finer than shapelets, and lens light is no sum of ellipses. In mocks a share of the
source's light is drawn as small clumps of the source, anew for each mock. The share is chosen so
that the residual on the arcs of mocks is as large as that of the image. All errors of the model
then count as roughness of the source, whatever their origin: chances from such mocks err on the
careful side.
"""

import math
from dataclasses import dataclass, replace

import numpy as np
import torch
from jaxtyping import Bool, Float
from scipy import ndimage
from torch import Tensor

from lenspinn.detect.dark_solution import DarkSolution, solve
from lenspinn.detect.mock_noise import Noise, noise_of_residual
from lenspinn.detect.observed_lens import ObservedLens
from lenspinn.detect.subhalo import Subhalo, deflection_subhalo
from lenspinn.detect.template_bank import TemplateBank
from lenspinn.fitting.smooth import Optics, by_name, exposed, make_optics, smooth_deflection
from lenspinn.lensing.grid import pixel_grid

__all__ = ["BATCH", "MockMaker", "mock_maker"]

Pixels = Float[np.ndarray, "y x"]
Mask = Bool[np.ndarray, "y x"]
Images = Float[Tensor, "batch y x"]

BATCH = 8
"""Number of mocks that are solved together."""
CLUMPS = (50, 20, 8)
"""Numbers of clumps in a mock's source, of which the first that is rough enough is taken: fewer are
rougher. The surface brightness of all has the same ratio to that of the source at their place,
whatever their size: that of observed clumps does not depend on size (Livermore et al. 2012,
arXiv:1209.5741), and a clump as bright as those of the middle would stand alone in the outskirts,
where an image that shows such a companion has it masked."""
SIZES = (0.04, 0.4)
"""Smallest and largest standard deviation of a source's clumps, in half-light radii of the source:
from structure that is too fine for shapelets to structure that they can fit. The number of clumps
in an interval of log size goes as ``1 / size^2``, since it goes as mass^-2
(Dessauges-Zavadsky & Adamo 2018, arXiv:1806.07922)."""
LEAST_SIZE = 0.008
"""Least standard deviation of a clump, arcsec."""
SOURCE_FIELD, SOURCE_CELLS = 3.0, 121
"""Half side, in half-light radii, and cells a side of the square in which clumps are drawn."""
FIRST_SHARE, MOST_SHARE = 0.3, 0.9
"""First and largest share of the source's light in clumps that are tried."""
TUNING = 8
"""Number of mocks that are solved for each share that is tried."""
ROUNDS = 2
"""Number of times that the share is found anew."""
FINER = 2
"""Ratio of the samples along a side of a pixel in a mock to those in the search: the real sky is
not sampled."""
_FAR = 4.0
"""Radius beyond which the light of a clump is neglected, in its standard deviations."""


@dataclass(frozen=True, kw_only=True, eq=False)
class MockMaker:
    """A maker of mocks of one lens."""

    bank: TemplateBank
    """Templates of the lens, with which mocks are searched."""
    solution: DarkSolution
    """Solution of the image itself; mocks have its lens and source."""
    noise: Noise
    share: float = 0.0
    """Share of the source's light that is in clumps."""
    clumps: int = CLUMPS[0]
    """Number of clumps."""

    @property
    def lens(self) -> ObservedLens:
        """Observed lens that mocks are of."""
        return self.bank.lens

    def draw(self, num: int, seed: int, subhalos: list[Subhalo] | None = None) -> Images:
        """Draw mocks, each with one subhalo if these are given.

        Parameters
        ----------
        num
            Number of mocks.
        seed
            Seed; mock *i* depends on the seed and *i* alone.
        subhalos
            Subhalo of each mock; by default mocks have none.
        """
        fine = self._fine_optics
        images = []
        for at in range(num):
            rng = np.random.Generator(np.random.PCG64(np.random.SeedSequence([seed, at])))
            clumps = _Clumps.drawn(rng, self.solution, self.clumps)
            subhalo = None if subhalos is None else subhalos[at]
            model = _lensed(self.solution, clumps, self.share, subhalo, fine)
            images.append(model + self._drawn_noise(rng))
        return torch.cat(images)

    def change_by(self, subhalo: Subhalo) -> Images:
        """Return by how much a subhalo changes the image of the solution.

        Sampled as finely as mocks are; their noise and the clumps of their sources are left out.
        """
        fine = self._fine_optics
        with_it, without = (
            _lensed(self.solution, None, 0.0, each, fine) for each in (subhalo, None)
        )
        return with_it - without

    def _drawn_noise(self, rng: np.random.Generator) -> Images:
        field = self.noise.draw(rng, tuple(self.lens.noise.shape))
        return torch.from_numpy(field) * torch.where(
            self.lens.noise.isfinite(), self.lens.noise, 0.0
        )

    @property
    def _fine_optics(self) -> Optics:
        optics = self.lens.optics
        num_pix = self.lens.image.shape[-1]
        return make_optics(
            num_pix, optics.pixel_scale, optics.psf, supersampling=FINER * optics.supersampling
        )


class _Clumps:
    """Round Gaussian clumps of one source.

    Their central brightness is `around`, that of the source at their place, times the factor that
    makes their total flux `flux`.
    """

    def __init__(self, x: Tensor, y: Tensor, size: Tensor, around: Tensor, flux: float) -> None:
        self.x, self.y, self.size = x, y, size
        self.peak = around * flux / (2 * math.pi * float((around * size.square()).sum()))

    @classmethod
    def drawn(cls, rng: np.random.Generator, solution: DarkSolution, num: int) -> "_Clumps":
        """Draw clumps with a density proportional to the surface brightness of the source."""
        radius = float(by_name(solution.parameters)["log_R_sersic"].exp())
        cell = 2 * SOURCE_FIELD * radius / SOURCE_CELLS
        p = by_name(solution.parameters)
        x, y = pixel_grid(SOURCE_CELLS, cell)
        x, y = x + p["source_x"], y + p["source_y"]
        brightness = solution.brightness(x, y)[0].clamp(min=0).double().numpy()
        chance = brightness.ravel() / brightness.sum()
        cells = rng.choice(chance.size, num, p=chance)
        aside = rng.uniform(-cell / 2, cell / 2, (2, num))
        most, least = (size**-2 for size in SIZES)
        size = radius * rng.uniform(least, most, num) ** -0.5
        return cls(
            x.flatten()[cells] + torch.from_numpy(aside[0]).float(),
            y.flatten()[cells] + torch.from_numpy(aside[1]).float(),
            torch.from_numpy(size.clip(min=LEAST_SIZE)).float(),
            torch.from_numpy(brightness.ravel()[cells]).float(),
            float(brightness.sum()) * cell**2,
        )

    def brightness(self, beta_x: Tensor, beta_y: Tensor) -> Tensor:
        """Return the surface brightness of the clumps at positions in the source plane."""
        reach = self.size * _FAR
        near = (beta_x > (self.x - reach).min()) & (beta_x < (self.x + reach).max())
        near &= (beta_y > (self.y - reach).min()) & (beta_y < (self.y + reach).max())
        at_x, at_y = beta_x[near], beta_y[near]
        total = torch.zeros_like(at_x)
        for x, y, size, peak in zip(self.x, self.y, self.size, self.peak, strict=True):
            squared = (at_x - x).square() + (at_y - y).square()
            total += peak * torch.exp(squared / (-2 * size**2))
        seen = torch.zeros_like(beta_x)
        seen[near] = total
        return seen


def mock_maker(bank: TemplateBank, solution: DarkSolution, *, seed: int) -> MockMaker:
    """Return a maker of mocks that are as noisy and as rough as the image.

    Parameters
    ----------
    bank
        Templates of the lens.
    solution
        Solution of its image.
    seed
        Seed of the mocks with which the share of light in clumps is found.

    Notes
    -----
    The roughness of the residual, less that of noise alone, goes as the square of the share of
    light in clumps. The share is found from mocks without clumps and mocks with a first share, and
    then once more from mocks with the share that was found. Where even the largest share is not
    rough enough, clumps are fewer.
    """
    lens = bank.lens
    maker = MockMaker(bank=bank, solution=solution, noise=_noise(lens, solution))
    wanted = float(bank.roughness_left(solution)[0])

    smooth = _typical_roughness(maker, seed)
    if smooth >= wanted:
        return maker
    for at, clumps in enumerate(CLUMPS):
        maker = replace(maker, clumps=clumps, share=FIRST_SHARE)
        for part in range(1, 1 + ROUNDS):
            left = _typical_roughness(maker, seed + at * ROUNDS + part)
            per_square = max(left - smooth, 1e-3) / maker.share**2
            share = min(MOST_SHARE, math.sqrt((wanted - smooth) / per_square))
            maker = replace(maker, share=share)
        if maker.share < MOST_SHARE:
            break
    return maker


def _typical_roughness(maker: MockMaker, seed: int) -> float:
    """Return the median roughness of a few mocks."""
    mocks = maker.draw(TUNING, seed)
    return float(np.median(maker.bank.roughness_left(solve(maker.lens, mocks))))


def _noise(lens: ObservedLens, solution: DarkSolution) -> Noise:
    """Measure the noise in pixels without arcs and without much noise from lens light."""
    sigma, noise = lens.sigma[0].numpy(), lens.noise[0].numpy()
    blank = np.isfinite(sigma) & ~ndimage.binary_dilation(lens.arcs, iterations=2)
    blank &= sigma < 1.1 * noise
    return noise_of_residual(solution.residual[0].double().numpy(), blank)


def _lensed(
    solution: DarkSolution,
    clumps: _Clumps | None,
    share: float,
    subhalo: Subhalo | None,
    optics: Optics,
) -> Images:
    x, y = optics.theta_x, optics.theta_y
    alpha_x, alpha_y = smooth_deflection(solution.parameters, x, y)
    if subhalo is not None:
        more_x, more_y = deflection_subhalo(subhalo, x, y)
        alpha_x, alpha_y = alpha_x + more_x, alpha_y + more_y
    beta_x, beta_y = x - alpha_x, y - alpha_y
    seen = (1 - share) * solution.brightness(beta_x, beta_y)
    if clumps is not None and share > 0:
        seen = seen + share * clumps.brightness(beta_x, beta_y)
    return exposed(seen[:, None], optics)[:, 0]
