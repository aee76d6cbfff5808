"""Arcs fitted: lens light, lens and source together, and reasons not to trust the fit."""

import math

import numpy as np
from jaxtyping import Float
from scipy import ndimage

from lenspinn.errors import ImageError
from lenspinn.fitting.smooth import SMOOTH_PARAMETERS
from lenspinn.fitting.solver import BOUNDS
from lenspinn.measure.arcs import FIELD, LEAST_USED, Arcs
from lenspinn.measure.frame import Frame
from lenspinn.measure.joint_fit import SUPERSAMPLING, JointFit, fit_source, starts_around
from lenspinn.measure.lens_light import LensLight
from lenspinn.measure.lens_measurement import LensMeasurement
from lenspinn.measure.mass_and_light import LensPrior
from lenspinn.measure.power_law import PowerLaw, fit_power_law

__all__ = ["fit_arcs"]

Pixels = Float[np.ndarray, "y x"]

FINALISTS, ROUNDS = 3, 2
"""Number of starts that are followed to the end, and number of times that lens light is fitted
again to the image minus the source, and then lens and source again."""
SYSTEMATIC = {"model": 0.01, "mask": 0.03, "none": 0.01}
"""Relative systematic error (one sigma) of theta_E, by the treatment of the lens light, due to
errors of the models of source and lens light; see docs/measured/real_lenses.md."""
LEAST_GAIN = 100.0
"""Least fall of chi^2 by the lensed source, over chi^2 per pixel, of a theta_E that is trusted: 10
sigma."""
MOST_CHI2, LEAST_CHI2 = 5.0, 0.15
"""Largest and least chi^2 per pixel of a fit that is trusted. Noise maps of real lenses are too
large: fits with HST's have 0.46 and more, with JWST/NIRCam's, which are 3 times too large in the
sky, 0.19; with a variance given as noise, 0.08."""
MOST_SPREAD = 0.05
"""Largest relative difference of theta_E between starts, where theta_E is trusted."""
MOST_ERROR = 0.1
"""Largest relative error of a theta_E that is trusted."""
MOST_BY_SHEAR = 0.05
"""Largest relative difference of a trusted theta_E from that of a fit without shear."""
MOST_BY_SLOPE = 0.05
"""Largest relative difference of a trusted theta_E from that of `lenspinn.measure.power_law`."""
MOST_OF_FRAME = 0.75
"""Largest trusted theta_E, as a share of the half side of the fitted pixels."""
MOST_WRONG_LIGHT = 10.0
"""Largest error of the lens light model on a circle, in units of the noise, where theta_E is
trusted. A larger error is due to dust, a disc or a companion, as in SLACS J0959+0410 (14); see
docs/measured/real_lenses.md."""
BRIGHT, MISSED = 3.0, 0.5
"""Least brightness, in units of the noise of a pixel, at which light shows in a smoothed image; and
share of this light that the model must miss for it to be no image of the source."""
MOST_UNEXPLAINED = 0.15
"""Largest share of such unexplained light, where theta_E is trusted."""
MOST_OFF_CENTRE = 0.25
"""Largest distance between the centres of mass and light, in units of theta_E, where that is
trusted."""
AT_BOUND = 0.005
"""Distance from a bound below which a parameter counts as at the bound, as a share of its range."""
LENS_PARAMETERS = 7
"""Number of parameters of the lens, the first of `SMOOTH_PARAMETERS`. Bounds of the source are not
checked: chi^2 shows a source that is no Sersic profile."""


def fit_arcs(arcs: Arcs) -> LensMeasurement:
    """Fit lens, source and lens light, in the unit of the arcs; see `image_fits.measure_lens`."""
    zoom = arcs.zoom
    arcs = arcs.shrunk(zoom)
    frame = arcs.frame.narrowed(FIELD * arcs.guess)
    num_used = int(np.isfinite(frame.sigma).sum())
    if num_used < LEAST_USED:
        raise ImageError(
            f"{num_used} pixels within {FIELD:g} radii of the ring count; at least {LEAST_USED} "
            "are needed: leave out fewer, or give theta_E_guess"
        )
    expected = arcs.expected
    frame, light, found = _joint_fit(frame, arcs, expected)
    isothermal = found.parameters[:1]
    shearless = fit_source(frame, light, isothermal, expected, shear=False)
    power_law = fit_power_law(frame, light, isothermal, expected)
    measured = _measurement(frame, found, shearless.theta_E, power_law, arcs, light.shape)
    return measured.enlarged(zoom)


