"""The search for dark clumps in the image of one lens: arrays in, a `Detection` out."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from jaxtyping import Float

from lenspinn.detect.candidates import INNER, fit_candidates
from lenspinn.detect.chance import Chance, lag_correlation, measure_chance
from lenspinn.detect.dark_solution import DarkSolution, solve
from lenspinn.detect.detection import Detection, FoundClump
from lenspinn.detect.mocks import MOST_SHARE, MockMaker, mock_maker
from lenspinn.detect.observed_lens import ObservedLens, observe_lens
from lenspinn.detect.peaks import find_peaks
from lenspinn.detect.robustness import second_looks
from lenspinn.detect.subhalo import SolarMasses
from lenspinn.detect.template_bank import TemplateBank, make_bank
from lenspinn.errors import ConfigError
from lenspinn.measure.arcs import LensLightMode
from lenspinn.measure.image_fits import ImageFits
from lenspinn.measure.noise_map import AnyPixels

__all__ = ["INJECTED", "MOCKS", "Setting", "detect_substructure", "search"]

MOCKS = 100
"""Default number of mocks without a clump."""
INJECTED = 40
"""Default number of mocks with one clump each."""
LEAST_MOCKS = 10
"""Least number of mocks from which a spread can be measured, if any are made."""
UNLIKE = 4.0
"""Difference from the mean of mocks, in their standard deviations, above which an image is unlike
them."""
_TUNING_SEED, _MOCK_SEED = 1_000_000, 2_000_000
"""Numbers added to a seed, so that mocks that tune the roughness differ from those that count."""


@dataclass(frozen=True, kw_only=True)
class Setting:
    """Options of a search; see `detect_substructure`.

    Raises
    ------
    ConfigError
        If a number is out of range, or only one redshift is given.
    """

    z_lens: float | None = None
    z_source: float | None = None
    mocks: int = MOCKS
    injected: int = INJECTED
    seed: int = 0
    progress: Callable[[int], None] = lambda _: None

    def __post_init__(self) -> None:
        if (self.z_lens is None) != (self.z_source is None):
            raise ConfigError("one redshift is given; give both z_lens and z_source, or none")
        _ = self.masses  # which refuses redshifts that are none
        if not (self.mocks == 0 or self.mocks >= LEAST_MOCKS) or min(self.injected, self.seed) < 0:
            raise ConfigError(
                f"mocks is {self.mocks}, injected {self.injected} and seed {self.seed}; give 0 or "
                f"at least {LEAST_MOCKS} mocks, and no negative number"
            )

    @cached_property
    def masses(self) -> SolarMasses | None:
        """Conversion of squared Einstein radii to solar masses; None without redshifts."""
        if self.z_lens is None or self.z_source is None:
            return None
        return SolarMasses(self.z_lens, self.z_source)


def detect_substructure(  # noqa: PLR0913 - what is known of an image, all named
    image: AnyPixels,
    *,
    pixel_scale: float,
    noise: AnyPixels | None = None,
    psf: AnyPixels | None = None,
    mask: AnyPixels | None = None,
    theta_E_guess: float | None = None,
    lens_light: LensLightMode | None = None,
    z_lens: float | None = None,
    z_source: float | None = None,
    mocks: int = MOCKS,
    injected: int = INJECTED,
    seed: int = 0,
    progress: Callable[[int], None] = lambda _: None,
) -> Detection:
    """Look for dark clumps on the arcs of a lens, and measure which masses would be found.

    Parameters
    ----------
    image, pixel_scale, noise, psf, mask, theta_E_guess, lens_light
        Image and options as in `lenspinn.measure.measure_lens`.
    z_lens, z_source
        Redshifts of lens and source, both or none; without them masses are squared Einstein radii.
    mocks
        Number *n* of mocks of this lens without clumps, from which chances are measured: at least
        10, or 0, and no chance is known. No chance is less than ``1 / (1 + n)``.
    injected
        Number of mocks with one point mass each, from which the mass limit is measured.
    seed
        Seed of the mocks.
    progress
        Function that is called with the number of mocks of each batch when it is solved.

    Returns
    -------
    Detection

    Raises
    ------
    ImageError
        If the image cannot be measured, or its arcs are too faint or too large.
    ConfigError
        If a number is out of range, or only one redshift is given.
    """
    setting = Setting(
        z_lens=z_lens,
        z_source=z_source,
        mocks=mocks,
        injected=injected,
        seed=seed,
        progress=progress,
    )
    fits = ImageFits(image, pixel_scale=pixel_scale, noise=noise, psf=psf, mask=mask)
    fitted = fits.fitted(theta_E_guess=theta_E_guess, lens_light=lens_light)
    return search(observe_lens(fitted), setting)


def search(lens: ObservedLens, setting: Setting) -> Detection:
    """Look for dark clumps in an observed lens."""
    solution = solve(lens)
    bank = make_bank(lens, solution)
    maker, chance = None, None
    if setting.mocks:
        maker = mock_maker(bank, solution, seed=setting.seed + _TUNING_SEED)
        chance = measure_chance(
            maker,
            mocks=setting.mocks,
            injected=setting.injected,
            seed=setting.seed + _MOCK_SEED,
            progress=setting.progress,
        )
    return Detection(
        bank=bank,
        solution=solution,
        clumps=_clumps(bank, solution, chance, setting.masses),
        maker=maker,
        chance=chance,
        masses=setting.masses,
        reasons=tuple(reasons_against(bank, solution, maker, chance)),
    )


def _clumps(
    bank: TemplateBank,
    solution: DarkSolution,
    chance: Chance | None,
    masses: SolarMasses | None,
) -> tuple[FoundClump, ...]:
    (peaks,) = find_peaks(bank, solution, None if chance is None else chance.spread)
    inner = INNER if masses is None else masses.arcsec_per_kpc
    candidates = fit_candidates(bank.lens, solution, peaks, inner)
    looks = second_looks(bank, [candidate.peak for candidate in candidates])
    return tuple(
        FoundClump(
            candidate=candidate,
            chance=None if chance is None else chance.of(candidate.peak.height),
            looks=tuple(of_peak),
        )
        for candidate, of_peak in zip(candidates, looks, strict=True)
    )


def reasons_against(
    bank: TemplateBank,
    solution: DarkSolution,
    maker: MockMaker | None,
    chance: Chance | None,
) -> list[str]:
    """Return the reasons against a result: the measurement, the PSF, mocks unlike the image."""
    lens = bank.lens
    reasons = list(lens.measured.reasons)
    if not lens.psf_known:
        reasons.append("the PSF is not known; give psf")
    if maker is None or chance is None:
        return reasons
    left = float(bank.roughness_left(solution)[0])
    if _unlike(math.log(left), np.log(chance.left)):
        more = "though all of its source is clumps" if maker.share == MOST_SHARE else "other"
        reasons.append(
            f"what is left on the arcs, {left:.2f} per pixel, is unlike that of its mocks, "
            f"{np.median(chance.left):.2f} ({more})"
        )
    alike = float(lag_correlation(lens, solution)[0])
    if _unlike(alike, chance.correlation):
        reasons.append(
            f"neighbouring pixels of the residual are correlated by {alike:.2f}, in mocks by "
            f"{np.median(chance.correlation):.2f}"
        )
    return reasons


def _unlike(value: float, mocks: Float[np.ndarray, " mocks"]) -> bool:
    return abs(value - float(mocks.mean())) > UNLIKE * float(mocks.std(ddof=1))
