"""Priors of a lens from its light: mass approximately follows light."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float

__all__ = ["CENTRE_ERROR", "LensPrior"]

Pixels = Float[np.ndarray, "y x"]

ELLIPTICITY_ERROR = 0.07
"""Standard deviation of the difference of e1, and of e2, between mass and light: axis ratios of
SLACS lenses differ by 0.1, position angles by some 10 degrees (Koopmans et al. 2006,
arXiv:astro-ph/0601628)."""
UNSEEN_ELLIPTICITY = 0.2
"""Standard deviation of e1 and of e2 where no light shows them."""
CENTRE_ERROR = 0.5
"""Standard deviation of the offset between the centres of mass and light along x and y, pixels."""
SHEAR = 0.05
"""Standard deviation of gamma1 and of gamma2, typical of the shear by galaxies around a lens."""
ROUNDS = 30
"""Number of rounds in which the aperture is fitted to the shape of the light."""
MOST = 0.6
"""Largest ellipticity that is expected."""
LEAST_AXES = 1e-3
"""Least value of ``1 - e^2``, which is 0 for a line."""


class LensPrior(NamedTuple):
    """Means and standard deviations of the parameters of a lens before its arcs are fitted."""

    e1: float
    e2: float
    ellipticity: float
    """Standard deviation of e1 and of e2."""
    centre: float
    """Standard deviation of the centre of mass about the middle along x and y, arcsec."""
    shear: float
    """Standard deviation of gamma1 and of gamma2 about 0."""

    @classmethod
    def of_nothing(cls, centre: float) -> "LensPrior":
        """Return the prior of a lens whose light does not show its shape."""
        return cls(0.0, 0.0, UNSEEN_ELLIPTICITY, centre, SHEAR)

    @classmethod
    def of_light(cls, light: Pixels, radius: float, pixel_scale: float) -> "LensPrior":
        """Return the prior from the light of a galaxy in the middle, at about `radius` (arcsec)."""
        e1, e2 = _ellipticity(light, radius / pixel_scale)
        return cls(e1, e2, ELLIPTICITY_ERROR, CENTRE_ERROR * pixel_scale, SHEAR)


def _ellipticity(light: Pixels, radius: float) -> tuple[float, float]:
    """Return e1 and e2 of a galaxy, measured within about a radius in pixels.

    The method is that of adaptive moments: light is weighted with a Gaussian of its own shape
    (Bernstein & Jarvis 2002, arXiv:astro-ph/0107431, section 3).
    """
    y, x = np.indices(light.shape) - len(light) // 2
    e1 = e2 = 0.0
    for _ in range(ROUNDS):
        squared = ((1 - e1) * x - e2 * y) ** 2 + ((1 + e1) * y - e2 * x) ** 2
        axes = max(LEAST_AXES, 1 - e1**2 - e2**2)
        weight = np.clip(light, 0, None) * np.exp(-squared / (2 * axes * radius**2))
        xx, yy, xy = (float((weight * product).sum()) for product in (x * x, y * y, x * y))
        size = xx + yy + 2 * float(np.sqrt(max(xx * yy - xy**2, 0.0)))
        if not size > 0:
            return 0.0, 0.0
        e1, e2 = (xx - yy) / size, 2 * xy / size
        length = float(np.hypot(e1, e2))
        if length > MOST:
            e1, e2 = e1 * MOST / length, e2 * MOST / length
    return e1, e2
