"""Whether the light of the lens galaxy shows in an image, and where."""

import numpy as np
from jaxtyping import Float

from lenspinn.apply.frame import light_peak

__all__ = ["find_lens_galaxy"]

Pixels = Float[np.ndarray, "y x"]

CENTRE = 0.2
"""Arcsec from the middle within which a galaxy is looked at."""
BEYOND, OUTERMOST = 0.3, 3.0
"""Arcsec from the middle between which it is compared with what surrounds it."""
STEP = 0.1
"""Arcsec: width of the circles."""
ASIDE = 0.5
"""Arcsec from the middle of the image up to which the peak of the light may be the galaxy's."""
ABOVE = 0.85
"""Of the brightest circle beyond: 1.0 and more in 59 of 60 images with a lens galaxy of 18 to 23
mag, 1.9 and more in real ones, 0.72 and less in 72 without; see docs/real_lenses.md."""
SIGMAS = 2.0
"""Of a pixel, by which a galaxy is brighter than the sky."""
FAINT = 0.125
"""Of the pixels in rising order: the sky."""


def find_lens_galaxy(image: Pixels, sigma: Pixels, pixel_scale: float) -> tuple[int, int] | None:
    """Return row and column of the lens galaxy, None if none shows.

    A steep lens leaves no image of the source in its centre: without lens light it is darker there
    than on the circle of the arcs. What lies on a circle is told by its median, which the images of
    a source that are not all around do not move.

    Parameters
    ----------
    image, sigma : (y, x)
        Image and its noise, in one unit; ``inf`` leaves a pixel out.
    pixel_scale : arcsec.
    """
    rows, columns = image.shape
    middle = (rows // 2, columns // 2)
    peak = light_peak(image, sigma)
    near = light_peak(image, sigma, within=max(2, round(ASIDE / pixel_scale)))
    if _is_galaxy(middle, image, sigma, pixel_scale):
        return peak if _apart(peak, middle) * pixel_scale <= ASIDE else near
    if _apart(peak, middle) * pixel_scale <= ASIDE and _is_galaxy(peak, image, sigma, pixel_scale):
        return peak
    return None


def _apart(one: tuple[int, int], other: tuple[int, int]) -> float:
    return float(np.hypot(one[0] - other[0], one[1] - other[1]))


def _is_galaxy(centre: tuple[int, int], image: Pixels, sigma: Pixels, pixel_scale: float) -> bool:
    """Return whether a place is brighter than the circles around it."""
    used = np.isfinite(sigma)
    y, x = np.indices(image.shape)
    radius = np.hypot(y - centre[0], x - centre[1]) * pixel_scale
    step = max(STEP, pixel_scale)
    circle = (radius / step).astype(int)
    sky = float(np.quantile(image[used], FAINT))
    last = int(OUTERMOST / step)
    circles = [image[used & (circle == at)] - sky for at in range(last)]
    medians = np.array([np.median(pixels) if pixels.size else -np.inf for pixels in circles])
    inner = max(1, round(CENTRE / step))
    bright = float(np.mean(medians[:inner]))
    beyond = float(medians[max(inner, round(BEYOND / step)) :].max())
    return bright > SIGMAS * float(np.median(sigma[used])) and bright > ABOVE * beyond
