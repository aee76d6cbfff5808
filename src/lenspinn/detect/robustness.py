"""Each candidate looked at in other models: a clump that only one model shows is not real."""

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from lenspinn.detect.chance import NEAR_ENOUGH, Peak
from lenspinn.detect.dark_solution import DarkSolution, solve
from lenspinn.detect.observed_lens import ObservedLens
from lenspinn.lensing.psf import FWHM_PER_SIGMA, convolve_kernel
from lenspinn.measure.psf import full_width

__all__ = ["SecondLook", "second_looks"]

Pixels = Float[np.ndarray, "y x"]

SURVIVES = 0.6
"""Least share of a peak's height that every other model must show within `NEAR_ENOUGH` of the
peak."""
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
    """Strength in the pixel of the peak, relative to that of the peak. Strengths in pixels next to
    the peak differ much, because these are nearer to the arc or further from it."""

    @property
    def survives(self) -> bool:
        """Whether the model shows the peak with about the same mass."""
        return self.height >= SURVIVES and 1 / SAME_MASS <= self.mass <= SAME_MASS


def second_looks(lens: ObservedLens, peaks: list[Peak]) -> list[list[SecondLook]]:
    """Look at each peak again, with other models of source, lens, PSF and lens light.

    Returns
    -------
    list of lists
        Looks at each peak, one for each model.
    """
    looks: list[list[SecondLook]] = [[] for _ in peaks]
    for model, solution in _other_models(lens):
        for peak, of_peak in zip(peaks, looks, strict=True):
            of_peak.append(_look(model, solution, peak, lens.pixel_scale))
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


def _other_models(lens: ObservedLens) -> Iterator[tuple[str, DarkSolution]]:
    yield "finer structure of the source", solve(lens, scale=FINER)
    yield "coarser structure of the source", solve(lens, scale=COARSER)
    yield "no multipoles, isothermal", solve(lens, lens_shape=False)
    psf = lens.optics.psf
    if isinstance(psf, Tensor):
        wider = lens.optics._replace(psf=broadened(psf, BROADER))
        yield f"PSF {BROADER:.0%} wider", solve(lens.with_optics(wider))
    if lens.lens_light.shape[1] > 1:
        yield (
            "lens light held as measured",
            solve(replace(lens, lens_light=lens.lens_light[:, -1:])),
        )


def _look(model: str, solution: DarkSolution, peak: Peak, pixel_scale: float) -> SecondLook:
    significance = solution.scan.significance[0].double().numpy()
    rows, columns = np.indices(significance.shape)
    near = np.hypot(rows - peak.row, columns - peak.column) * pixel_scale <= NEAR_ENOUGH
    return SecondLook(
        model,
        float(significance[near].max()) / peak.significance,
        float(solution.scan.strength[0, peak.row, peak.column]) / peak.strength,
    )
