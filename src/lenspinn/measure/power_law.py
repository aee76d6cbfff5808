"""The slope of a lens, and its theta_E once more: a power law, and a source with structure."""

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
"""Share of the lensed source by which one with structure is wrong, in each pixel."""
FIRST_STEPS, STEPS = 2, 8
"""Of a Sersic source from where its fit ended, with the noise of this one; and with structure."""
SLOPE_SYSTEMATIC = 0.2
"""One sigma: what is left between slopes found here and those of Tan et al. (2024),
arXiv:2311.09307, beside their errors; see docs/measured/real_lenses.md."""
_THETA_E = SMOOTH_PARAMETERS.index("theta_E")
_SLOPE = len(SMOOTH_PARAMETERS) + SHAPE_PARAMETERS.index("gamma")


class PowerLaw(NamedTuple):
    """A lens of any slope with multipoles and shear, its source a Sersic profile and shapelets."""

    theta_E: float
    """Arcsec."""
    slope: float
    """Of the density, 2 of an isothermal lens."""
    slope_error: float
    """One sigma, with `SLOPE_SYSTEMATIC`."""


def fit_power_law(
    frame: Frame, light: LensLight, start: SmoothParameters, expected: LensPrior
) -> PowerLaw:
    """Fit a power law to the image of a lens, lens light beside it.

    Parameters
    ----------
    frame
        The image; what it knows of arcs counts for less than beside a Sersic source alone.
    light
        Its lens light and sky, of which the amplitudes are fitted again.
    start : (1, 14)
        The best isothermal lens and Sersic source.
    expected
        What the lens is like, before its arcs say anything.
    """
    frame = replace(frame, arcs=frame.arcs * (STRUCTURED_ERROR / ARC_ERROR))
    image, sigma = (
        torch.from_numpy(pixels).float()[None] for pixels in (frame.image, frame.weighed_sigma)
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
    # Where nothing is known the inverse of a matrix in float32 may say more than the prior allows.
    error = float(found.standard_errors[0, _SLOPE].nan_to_num(nan=math.inf))
    return PowerLaw(
        theta_E=float(found.parameters[0, _THETA_E]),
        slope=float(found.parameters[0, _SLOPE]),
        slope_error=math.hypot(min(error, SHAPE_PRIORS["gamma"][1]), SLOPE_SYSTEMATIC),
    )
