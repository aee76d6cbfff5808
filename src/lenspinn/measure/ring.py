"""The radius of a ring, with no model of the lens: a first guess of theta_E, and a baseline."""

import numpy as np
from jaxtyping import Float
from scipy import ndimage

Pixels = Float[np.ndarray, "y x"]

MOST_SIGMAS = 3.0
"""Largest significance that a pixel counts with, so that the lit share of a circle matters most."""
SMOOTHING = 1.0
"""Standard deviation of the Gaussian that smooths the profile, pixels."""
OTHER, FAINTEST_OTHER, APART = 0.25, 2.0, 1.3
"""Least significance of another circle that may be the ring, as a share of that of the brightest
circle and as a number, and least factor between the radii of such circles."""
RIVAL, SEEN = 0.5, 3.0
"""Least significance of a circle further out that could be the ring as well, as a share of that of
the brightest circle and as a number: circles of noise alone have 1."""


def ring_radius(
    arcs: Pixels, sigma: Pixels, pixel_scale: float, *, inner: float, outer: float
) -> float:
    """Return the radius of the circle on which light is most significant.

    Parameters
    ----------
    arcs : (y, x)
        Image without lens light; the lens is in its centre.
    sigma : (y, x)
        Noise that pixels are weighted with; ``inf`` leaves a pixel out.
    pixel_scale : side of a pixel, arcsec.
    inner, outer : arcsec
        Least and largest radius that is searched.

    Returns
    -------
    float
        Radius, arcsec. It is theta_E for a round ring; for two images of a source that is far off
        the centre it lies nearer to the radius of the brighter image.
    """
    profile = _profile(arcs, sigma)
    peak = _brightest(profile, inner / pixel_scale, outer / pixel_scale)
    return _vertex(profile, peak) * pixel_scale


def other_rings(
    arcs: Pixels, sigma: Pixels, pixel_scale: float, *, inner: float, outer: float
) -> tuple[float, ...]:
    """Return the radii of circles that could be the ring as well, the most significant first.

    Parameters
    ----------
    arcs, sigma, pixel_scale, inner, outer
        Parameters of `ring_radius`, whose circle is left out, as are circles near to it.
    """
    profile = _profile(arcs, sigma)
    first, last = inner / pixel_scale, outer / pixel_scale
    chosen = [_brightest(profile, first, last)]
    floor = max(FAINTEST_OTHER, OTHER * profile[chosen[0]])
    inside = range(max(1, round(first)), min(round(last), len(profile) - 1))
    peaks = [
        at for at in inside if profile[at] > floor and profile[at] == profile[at - 1 : at + 2].max()
    ]
    for peak in sorted(peaks, key=lambda at: -profile[at]):
        if all(abs(np.log(peak / at)) > np.log(APART) for at in chosen):
            chosen.append(peak)
    return tuple(_vertex(profile, peak) * pixel_scale for peak in chosen[1:])


def rival_ring(
    arcs: Pixels, sigma: Pixels, pixel_scale: float, *, inner: float, field: float
) -> float | None:
    """Return the radius of a ring outside of a field that could be the right one as well.

    Parameters
    ----------
    arcs, sigma, pixel_scale
        Parameters of `ring_radius`.
    inner, field : arcsec
        Least and largest radius of the ring that was found.

    Returns
    -------
    float or None
        Radius, arcsec; None if there is no such ring within the image.
    """
    profile, half = _profile(arcs, sigma), len(arcs) / 2
    first = field / pixel_scale + 1
    if first >= half:
        return None
    ring = profile[_brightest(profile, inner / pixel_scale, field / pixel_scale)]
    peak = _brightest(profile, first, half)
    return peak * pixel_scale if profile[peak] > max(SEEN, RIVAL * ring) else None


def _profile(arcs: Pixels, sigma: Pixels) -> Float[np.ndarray, " radius"]:
    """Return the significance of the light on each circle, by its radius in pixels."""
    y, x = np.indices(arcs.shape) - (np.array(arcs.shape)[:, None, None] - 1) / 2
    radius = np.hypot(x, y)
    used = np.isfinite(sigma)
    significance = np.clip(arcs / sigma, -MOST_SIGMAS, MOST_SIGMAS)
    ring = np.rint(radius[used]).astype(int)
    total = np.bincount(ring, significance[used])
    profile = total / np.sqrt(np.maximum(np.bincount(ring), 1))
    return ndimage.gaussian_filter1d(profile, SMOOTHING)


def _brightest(profile: np.ndarray, inner: float, outer: float) -> int:
    """Return the radius of the brightest circle between two, in pixels."""
    first = min(max(1, round(inner)), len(profile) - 1)
    last = max(first + 1, min(len(profile), round(outer) + 1))
    return first + int(profile[first:last].argmax())


def _vertex(profile: np.ndarray, peak: int) -> float:
    """Return the position of a peak, refined by a parabola through it and its neighbours."""
    if not 0 < peak < len(profile) - 1:
        return float(peak)
    before, top, after = profile[peak - 1 : peak + 2]
    bend = before - 2 * top + after
    aside = float(np.clip(0.5 * (before - after) / bend, -0.5, 0.5)) if bend < 0 else 0.0
    return peak + aside
