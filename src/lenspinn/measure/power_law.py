"""The slope and theta_E of a power-law lens whose source has structure."""

import math
from dataclasses import replace
from typing import NamedTuple

import torch

from lenspinn.fitting.priors import SHAPE_PRIORS
from lenspinn.fitting.smooth import SHAPE_PARAMETERS, SMOOTH_PARAMETERS, SmoothParameters
from lenspinn.fitting.solver import fit_smooth_lens
from lenspinn.fitting.structure import fit_structure
from lenspinn.measure.frame import ARC_ERROR, Frame
from lenspinn.measure.joint_fit import SUPERSAMPLING, frame_optics, lens_priors
from lenspinn.measure.lens_light import LensLight
from lenspinn.measure.mass_and_light import LensPrior

__all__ = ["PowerLaw", "fit_power_law"]

STRUCTURED_ERROR = 0.05
"""Error of a source with structure in each pixel, as a share of the lensed source."""
FIRST_STEPS, STEPS = 2, 8
"""Number of steps with a Sersic source, from the earlier fit but with the noise used here, and then
with structure."""
SLOPE_SYSTEMATIC = 0.2
"""Systematic error (one sigma) of a slope: scatter between slopes found here and those of Tan et
al. (2024), arXiv:2311.09307, beyond their errors; see docs/measured/real_lenses.md."""
_THETA_E = SMOOTH_PARAMETERS.index("theta_E")
_SLOPE = len(SMOOTH_PARAMETERS) + SHAPE_PARAMETERS.index("gamma")


class PowerLaw(NamedTuple):
    """A lens of any slope with multipoles and shear, its source a Sersic profile and shapelets."""

    theta_E: float
    """Einstein radius, arcsec."""
    slope: float
    """Slope of the three-dimensional density; 2 for an isothermal lens."""
    slope_error: float
    """Error of the slope, one sigma, with `SLOPE_SYSTEMATIC` included."""


def fit_power_law(
    frame: Frame, light: LensLight, start: SmoothParameters, expected: LensPrior
) -> PowerLaw:
    """Fit a power-law lens and a source with structure to an image, together with the lens light.

    Parameters
    ----------
    frame
        Frame of the image; the error that it allows for arcs is made smaller than for a Sersic
        source alone.
    light
        Lens light and sky of the image, whose amplitudes are fitted again.
    start : (1, 14)
        Parameters of the best isothermal lens and Sersic source.
    expected
        Priors of the lens before its arcs are fitted.
    """
    frame = replace(frame, arcs=frame.arcs * (STRUCTURED_ERROR / ARC_ERROR))
    image, sigma = (
        torch.from_numpy(pixels).float()[None] for pixels in (frame.image, frame.weighted_sigma)
    )
    optics = frame_optics(frame, SUPERSAMPLING)
    fit = fit_smooth_lens(
        start,
        image,
        sigma,
        optics,
        steps=FIRST_STEPS,
        beside=torch.from_numpy(light.basis)[None],
        priors=lens_priors(float(start[0, _THETA_E]), expected),
    )
    found = fit_structure(fit, image, optics, steps=STEPS, lens_shape=True).smooth
    # Where arcs do not constrain the slope, float32 rounding may give more than the prior's width.
    error = float(found.standard_errors[0, _SLOPE].nan_to_num(nan=math.inf))
    return PowerLaw(
        theta_E=float(found.parameters[0, _THETA_E]),
        slope=float(found.parameters[0, _SLOPE]),
        slope_error=math.hypot(min(error, SHAPE_PRIORS["gamma"][1]), SLOPE_SYSTEMATIC),
    )