def _joint_fit(frame: Frame, arcs: Arcs, expected: LensPrior) -> tuple[Frame, LensLight, JointFit]:
    """Fit lens, source and lens light in turn; the returned frame has errors of these models."""
    light = arcs.light_of(frame)
    frame = frame.with_arcs(frame.image - light.model)
    starts = starts_around(frame, light, arcs.guess, expected)
    found = fit_source(frame, light, starts, expected, look=True)
    starts = found.parameters[:FINALISTS]
    rounds = 1 + ROUNDS if arcs.lens_light == "model" else 1
    for again in range(rounds):
        coarse = again == 0 and rounds > 1
        frame = frame.with_models(found.lens_light, found.source_image, first_look=coarse)
        if again:
            light = arcs.light_of(frame, found.source_image, light)
        found = fit_source(frame, light, starts, expected)
        starts = found.parameters
    return frame, light, found


def _measurement(
    frame: Frame,
    found: JointFit,
    without_shear: float,
    power_law: PowerLaw,
    arcs: Arcs,
    light_shape: np.ndarray,
) -> LensMeasurement:
    """Return the measurement, with errors added up and reasons not to trust the fit."""
    excess = max(1.0, found.chi2_per_pixel)
    covariance = found.covariance * excess
    one_sigma = np.sqrt(covariance.diagonal().clip(min=0)).tolist()
    errors = dict(zip(SMOOTH_PARAMETERS, one_sigma, strict=True))
    values = dict(zip(SMOOTH_PARAMETERS, found.parameters[0].tolist(), strict=True))
    theta_E = found.theta_E
    radii = found.parameters[found.as_good, 0].double().numpy()
    scatter = float(np.sqrt(np.mean((radii - theta_E) ** 2)))
    systematic = SYSTEMATIC[arcs.lens_light] * theta_E
    others = (theta_E - without_shear, theta_E - power_law.theta_E)
    error = math.hypot(errors["theta_E"], scatter, *others, systematic)
    spread, gain = float(np.ptp(radii)) / theta_E, found.gain / excess
    used = np.isfinite(frame.sigma)
    left = frame.image - found.lens_light - found.source_image
    chi2 = float(np.mean((left / frame.light_sigma)[used] ** 2))
    reasons = [
        *_unknown_psf(frame),
        *_poor_fit(gain, chi2),
        *_uncertain(theta_E, error, spread),
        *_elsewhere(theta_E, without_shear, power_law, arcs, frame),
        *(_off_centre(values) if arcs.lens_light != "none" else ()),
        *_wrong_light(frame),
        *_unexplained(frame, found),
        *_at_bounds(values),
    ]
    return LensMeasurement(
        theta_E=theta_E,
        theta_E_error=error,
        systematic_error=systematic,
        parameters=values,
        errors=errors,
        covariance=covariance,
        at_bounds=tuple(name for name, value in values.items() if _is_at_bound(name, value)),
        chi2_per_pixel=chi2,
        gain=gain,
        spread=spread,
        without_shear=without_shear,
        power_law=power_law,
        ring_radius=arcs.radius,
        light_mode=arcs.lens_light,
        pixel_scale=frame.pixel_scale,
        middle=frame.middle,
        psf=frame.psf,
        light_shape=light_shape if arcs.lens_light == "model" else None,
        image=frame.image,
        sigma=frame.light_sigma,
        lens_light=found.lens_light,
        source_image=found.source_image,
        supersampling=SUPERSAMPLING,
        reasons=tuple(reasons),
    )


def _unknown_psf(frame: Frame) -> list[str]:
    if frame.psf is not None:
        return []
    return ["no PSF is known, and the image was taken as unblurred: give one by psf"]


def _poor_fit(gain: float, chi2: float) -> list[str]:
    reasons = []
    if not gain > LEAST_GAIN:
        reasons.append(
            f"a lensed source lowers chi^2 by {gain:.0f} only, below {LEAST_GAIN:.0f}: too faint"
        )
    if not chi2 < MOST_CHI2:
        reasons.append(f"chi^2 per pixel is {chi2:.1f}, above {MOST_CHI2:.0f}")
    if not chi2 > LEAST_CHI2:
        reasons.append(
            f"chi^2 per pixel is {chi2:.2f}, below {LEAST_CHI2}: the noise is taken "
            f"{chi2**-0.5:.1f} times too large; give standard deviations, no variances"
        )
    return reasons


