"""The source of a measurement without lens, noise and PSF."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from lenspinn.fitting.smooth import by_name, source_brightness
from lenspinn.lensing.grid import pixel_grid
from lenspinn.measure.lens_measurement import LensMeasurement

__all__ = ["SourceMap", "source_map"]

FINER = 5
"""Number of pixels of the map along a side of an image pixel, unless `MOST_PIXELS` asks for
fewer."""
MOST_PIXELS = 401
"""Largest number of pixels a side of the map."""
AROUND_CAUSTICS = 1.2
"""Half side of the map over the largest of: reach of the caustics, distance of the source, and
`LEAST` times theta_E."""
LEAST = 0.3
"""Least half side of the map, without its margin, in units of theta_E."""


@dataclass(frozen=True, kw_only=True, eq=False)
class SourceMap:
    """A square map of the source plane; the middle pixel has the position (0, 0) of the frame."""

    pixels: Float[np.ndarray, "v u"]
    """Surface brightness as flux in a pixel **of the image**, so that values compare with the
    image."""
    pixel_scale: float
    """Side of a pixel of the map, arcsec."""


def source_map(measured: LensMeasurement) -> SourceMap:
    """Return a map of the source around the caustics of its lens, sampled at pixel centres."""
    parameters = measured.smooth_parameters.double()
    p = by_name(parameters)
    reach = [float(np.abs(line).max()) for line in measured.caustics()]
    reach += [abs(float(p[name])) for name in ("source_x", "source_y")]
    half = AROUND_CAUSTICS * max([*reach, LEAST * measured.theta_E])
    scale = max(measured.pixel_scale / FINER, 2 * half / MOST_PIXELS)
    size = 2 * int(half / scale) + 1
    x, y = pixel_grid(size, scale, dtype=parameters.dtype)
    brightness = source_brightness(p, x, y)[0] * measured.pixel_scale**2
    return SourceMap(pixels=brightness.numpy(), pixel_scale=scale)
