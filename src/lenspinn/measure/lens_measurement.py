"""What is measured of one lens."""

import math
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from jaxtyping import Float

from lenspinn.fitting.critical import caustics, critical_curves
from lenspinn.fitting.smooth import SMOOTH_PARAMETERS
from lenspinn.measure.arcs import LensLightMode
from lenspinn.measure.power_law import PowerLaw

__all__ = ["LensMeasurement"]

Pixels = Float[np.ndarray, "y x"]

ANGLES = ("theta_E", "center_x", "center_y", "source_x", "source_y")
"""Of `SMOOTH_PARAMETERS`, those in arcsec."""


@dataclass(frozen=True, kw_only=True, eq=False)
class LensMeasurement:
    """What a fit says of one lens.

    Maps share one square frame, centred on the light's peak, or on the mass where no light shows.
    """

    theta_E: float
    """Arcsec, of an isothermal ellipsoid: its critical curve without shear has the area
    ``pi theta_E^2``."""
    theta_E_error: float
    """One sigma, arcsec, in quadrature: the statistical one of `errors`, the spread among starts
    that fit as well, the differences to `without_shear` and to `power_law`, and
    `systematic_error`."""
    systematic_error: float
    """One sigma, arcsec: what models of source and lens light are wrong by, as measured on real
    lenses."""
    parameters: dict[str, float]
    """Of the smooth lens and its source, as in `lenspinn.fitting.SMOOTH_PARAMETERS`; the centre is
    that of the frame."""
    errors: dict[str, float]
    """Of each, one sigma, statistical, times the square root of chi^2 per pixel where that is above
    1."""
    chi2_per_pixel: float
    gain: float
    """By which the lensed source lowers chi^2, over chi^2 per pixel (or over 1)."""
    spread: float
    """Of theta_E among starts that fit as well, relative, the largest difference."""
    without_shear: float
    """Arcsec: theta_E of a fit without shear, from the best one."""
    power_law: PowerLaw
    """A lens of any slope, and a source with structure, fitted from the best one."""
    ring_radius: float
    """Arcsec, with no lens model: `lenspinn.measure.ring_radius`."""
    pixel_scale: float
    image: Pixels
    sigma: Pixels
    """``inf`` where a pixel was left out."""
    light_mode: LensLightMode
    """What was done about the light of the lens."""
    lens_light: Pixels
    """With the sky; where it is masked, the sky alone."""
    source_image: Pixels
    """The lensed source, blurred."""
    reasons: tuple[str, ...]
    """Why the measurement is not to be trusted; empty if it is."""

    @property
    def trusted(self) -> bool:
        """Whether nothing speaks against it."""
        return not self.reasons

    @property
    def residual(self) -> Pixels:
        """Image minus model in units of the noise, 0 where a pixel was left out."""
        return (self.image - self.lens_light - self.source_image) / self.sigma

    @property
    def smooth_parameters(self) -> Float[torch.Tensor, "1 14"]:
        """`parameters` as `lenspinn.lensing` takes them, float32."""
        return torch.tensor([[self.parameters[name] for name in SMOOTH_PARAMETERS]])

    def critical_curves(self) -> list[Float[np.ndarray, "_ 2"]]:
        """Return the lines of infinite magnification; see `lenspinn.fitting.critical`."""
        return critical_curves(self.smooth_parameters, len(self.image), self.pixel_scale)

    def caustics(self) -> list[Float[np.ndarray, "_ 2"]]:
        """Return where those lines lie in the source plane."""
        return caustics(self.smooth_parameters, self.critical_curves())

    @property
    def verdict(self) -> str:
        """The result in one line, with a plain warning if it is not to be trusted."""
        trust = "" if self.trusted else f"; NOT TO BE TRUSTED: {'; '.join(self.reasons)}"
        return (
            f'theta_E {self.theta_E:.3f}" ± {self.theta_E_error:.3f}", chi^2 per pixel '
            f'{self.chi2_per_pixel:.2f}, ring radius {self.ring_radius:.3f}"{trust}'
        )

    def __str__(self) -> str:
        return self.verdict

    def in_unit(self, unit: float) -> "LensMeasurement":
        """Return the measurement with a brightness of 1 in so many of another unit."""
        brightness = self.parameters["log_amplitude"] + math.log(unit)
        return replace(
            self,
            parameters=self.parameters | {"log_amplitude": brightness},
            image=self.image * unit,
            sigma=self.sigma * unit,
            lens_light=self.lens_light * unit,
            source_image=self.source_image * unit,
        )

    def enlarged(self, factor: float) -> "LensMeasurement":
        """Return the measurement in angles that are larger by a factor."""
        if factor == 1:
            return self
        parameters = dict(self.parameters)
        parameters["log_R_sersic"] += math.log(factor)
        parameters["log_amplitude"] -= 2 * math.log(factor)  # flux per solid angle
        errors = dict(self.errors)
        for name in ANGLES:
            parameters[name] *= factor
            errors[name] *= factor
        lengths = (
            "theta_E",
            "theta_E_error",
            "systematic_error",
            "without_shear",
            "ring_radius",
            "pixel_scale",
        )
        longer = {name: getattr(self, name) * factor for name in lengths}
        power_law = self.power_law._replace(theta_E=self.power_law.theta_E * factor)
        return replace(self, parameters=parameters, errors=errors, power_law=power_law, **longer)

    def to_json(self) -> dict[str, Any]:
        """Return the numbers as what JSON can hold."""
        return {
            "schema": 1,
            "theta_E_arcsec": self.theta_E,
            "theta_E_error_arcsec": self.theta_E_error,
            "theta_E_statistical_error_arcsec": self.errors["theta_E"],
            "theta_E_systematic_error_arcsec": self.systematic_error,
            "trusted": self.trusted,
            "reasons": list(self.reasons),
            "chi2_per_pixel": self.chi2_per_pixel,
            "gain": self.gain,
            "spread": self.spread,
            "theta_E_without_shear_arcsec": self.without_shear,
            "power_law": {
                "theta_E_arcsec": self.power_law.theta_E,
                "slope": self.power_law.slope,
                "slope_error": self.power_law.slope_error,
            },
            "ring_radius_arcsec": self.ring_radius,
            "pixel_scale_arcsec": self.pixel_scale,
            "lens_light": self.light_mode,
            "parameters": self.parameters,
            "errors": self.errors,
        }
