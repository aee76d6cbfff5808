"""Lens, source and lens light of one image fitted together, from many starts at once.

The lens light is linear in its amplitudes, which the solver (`lenspinn.fitting.solver`) finds
exactly in each step.
"""

import math
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from lenspinn.fitting.priors import Priors, known_parameters
from lenspinn.fitting.smooth import (
    SMOOTH_PARAMETERS,
    Optics,
    SmoothParameters,
    make_optics,
    smooth_image,
)
from lenspinn.fitting.solver import SmoothFit, fit_smooth_lens
from lenspinn.fitting.span import apart_from
from lenspinn.measure.frame import Frame
from lenspinn.measure.lens_light import LensLight
from lenspinn.measure.mass_and_light import LensPrior

Pixels = Float[np.ndarray, "y x"]

PRIORS = {
    "source_e1": 0.25,
    "source_e2": 0.25,
    "log_n_sersic": 0.6,
}
"""Standard deviations, about 0, of priors of the source; they are weak against arcs of any
signal."""
NO_SHEAR = 1e-5
"""Standard deviation of the prior of a shear that is held at 0."""
SIZE_PRIOR = (0.15, 0.8)
"""Prior of the source's half-light radius: median in units of theta_E, and standard deviation of
its logarithm."""
STEPS, LEAST_GAIN = 20, 0.02
"""Largest number of steps of a fit, and fall of chi^2 in a step that is worth another step. Half as
many steps in the first look miss the right minimum of SLACS J1432+6317."""
SUPERSAMPLING = 2
"""Number of samples along a side of a pixel, except in the first look from all starts."""
AS_GOOD = 0.05
"""Relative difference from the best fit's fall of chi^2 up to which another fit is as good."""
RADII = (0.75, 0.9, 1.0, 1.15)
"""Einstein radii at which fits start, in units of the guess."""
OFFSETS = ((0.0, 0.0), (0.12, 0.0), (-0.06, 0.104), (-0.06, -0.104))
"""Offsets of the source at the start from the position that the arcs trace back to, in units of the
guess."""
ASIDE = ((1.0, 0.0), (-1.0, 0.0), (0.0, 1.0), (0.0, -1.0))
"""Centres of mass at which more fits start where no light shows the centre, in standard deviations
of the prior."""
ARC_SIGMAS = 3.0
"""Least significance of a pixel that belongs to the arcs, standard deviations of the noise."""


@dataclass(frozen=True, kw_only=True, eq=False)
class JointFit:
    """Fits of one image from several starts, the best first."""

    parameters: SmoothParameters
    gain: float
    """Fall of chi^2 by the best source, from that without a source."""
    as_good: Bool[Tensor, " starts"]
    """Mask of the fits that lower chi^2 about as much as the best."""
    covariance: Float[np.ndarray, "parameters parameters"]
    """Statistical covariance of the parameters of the best fit."""
    chi2_per_pixel: float
    lens_light: Pixels
    source_image: Pixels

    @property
    def theta_E(self) -> float:
        """Einstein radius of the best fit, arcsec."""
        return float(self.parameters[0, 0])


def starts_around(
    frame: Frame, light: LensLight, guess: float, expected: LensPrior
) -> SmoothParameters:
    """Return starts: several Einstein radii, and source positions around that of traced arcs.

    Parameters
    ----------
    frame
        Frame of the image.
    light
        Lens light of the image.
    guess
        Guess of theta_E, arcsec.
    expected
        Priors of the lens. Fits also start from centres `ASIDE` where the standard deviation of the
        centre is more than two pixels.
    """
    arcs = frame.image - light.model
    significance = arcs / frame.weighted_sigma
    weight = np.where(significance > ARC_SIGMAS, significance, 0) * (frame.radius > guess / 3)
    aside = ASIDE if expected.centre > 2 * frame.pixel_scale else ()
    begin = [((0.0, 0.0), offset) for offset in OFFSETS]
    begin += [((x * expected.centre, y * expected.centre), OFFSETS[0]) for x, y in aside]
    rows = []
    for theta_E in (factor * guess for factor in RADII):
        for centre, offset in begin:
            row = dict.fromkeys(SMOOTH_PARAMETERS, 0.0)
            row["theta_E"] = theta_E
            row["center_x"], row["center_y"] = centre
            row["e1"], row["e2"] = expected.e1, expected.e2
            row["source_x"], row["source_y"] = (
                at + guess * by
                for at, by in zip(_pointed_at(weight, frame, centre, theta_E), offset, strict=True)
            )
            row["log_R_sersic"] = math.log(SIZE_PRIOR[0] * guess)
            rows.append(list(row.values()))
    return torch.tensor(rows)


