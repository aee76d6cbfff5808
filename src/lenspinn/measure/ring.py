"""The radius of a ring, with no model of the lens: a first guess of theta_E, and a baseline."""

import numpy as np
from jaxtyping import Float
from scipy import ndimage

Pixels = Float[np.ndarray, "y x"]

MOST_SIGMAS = 3.0
"""A pixel counts no more than this: what matters is how much of the circle is lit."""
SMOOTHING = 1.0
"""Of the profile, standard deviation in pixels."""
UNLIKELY = 0.35
"""Natural logarithm of the factor between a radius and the typical one at which it counts half."""
RIVAL, SEEN = 0.5, 3.0
"""Share of the brightest circle from which one further out could be the ring as well, and its least
significance: circles of noise alone have 1."""


def ring_radius(
    arcs: Pixels,
    sigma: Pixels,
    pixel_scale: float,
    *,
    inner: float,
    outer: float,
    typical: float | None = None,
) -> float:
    """Return the radius of the circle on which light is most significant.

    Parameters
    ----------
    arcs : (y, x)
        The image without the light of the lens, which lies at its centre.
    sigma : (y, x)
        Noise; pixels are weighed by it. ``inf`` leaves a pixel out.
    pixel_scale : arcsec.
    inner, outer : arcsec
        Where to look.
    typical : arcsec
        What the radius is expected to be, within a factor; see `UNLIKELY`. By default anything.

    Returns
    -------
    float
        Arcsec. For a round ring theta_E; for two images of a source that is far off the centre
        nearer to the brighter one.
    """
    profile = _profile(arcs, sigma)
    profile = profile * _likely(len(profile), typical, pixel_scale)
    peak = _brightest(profile, inner / pixel_scale, outer / pixel_scale)
    return _vertex(profile, peak) * pixel_scale


def rival_ring(
    arcs: Pixels,
    sigma: Pixels,
    pixel_scale: float,
    *,
    inner: float,
    field: float,
    typical: float | None = None,
) -> float | None:
    """Return the radius of a ring outside of a field that could be the ring as well as one inside.

    Parameters
    ----------
    arcs, sigma, pixel_scale
        As in `ring_radius`.
    inner, field : arcsec
        Between which the ring is that was found.
    typical : arcsec
        As in `ring_radius`.

    Returns
    -------
    float or None
        Arcsec; None if there is none before the border of the image.
    """
    profile, half = _profile(arcs, sigma), len(arcs) / 2
    profile = profile * _likely(len(profile), typical, pixel_scale)
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


def _likely(num: int, typical: float | None, pixel_scale: float) -> Float[np.ndarray, " radius"]:
    """Return how much each radius in pixels counts, 1 of a typical one."""
    if typical is None:
        return np.ones(num)
    radius = np.maximum(np.arange(num), 0.5) * pixel_scale
    return 1 / (1 + (np.log(radius / typical) / UNLIKELY) ** 2)


def _brightest(profile: np.ndarray, inner: float, outer: float) -> int:
    """Return the radius of the brightest circle between two, in pixels."""
    first = min(max(1, round(inner)), len(profile) - 1)
    last = max(first + 1, min(len(profile), round(outer) + 1))
    return first + int(profile[first:last].argmax())


def _vertex(profile: np.ndarray, peak: int) -> float:
    """Refine the place of a peak by the parabola through it and its neighbours."""
    if not 0 < peak < len(profile) - 1:
        return float(peak)
    before, top, after = profile[peak - 1 : peak + 2]
    bend = before - 2 * top + after
    return (
        peak + float(np.clip(0.5 * (before - after) / bend, -0.5, 0.5)) if bend < 0 else float(peak)
    )
