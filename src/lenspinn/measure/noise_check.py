"""Checks whether the noise that a file gives agrees with its image."""

import numpy as np

from lenspinn.measure.noise_map import AnyPixels, border_of, robust_sigma

__all__ = ["are_variances", "weights_fit"]

FAR = 1e4
"""Times the median of a noise map, from where a pixel does not count."""
MOST_OFF = 2.0
"""Largest factor between the noise that weights give and the scatter of the image."""
BINS = 24
"""Number of bins in brightness, of equally many pixels, of the brighter half of an image."""
LEAST_BENT, LESS_BENT = 0.01, 1.5
"""Least relative distance of the squares of a noise map from a straight line in the brightness of
the image, and its least ratio to that of the map itself, for a map that holds variances. The ratio
is at most 0.9 for noise maps of SLACS lenses, 1.2 for those of JWST/NIRCam, which have a floor, 1.3
for Euclid's VIS, and 2.9 for its NISP, in resampled pixels; but the square roots of these maps are
not the scatter of the sky."""


def weights_fit(image: AnyPixels, deviations: AnyPixels) -> bool:
    """Return whether the noise that weights give is that of the sky of an image.

    Weights of drizzled images are often exposure times, or relative. The true noise lies between
    the scatter of differences of neighbouring pixels, which correlation lowers, and the scatter of
    the border, which light raises.
    """
    known = np.isfinite(image) & np.isfinite(deviations) & (deviations > 0)
    border = border_of(image.shape) & known
    if not border.any():
        return False
    steps = np.diff(np.where(known, image, np.nan).astype(np.float64), axis=1)
    least = robust_sigma(steps[np.isfinite(steps)]) / np.sqrt(2)
    most = robust_sigma(image[border].astype(np.float64))
    stated = float(np.median(deviations[border]))
    return bool(least / MOST_OFF <= stated <= most * MOST_OFF)


def are_variances(image: AnyPixels, noise: AnyPixels) -> bool:
    """Return whether a noise map that is not labelled as variances holds variances.

    Photons add a variance in proportion to the light, so the squares of standard deviations rise
    linearly with the brightness of the image. A map whose own values do so, and whose square roots
    are the scatter of the sky, holds variances. A map that hardly varies cannot be tested, and does
    little harm: it gives all pixels the same weight.

    Parameters
    ----------
    image, noise : (y, x)
        Image and noise map in one unit; pixels whose noise is not finite or not positive are left
        out.
    """
    known = np.isfinite(image) & np.isfinite(noise) & (noise > 0)
    known[known] &= noise[known] < FAR * np.median(noise[known])
    brightness, values = image[known].astype(np.float64), noise[known].astype(np.float64)
    if values.size < 2 * BINS:
        return False
    by_brightness = np.array_split(np.argsort(brightness), 2 * BINS)[BINS:]
    lights, deviations = (
        np.array([np.median(of[part]) for part in by_brightness]) for of in (brightness, values)
    )
    bent, squared = _bent(deviations, lights), _bent(deviations**2, lights) / 2
    if squared < max(LEAST_BENT, LESS_BENT * bent):
        return False
    return weights_fit(image, np.sqrt(np.where(known, noise, np.nan)))


def _bent(values: np.ndarray, lights: np.ndarray) -> float:
    """Return the relative rms distance of values from the best line in the light."""
    line = np.stack([np.ones_like(lights), lights], axis=1) / values[:, None]
    best = np.linalg.lstsq(line, np.ones_like(values), rcond=None)[0]
    return float(np.sqrt(np.mean((line @ best - 1) ** 2)))
