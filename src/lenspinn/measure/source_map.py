"""The source of a measurement as it would be seen without the lens, the noise and the PSF."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from lenspinn.fitting.smooth import by_name, source_brightness
from lenspinn.lensing.grid import pixel_grid
from lenspinn.measure.lens_measurement import LensMeasurement

__all__ = ["SourceMap", "source_map"]

FINER = 5
"""Its pixels along a side of one of the image, unless these would be more than `MOST_PIXELS`."""
MOST_PIXELS = 401
"""A side."""
AROUND_CAUSTICS = 1.2
"""Half side, in units of what it must hold: caustics, the source, and `LEAST` of theta_E."""
LEAST = 0.3


@dataclass(frozen=True, kw_only=True, eq=False)
class SourceMap:
    """A square of the source plane, whose middle pixel is behind that of the frame if unlensed."""

    pixels: Float[np.ndarray, "v u"]
    """Surface brightness: flux in a pixel **of the image**, so that values compare with it."""
    pixel_scale: float
    """Arcsec."""


def source_map(measured: LensMeasurement) -> SourceMap:
    """Draw the source around the caustics of its lens, sampled at pixel centres."""
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