def _uncertain(theta_E: float, error: float, spread: float) -> list[str]:
    reasons = []
    if spread > MOST_SPREAD:
        reasons.append(f"fits as good differ in theta_E by {spread:.0%}, above {MOST_SPREAD:.0%}")
    if not error < MOST_ERROR * theta_E:
        reasons.append(f"theta_E has an error of {error / theta_E:.0%}, above {MOST_ERROR:.0%}")
    return reasons


def _elsewhere(
    theta_E: float, without_shear: float, power_law: PowerLaw, arcs: Arcs, frame: Frame
) -> list[str]:
    """Return reasons from other looks at the image that disagree with theta_E."""
    reasons = []
    by_shear = abs(theta_E - without_shear) / theta_E
    if not by_shear < MOST_BY_SHEAR:
        reasons.append(
            f"without shear theta_E differs by {by_shear:.0%}, above {MOST_BY_SHEAR:.0%}"
        )
    by_slope = abs(theta_E - power_law.theta_E) / theta_E
    if not by_slope < MOST_BY_SLOPE:
        reasons.append(
            f"with another slope and structure of the source theta_E differs by {by_slope:.0%}, "
            f"above {MOST_BY_SLOPE:.0%}"
        )
    if arcs.rival is not None:
        reasons.append(
            f'another ring, of {arcs.rival:.2f}", lies outside of what was fitted: give '
            "theta_E_guess"
        )
    reach = len(frame.image) / 2 * frame.pixel_scale
    if not theta_E < MOST_OF_FRAME * reach:
        reasons.append(
            f"the ring is near the border of what was fitted ({theta_E / reach:.0%} of the way): "
            "give a larger image, or theta_E_guess"
        )
    return reasons


def _unexplained(frame: Frame, found: JointFit) -> list[str]:
    """Return a reason if much light is neither the lens galaxy's nor the source's."""
    used = np.isfinite(frame.sigma)
    sigma = np.where(used, frame.light_sigma, 1.0)
    arcs = np.where(used, frame.image - found.lens_light, 0.0) / sigma
    left = np.where(used, arcs - found.source_image / sigma, 0.0)
    seen, missed = (ndimage.gaussian_filter(each, 1.0) > BRIGHT for each in (arcs, left))
    missed &= left > MISSED * arcs
    share = float(left[missed].sum()) / max(float(arcs[seen].sum()), 1.0)
    if share < MOST_UNEXPLAINED:
        return []
    return [
        f"{share:.0%} of the light beside the lens galaxy is no image of the source, above "
        f"{MOST_UNEXPLAINED:.0%}: mask companions and cosmic rays, or give theta_E_guess"
    ]


def _wrong_light(frame: Frame) -> list[str]:
    factor = float(frame.noise_factor.max() / frame.noise_factor.min())
    if factor < MOST_WRONG_LIGHT:
        return []
    return [
        f"the model of the lens light misses {factor:.0f} times the noise near the centre, above "
        f"{MOST_WRONG_LIGHT:.0f}: a disc, dust or a companion"
    ]


def _off_centre(values: dict[str, float]) -> list[str]:
    offset = math.hypot(values["center_x"], values["center_y"])
    if offset < MOST_OFF_CENTRE * values["theta_E"]:
        return []
    share = f"above {MOST_OFF_CENTRE:.0%} of theta_E"
    return [f'the centre of mass is {offset:.2f}" from that of the light, {share}']


def _at_bounds(values: dict[str, float]) -> list[str]:
    reasons = []
    for name in SMOOTH_PARAMETERS[:LENS_PARAMETERS]:
        if _is_at_bound(name, values[name]):
            low, high = BOUNDS[name]
            reasons.append(
                f"{name} is {values[name]:.2g}, at a bound of the fit ({low:g} to {high:g})"
            )
    return reasons


def _is_at_bound(name: str, value: float) -> bool:
    low, high = BOUNDS[name]
    return min(value - low, high - value) < AT_BOUND * (high - low)