def _pointed_at(
    weight: Pixels, frame: Frame, centre: tuple[float, float], theta_E: float
) -> tuple[float, float]:
    """Return the weighted mean source position of arcs traced back by a round lens, arcsec."""
    half = len(weight) // 2
    y, x = (np.indices(weight.shape) - half) * frame.pixel_scale
    from_x, from_y = x - centre[0], y - centre[1]
    radius = np.maximum(np.hypot(from_x, from_y), frame.pixel_scale)
    total = max(float(weight.sum()), 1e-30)
    x, y = x - theta_E * from_x / radius, y - theta_E * from_y / radius
    return float((weight * x).sum()) / total, float((weight * y).sum()) / total


def fit_source(
    frame: Frame,
    light: LensLight,
    starts: SmoothParameters,
    expected: LensPrior,
    *,
    look: bool = False,
    shear: bool = True,
) -> JointFit:
    """Fit lens, source and the amplitudes of the lens light from each start.

    Parameters
    ----------
    frame
        Frame of the image.
    light
        Lens light and sky of the image, whose amplitudes are fitted again.
    starts
        Parameters at which the fits begin.
    expected
        Priors of the lens before its arcs are fitted.
    look
        Whether this is a first look, in which the source is sampled once a pixel.
    shear
        Whether the lens may have external shear.
    """
    sigma = frame.weighted_sigma
    image = torch.from_numpy(frame.image).float()[None]
    whole = torch.from_numpy(sigma).float()[None]
    optics = frame_optics(frame, 1 if look else SUPERSAMPLING)
    fit = fit_smooth_lens(
        starts,
        image,
        whole,
        optics,
        steps=STEPS,
        beside=torch.from_numpy(light.basis)[None],
        priors=lens_priors(float(starts[:, 0].median()), expected, shear=shear),
        least_gain=LEAST_GAIN,
    )
    without = float(apart_from(fit.beside[:1], (image / whole)[None]).square().sum())
    source_image = smooth_image(fit.parameters[_order(fit)[:1]], optics)[0].double().numpy()
    lens_light = _best_light(frame.image - source_image, sigma, light)
    return _sorted_fits(fit, without, lens_light, source_image, int(np.isfinite(sigma).sum()))


def _sorted_fits(
    fit: SmoothFit, without: float, lens_light: Pixels, source_image: Pixels, pixels: int
) -> JointFit:
    """Sort fits, the best first, and compare chi^2 with that of the others and without a source."""
    order = _order(fit)
    chi2 = _chi2_and_penalty(fit)[order]
    gain = without - float(chi2[0])
    return JointFit(
        parameters=fit.parameters[order],
        gain=gain,
        as_good=without - chi2 >= (1 - AS_GOOD) * gain,
        covariance=fit.covariance[order[0]].double().numpy(),
        chi2_per_pixel=float(chi2[0]) / pixels,
        lens_light=lens_light,
        source_image=source_image,
    )


def _order(fit: SmoothFit) -> Tensor:
    return _chi2_and_penalty(fit).nan_to_num(nan=math.inf).argsort()


def _chi2_and_penalty(fit: SmoothFit) -> Tensor:
    return fit.chi2 + fit.priors.penalty(fit.parameters)


def _best_light(image: Pixels, sigma: Pixels, light: LensLight) -> Pixels:
    columns = (light.basis / sigma).reshape(len(light.basis), -1).T
    amplitudes = np.linalg.lstsq(columns, (image / sigma).ravel(), rcond=1e-6)[0]
    return np.tensordot(amplitudes, light.basis, axes=1)


def frame_optics(frame: Frame, supersampling: int) -> Optics:
    """Return the optics of a frame: its pixels, samples and PSF."""
    psf = (1.0,) if frame.psf is None else torch.from_numpy(frame.psf).float()
    return make_optics(len(frame.image), frame.pixel_scale, psf, supersampling=supersampling)


def lens_priors(theta_E: float, lens: LensPrior, *, shear: bool = True) -> Priors:
    """Return the priors of lens and source before the arcs are fitted.

    Parameters
    ----------
    theta_E
        Approximate Einstein radius, arcsec, which sets the expected size of the source.
    lens
        Priors of the lens from its light.
    shear
        Whether the lens may have external shear.
    """
    size, width = SIZE_PRIOR
    known = {name: (0.0, sigma) for name, sigma in PRIORS.items()}
    known |= {
        "e1": (lens.e1, lens.ellipticity),
        "e2": (lens.e2, lens.ellipticity),
        "center_x": (0.0, lens.centre),
        "center_y": (0.0, lens.centre),
        "gamma1": (0.0, lens.shear if shear else NO_SHEAR),
        "gamma2": (0.0, lens.shear if shear else NO_SHEAR),
    }
    known["log_R_sersic"] = (math.log(size * theta_E), width)
    return known_parameters(known, len(SMOOTH_PARAMETERS))
