"""Detection of the light of the lens galaxy in an image, and its position."""

import numpy as np
from jaxtyping import Float

from lenspinn.measure.frame import light_peak

__all__ = ["find_lens_galaxy"]

Pixels = Float[np.ndarray, "y x"]

CENTRE = 0.2
"""Radius of the centre, whose brightness is that of a galaxy there, arcsec."""
BEYOND, OUTERMOST = 0.3, 3.0
"""Inner and outer radius of the circles that the centre is compared with, arcsec."""
STEP = 0.1
"""Width of the circles, arcsec."""
ASIDE = 0.3
"""Largest distance of the peak of a galaxy from the middle of the image, arcsec."""
ABOVE = 0.85
"""Least brightness of the centre, over that of the brightest circle, at which a galaxy is in the
centre: 1.9 and more in real lenses, 0.72 and less in images without lens light."""
CONTRAST = 1.6
"""Least brightness of the centre, over that of the darkest circle inside of the brightest one, at
which a galaxy is in the centre of a brighter ring: 8.8 and more in images with lens light of 18 to
23 mag, 1.2 and less in images without."""
SIGMAS = 2.0
"""Least brightness of a galaxy, in units of the noise of a pixel."""
ROUND, AROUND = 1.5, 2.5
"""Radii around the brightest place, arcsec: the light within the second is compared with the
medians of the circles within the first."""
SHARE = 0.63
"""Share of the light in these medians above which the brightest place is a galaxy, wherever it is:
0.66 and more in real lenses, 0.61 and less where an arc is the brightest."""
SURE = 10.0
"""Least light within `AROUND` of which a share is measured, in standard deviations."""
FAINT = 0.125
"""Quantile of the pixels that is taken for the sky level."""


def find_lens_galaxy(image: Pixels, sigma: Pixels, pixel_scale: float) -> tuple[int, int] | None:
    """Return row and column of the lens galaxy, None if none shows.

    A steep lens makes no image of the source in its centre. Without lens light the centre is darker
    than the circle of the arcs, and no brighter than any circle between. The brightness of a circle
    is its median, which does not depend on images of the source that cover less than half of it.

    Parameters
    ----------
    image, sigma : (y, x)
        Image and its noise, in one unit; ``inf`` leaves a pixel out.
    pixel_scale : side of a pixel, arcsec.
    """
    rows, columns = image.shape
    middle = (rows // 2, columns // 2)
    aside = ASIDE / pixel_scale
    peak = light_peak(image, sigma)
    if _is_round(peak, image, sigma, pixel_scale):
        return peak
    if _is_brightest(_circles(middle, image, sigma, pixel_scale), sigma, pixel_scale):
        near = np.hypot(peak[0] - middle[0], peak[1] - middle[1]) <= aside
        return peak if near else light_peak(image, sigma, within=max(2, round(aside)))
    return None


def _circles(
    centre: tuple[int, int], image: Pixels, sigma: Pixels, pixel_scale: float
) -> list[np.ndarray]:
    """Return the sky-subtracted pixels that count on each circle around a place."""
    used = np.isfinite(sigma)
    circle = (_radius(centre, image, pixel_scale) / max(STEP, pixel_scale)).astype(int)
    sky = float(np.quantile(image[used], FAINT))
    last = int(OUTERMOST / max(STEP, pixel_scale))
    circles = (image[used & (circle == at)] - sky for at in range(last))
    return [pixels for pixels in circles if pixels.size]


def _radius(centre: tuple[int, int], image: Pixels, pixel_scale: float) -> Pixels:
    y, x = np.indices(image.shape)
    return np.hypot(y - centre[0], x - centre[1]) * pixel_scale


def _is_brightest(circles: list[np.ndarray], sigma: Pixels, pixel_scale: float) -> bool:
    """Return whether a place is brighter than the circles around it."""
    step = max(STEP, pixel_scale)
    medians = np.array([np.median(pixels) for pixels in circles])
    inner = max(1, round(CENTRE / step))
    first = max(inner, round(BEYOND / step))
    if len(medians) <= first:
        return False
    brightest = first + int(medians[first:].argmax())
    bright = float(np.mean(medians[:inner]))
    darkest = float(medians[inner : brightest + 1].min())
    noise = SIGMAS * float(np.median(sigma[np.isfinite(sigma)]))
    return bright > noise and (
        bright > ABOVE * float(medians[brightest]) or bright > CONTRAST * darkest + noise
    )


def _is_round(centre: tuple[int, int], image: Pixels, sigma: Pixels, pixel_scale: float) -> bool:
    """Return whether most of the light around a place is symmetric about it."""
    around = np.isfinite(sigma) & (_radius(centre, image, pixel_scale) < AROUND)
    sky = float(np.quantile(image[np.isfinite(sigma)], FAINT))
    total = float((image[around] - sky).sum())
    if not total > SURE * float(np.sqrt((sigma[around] ** 2).sum())):
        return False
    circles = _circles(centre, image, sigma, pixel_scale)
    circles = circles[: int(ROUND / max(STEP, pixel_scale))]
    return sum(float(np.median(pixels)) * pixels.size for pixels in circles) > SHARE * total
