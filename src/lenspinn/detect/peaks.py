"""Places at which a point mass would improve the fit of an image most."""

import math
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from lenspinn.detect.dark_solution import DarkSolution
from lenspinn.detect.template_bank import MASSES, PerTemplate, TemplateBank

__all__ = ["Peak", "find_peaks"]

APART = 0.25
"""Distance below which two peaks are one, arcsec."""
MOST_PEAKS = 3
"""Largest number of peaks that are followed up."""


@dataclass(frozen=True)
class Peak:
    """A place and a mass that improve the fit more than others close by."""

    x: float
    y: float
    """Position along y, as `x` in arcsec from the middle of the frame."""
    mass: float
    """Squared Einstein radius of the template, arcsec^2, one of `MASSES`."""
    significance: float
    """Significance of this mass at this place, standard deviations of the stated noise."""
    amplitude: float
    """Factor of the template that explains the residual best: 1 if the mass is right."""
    height: float
    """Ratio of the significance, scaled by the roughness of the image, to its spread in mocks; NaN
    without mocks."""


def find_peaks(
    bank: TemplateBank,
    solution: DarkSolution,
    spread: PerTemplate | None,
    most: int = MOST_PEAKS,
) -> list[list[Peak]]:
    """Return the highest peaks of each image, the highest first.

    Parameters
    ----------
    bank
        Templates of the lens.
    solution
        Solution of images of the lens.
    spread
        Spread of `TemplateBank.scaled` in mocks; None without mocks.
    most
        Largest number of peaks of an image.
    """
    significance, amplitude = bank.significance(solution), bank.amplitude(solution)
    found = []
    for image, height in enumerate(bank.heights(solution, spread)):
        found.append(
            [
                Peak(
                    x=float(bank.x[place]),
                    y=float(bank.y[place]),
                    mass=MASSES[mass],
                    significance=float(significance[image, mass, place]),
                    amplitude=float(amplitude[image, mass, place]),
                    height=math.nan if spread is None else float(height[mass, place]),
                )
                for mass, place in _highest(bank, height, most)
            ]
        )
    return found


def _highest(
    bank: TemplateBank, height: Float[np.ndarray, "masses places"], most: int
) -> list[tuple[int, int]]:
    """Return numbers of mass and place of the highest templates, no two of them close by."""
    left = height.copy()
    found: list[tuple[int, int]] = []
    while len(found) < most:
        mass, place = (int(at) for at in np.unravel_index(int(left.argmax()), left.shape))
        if not left[mass, place] > 0:
            break
        found.append((mass, place))
        near = np.hypot(bank.x - bank.x[place], bank.y - bank.y[place]) < APART
        left[:, near] = -np.inf
    return found
