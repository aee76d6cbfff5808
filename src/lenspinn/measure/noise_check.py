"""Whether what a file gives as noise agrees with its image."""

import numpy as np

from lenspinn.measure.noise_map import FAR, AnyPixels, border_of, robust_sigma

__all__ = ["are_variances", "weights_fit"]

MOST_OFF = 2.0
"""Factor between the noise that weights give and what the image scatters by."""
BINS = 24
"""Of equally many pixels, in brightness, of the brighter half of an image."""
LEAST_BENT, LESS_BENT = 0.01, 1.5
"""How far the squares of a noise map must be from a line in the brightness of the image, relative,
and how many times as far as the map itself, for it to hold variances. Noise maps of SLACS lenses
reach 0.9 times as far, those of JWST/NIRCam, which have a floor, 1.2, of Euclid's VIS 1.3, and of
its NISP, in resampled pixels, 2.9; but their square roots are not what the sky scatters by."""


def weights_fit(image: AnyPixels, deviations: AnyPixels) -> bool:
    """Return whether the noise that weights give is that of the sky of an image.

    Weights of drizzled images are often exposure times, or relative. The noise that is seen lies
    between the scatter of neighbouring pixels, which correlation lowers, and that of the border,
    which light raises.
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
    """Return whether a noise map that calls itself none of variances holds variances.

    Photons add a variance in proportion to the light. So the squares of standard deviations rise
    along a line with the brightness of the image, and where a map does so itself, and its square
    roots are what the sky scatters by, it holds variances. A map that hardly varies is not told,
    and does little harm: it weighs all pixels alike.

    Parameters
    ----------
    image, noise : (y, x)
        In one unit; what is not finite or not positive in the map is left out.
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
    """Return how far values are from a line in the light, relative, root mean square."""
    line = np.stack([np.ones_like(lights), lights], axis=1) / values[:, None]
    best = np.linalg.lstsq(line, np.ones_like(values), rcond=None)[0]
    return float(np.sqrt(np.mean((line @ best - 1) ** 2)))
