"""Each candidate looked at in other models: a clump that only one model shows is not real."""

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from lenspinn.detect.completeness import NEAR_ENOUGH
from lenspinn.detect.dark_solution import DarkSolution, solve
from lenspinn.detect.observed_lens import ObservedLens
from lenspinn.detect.peaks import Peak
from lenspinn.detect.template_bank import (
    LEAST_LENGTH,
    MASSES,
    TemplateBank,
    apart_from_free,
    changes_by,
)
from lenspinn.lensing.psf import FWHM_PER_SIGMA, convolve_kernel
from lenspinn.measure.psf import full_width

__all__ = ["SAME_MASS", "SURVIVES", "SecondLook", "second_looks"]

SURVIVES = 0.6
"""Least share of a peak's significance that every other model must show within `NEAR_ENOUGH` of the
peak, and that a fit with all else free must gain."""
SAME_MASS = 2.0
"""Largest factor by which the mass may change in another model."""
BROADER = 0.03
"""Relative increase of the width of the PSF."""
FINER, COARSER = 0.35, 0.7
"""Scales of the shapelets in other models, in half-light radii of the source; the first model's is
0.5."""
_MOST_AT_ONCE = 0.25
"""Largest variance of a kernel of three pixels, square pixels."""


@dataclass(frozen=True)
class SecondLook:
    """A peak in another model of the same image."""

    model: str
    height: float
    """Highest significance within `NEAR_ENOUGH` of the peak, relative to that of the peak."""
    mass: float
    """Amplitude of the peak's own template in this model, relative to that of the peak."""

    @property
    def survives(self) -> bool:
        """Whether the model shows the peak with about the same mass."""
        return self.height >= SURVIVES and 1 / SAME_MASS <= self.mass <= SAME_MASS


def second_looks(bank: TemplateBank, peaks: list[Peak]) -> list[list[SecondLook]]:
    """Look at each peak again, with other models of source, lens, PSF and lens light.

    Parameters
    ----------
    bank
        Templates of the lens, at whose places near each peak masses are looked for.
    peaks
        Peaks of the lens.

    Returns
    -------
    list of lists
        Looks at each peak, one for each model.
    """
    looks: list[list[SecondLook]] = [[] for _ in peaks]
    for model, lens, solution in _other_models(bank.lens):
        for peak, of_peak in zip(peaks, looks, strict=True):
            of_peak.append(_look(model, lens, solution, bank, peak))
    return looks


def broadened(psf: Float[Tensor, "_ _"], share: float) -> Float[Tensor, "_ _"]:
    """Return a PSF whose full width is larger by a share.

    The missing variance is added by kernels of three pixels, because a Gaussian that narrow would
    not be sampled by pixels.
    """
    width = full_width(psf.numpy()) / FWHM_PER_SIGMA
    missing = width**2 * ((1 + share) ** 2 - 1)
    rounds = math.ceil(missing / _MOST_AT_ONCE)
    part = missing / rounds
    axis = torch.tensor([part / 2, 1 - part, part / 2]).to(psf)
    wider = torch.nn.functional.pad(psf, (rounds,) * 4)
    for _ in range(rounds):
        wider = convolve_kernel(wider[None], torch.outer(axis, axis))[0]
    return wider / wider.sum()


def _other_models(lens: ObservedLens) -> Iterator[tuple[str, ObservedLens, DarkSolution]]:
    yield "finer structure of the source", lens, solve(lens, scale=FINER)
    yield "coarser structure of the source", lens, solve(lens, scale=COARSER)
    yield "no multipoles, isothermal", lens, solve(lens, lens_shape=False)
    psf = lens.optics.psf
    if isinstance(psf, Tensor):
        wider = lens.with_optics(lens.optics._replace(psf=broadened(psf, BROADER)))
        yield f"PSF {BROADER:.0%} wider", wider, solve(wider)
    if lens.lens_light.shape[1] > 1:
        held = replace(lens, lens_light=lens.lens_light[:, -1:])
        yield "lens light held as measured", held, solve(held)


def _look(
    model: str, lens: ObservedLens, solution: DarkSolution, bank: TemplateBank, peak: Peak
) -> SecondLook:
    """Look for the masses of the bank near a peak, the peak's own first, as this model has them."""
    near = np.hypot(bank.x - peak.x, bank.y - peak.y) <= NEAR_ENOUGH
    around = [
        (x, y, mass) for mass in MASSES for x, y in zip(bank.x[near], bank.y[near], strict=True)
    ]
    numbers = np.array([(peak.x, peak.y, peak.mass), *around])
    maps = apart_from_free(changes_by(lens, solution, numbers), solution)
    lengths = maps.norm(dim=1).clamp(min=LEAST_LENGTH)
    scores = maps @ solution.residual[0].flatten() / lengths
    return SecondLook(
        model,
        float(scores.max()) / peak.significance,
        float(scores[0] / lengths[0]) / peak.amplitude,
    )
