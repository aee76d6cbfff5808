"""The measurement of one lens."""

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from jaxtyping import Float

from lenspinn.fitting.critical import caustics, critical_curves
from lenspinn.fitting.smooth import SMOOTH_PARAMETERS
from lenspinn.measure.arcs import LensLightMode
from lenspinn.measure.lenstronomy_arguments import lenstronomy_arguments
from lenspinn.measure.light_sum import LightSum, light_sum
from lenspinn.measure.plain_parameters import PlainParameters, plain_parameters
from lenspinn.measure.power_law import PowerLaw

if TYPE_CHECKING:
    from pathlib import Path

    from matplotlib.figure import Figure

    from lenspinn.data.fits import TelescopeImage

__all__ = ["LensMeasurement"]

Pixels = Float[np.ndarray, "y x"]

SCHEMA = 2
"""Version of `LensMeasurement.to_json`. In version 1, parameters were those of the fit, some of
them logarithms."""
ANGLES = ("theta_E", "center_x", "center_y", "source_x", "source_y")
"""Names of the `SMOOTH_PARAMETERS` that are in arcsec."""


@dataclass(frozen=True, kw_only=True, eq=False)
class LensMeasurement:
    """Parameters, errors and maps of one fitted lens, and reasons not to trust it.

    Maps share one square frame, centred on the light's peak, or on the mass where no light shows.
    """

    theta_E: float
    """Einstein radius of an isothermal ellipsoid, arcsec: its critical curve without shear encloses
    the area ``pi theta_E^2``."""
    theta_E_error: float
    """Error of theta_E, one sigma, arcsec: the quadratic sum of the statistical error in `errors`,
    the spread among starts that fit as well, the differences from `without_shear` and from
    `power_law`, and `systematic_error`."""
    systematic_error: float
    """Systematic error of theta_E, one sigma, arcsec, due to errors of the models of source and
    lens light, as measured on real lenses."""
    parameters: dict[str, float]
    """Parameters of the smooth lens and its source, by their names in
    `lenspinn.fitting.SMOOTH_PARAMETERS`; positions are from the centre of the frame."""
    errors: dict[str, float]
    """Statistical error of each parameter, one sigma, times the square root of the fit's own chi^2
    per pixel where that is above 1. The noise of the fit is raised by the errors of the models, so
    this is not `chi2_per_pixel`."""
    covariance: Float[np.ndarray, "parameters parameters"]
    """Covariance of `parameters`, in their order; its diagonal holds the squares of `errors`."""
    at_bounds: tuple[str, ...]
    """Names of `parameters` that ended at a bound of the fit, and so were not measured."""
    chi2_per_pixel: float
    """Mean square of `residual` over the pixels that count."""
    gain: float
    """Fall of the fit's chi^2 by the lensed source, over its chi^2 per pixel where that is above 1
    (see `errors`)."""
    spread: float
    """Largest relative difference of theta_E among starts that fit as well."""
    without_shear: float
    """Einstein radius of a fit without shear that starts from the best fit, arcsec."""
    power_law: PowerLaw
    """Fit of a lens of any slope and a source with structure that starts from the best fit."""
    ring_radius: float
    """Radius of the ring without a lens model, arcsec; see `lenspinn.measure.ring_radius`."""
    pixel_scale: float
    middle: tuple[float, float]
    """Position (x, y) of the frame's middle pixel from the centre of the whole image, arcsec."""
    psf: Float[np.ndarray, "v u"] | None
    """PSF in pixels of the image, of sum 1; None if the image was taken as unblurred."""
    image: Pixels
    sigma: Pixels
    """Noise with the error of the lens light model, in the unit of `image`; ``inf`` leaves a pixel
    out."""
    light_mode: LensLightMode
    """Treatment of the lens light: modelled, masked, or none."""
    lens_light: Pixels
    """Model of the lens light with the sky; the sky alone where lens light is masked."""
    light_shape: Float[np.ndarray, " 6"] | None
    """Shape of the modelled lens light, as in `lenspinn.fitting.gaussians.LightShape`."""
    source_image: Pixels
    """Image of the lensed source, blurred by the PSF."""
    supersampling: int
    """Number of samples of the lensed source along a side of a pixel."""
    reasons: tuple[str, ...]
    """Reasons why the measurement is not to be trusted; empty if it is."""

    @property
    def trusted(self) -> bool:
        """Whether the measurement is to be trusted: there are no `reasons` against it."""
        return not self.reasons

    @property
    def residual(self) -> Pixels:
        """Image minus model in units of the noise, 0 where a pixel was left out."""
        return (self.image - self.lens_light - self.source_image) / self.sigma

    @property
    def smooth_parameters(self) -> Float[torch.Tensor, "1 14"]:
        """Values of `parameters` as a tensor for `lenspinn.fitting`, float32."""
        return torch.tensor([[self.parameters[name] for name in SMOOTH_PARAMETERS]])

    def critical_curves(self) -> list[Float[np.ndarray, "_ 2"]]:
        """Return the lines of infinite magnification; see `lenspinn.fitting.critical`."""
        return critical_curves(self.smooth_parameters, len(self.image), self.pixel_scale)

    def caustics(self) -> list[Float[np.ndarray, "_ 2"]]:
        """Return the caustics, images of the critical curves in the source plane."""
        return caustics(self.smooth_parameters, self.critical_curves())

    @property
    def verdict(self) -> str:
        """Result in one line, with a plain warning if it is not to be trusted."""
        trust = "" if self.trusted else f"; NOT TO BE TRUSTED: {'; '.join(self.reasons)}"
        return (
            f'theta_E {self.theta_E:.3f}" ± {self.theta_E_error:.3f}", chi^2 per pixel '
            f'{self.chi2_per_pixel:.2f}, ring radius {self.ring_radius:.3f}"{trust}'
        )

    def __str__(self) -> str:
        return self.verdict

    def in_unit(self, unit: float) -> "LensMeasurement":
        """Return the measurement in another unit of brightness: values are multiplied by `unit`."""
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
        """Return the measurement with all angles made larger by a factor."""
        if factor == 1:
            return self
        factors = np.array([factor if name in ANGLES else 1.0 for name in SMOOTH_PARAMETERS])
        parameters, errors = (
            {name: numbers[name] * by for name, by in zip(SMOOTH_PARAMETERS, factors, strict=True)}
            for numbers in (self.parameters, self.errors)
        )
        parameters["log_R_sersic"] += math.log(factor)
        parameters["log_amplitude"] -= 2 * math.log(factor)  # flux per solid angle
        shape = self.light_shape
        if shape is not None:
            shape = np.concatenate([shape[:2] * factor, shape[2:]])
        lengths = (
            "theta_E",
            "theta_E_error",
            "systematic_error",
            "without_shear",
            "ring_radius",
            "pixel_scale",
        )
        longer = {name: getattr(self, name) * factor for name in lengths}
        return replace(
            self,
            parameters=parameters,
            errors=errors,
            covariance=self.covariance * np.outer(factors, factors),
            middle=(self.middle[0] * factor, self.middle[1] * factor),
            light_shape=shape,
            power_law=self.power_law._replace(theta_E=self.power_law.theta_E * factor),
            **longer,
        )

    @property
    def galaxy(self) -> LightSum | None:
        """Modelled lens light as a sum of Gaussians; None if it was not modelled."""
        if self.light_shape is None:
            return None
        return light_sum(
            self.lens_light, self.light_shape, pixel_scale=self.pixel_scale, psf=self.psf
        )

    @property
    def plain(self) -> PlainParameters:
        """Values and errors of `parameters` in plain units, with derived numbers."""
        return plain_parameters(
            self.parameters,
            self.covariance,
            num_pix=len(self.image),
            pixel_scale=self.pixel_scale,
        )

    def middle_pixel(self, shape: tuple[int, ...]) -> tuple[int, int]:
        """Return column and row of the middle of the frame in the whole image, from 0.

        Parameters
        ----------
        shape
            Shape of the whole image, rows and columns.
        """
        x, y = self.middle
        rows, columns = shape
        return (
            round(x / self.pixel_scale + (columns - 1) / 2),
            round(y / self.pixel_scale + (rows - 1) / 2),
        )

    def doubted(self, reason: str) -> "LensMeasurement":
        """Return the measurement with another reason against it."""
        return replace(self, reasons=(*self.reasons, reason))

    def with_systematic_error(self, share: float) -> "LensMeasurement":
        """Return the measurement with a further relative systematic error of theta_E."""
        more = share * self.theta_E
        return replace(
            self,
            systematic_error=math.hypot(self.systematic_error, more),
            theta_E_error=math.hypot(self.theta_E_error, more),
        )

    # Pictures are imported when they are asked for: a measurement needs no matplotlib.

    def plot(self, name: str | None = None) -> "Figure":
        """Draw data, model, residual and source; ``savefig`` of the figure writes it.

        Parameters
        ----------
        name
            Name of the lens, for the heading.
        """
        from lenspinn.measure.lens_picture import measurement_figure

        return measurement_figure(self, name)

    def _repr_html_(self) -> str:
        from lenspinn.measure.measurement_html import measurement_html

        return measurement_html(self)

    def to_lenstronomy(self) -> dict[str, Any]:
        """Return the model for lenstronomy; see `lenspinn.measure.lenstronomy_arguments`.

        lenstronomy's image of the model, convolved with `psf`, is the sum of `source_image` and
        `lens_light` without the sky.
        """
        return lenstronomy_arguments(
            self.parameters,
            self.galaxy,
            num_pix=len(self.image),
            pixel_scale=self.pixel_scale,
            supersampling=self.supersampling,
        )

    def to_coolest(
        self,
        file: "Path | str",
        *,
        image: "TelescopeImage | None" = None,
        z_lens: float | None = None,
        z_source: float | None = None,
    ) -> "Path":
        """Write the model as a COOLEST template; see `lenspinn.measure.write_coolest`."""
        from lenspinn.measure.coolest_file import write_coolest

        return write_coolest(self, file, image=image, z_lens=z_lens, z_source=z_source)

    def to_json(self, zero_point: float | None = None) -> dict[str, Any]:
        """Return the numbers as a dictionary for JSON.

        Parameters
        ----------
        zero_point
            AB magnitude of a flux of 1 in the unit of the image, if it is known.
        """
        plain, galaxy = self.plain, self.galaxy
        content = (plain if zero_point is None else plain.with_magnitude(zero_point)).to_json()
        if galaxy is not None:
            content["parameters"]["lens_light"] = galaxy.to_json(zero_point)
        return {
            "schema": SCHEMA,
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
            "lens_light_mode": self.light_mode,
            **content,
            "at_bounds": [name.removeprefix("log_") for name in self.at_bounds],
            "frame": {
                "side_pixels": len(self.image),
                "middle_from_image_centre_arcsec": self.middle,
            },
            "lenstronomy": self.to_lenstronomy(),
        }
