"""A measured lens and source in plain units, with errors: no logarithms, angles in degrees."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from lenspinn.fitting.smooth import SMOOTH_PARAMETERS, make_optics, smooth_image
from lenspinn.lensing.light import sersic_total_flux

__all__ = ["PlainParameters", "plain_parameters"]

SUPERSAMPLING = 2
"""Samples along a side of a pixel of the lensed source, whose flux gives the magnification."""
LEAST_ELLIPTICITY = 1e-6
"""Least ellipticity, or shear, whose direction is defined."""
ANY_ANGLE = 90.0
"""Error of an unknown direction, degrees."""
MAGNITUDE = 2.5 / math.log(10)
"""Magnitudes in a factor of e."""


@dataclass(frozen=True, kw_only=True)
class PlainParameters:
    """Lens and source of a measurement, each number with its one-sigma statistical error.

    Angles on the sky are in arcsec from the middle pixel of the frame, directions in degrees
    counter-clockwise from the x axis, from -90 to 90, and fluxes in the unit of the image.
    """

    lens: dict[str, float]
    """Values of ``theta_E_arcsec``, ``e1``, ``e2``, ``axis_ratio`` and ``position_angle_deg`` (of
    the major axis), ``center_x_arcsec``, ``center_y_arcsec``, ``gamma1``, ``gamma2``, ``shear`` and
    ``shear_angle_deg``."""
    lens_errors: dict[str, float]
    """Statistical errors (one sigma) of `lens`, by the same names."""
    source: dict[str, float]
    """Values of ``x_arcsec``, ``y_arcsec``, ``e1``, ``e2``, ``axis_ratio``, ``position_angle_deg``,
    ``R_sersic_arcsec``, ``n_sersic``, ``flux`` (unlensed, of the whole profile) and
    ``magnification`` (lensed flux in the frame over ``flux``)."""
    source_errors: dict[str, float]
    """Statistical errors (one sigma) of `source`, by the same names."""

    def with_magnitude(self, zero_point: float) -> "PlainParameters":
        """Return the parameters with the AB magnitude of the source.

        Parameters
        ----------
        zero_point
            AB magnitude of a flux of 1 in the unit of the image.
        """
        flux, error = self.source["flux"], self.source_errors["flux"]
        return PlainParameters(
            lens=self.lens,
            lens_errors=self.lens_errors,
            source=self.source | {"magnitude": magnitude(flux, zero_point)},
            source_errors=self.source_errors | {"magnitude": MAGNITUDE * error / flux},
        )

    def to_json(self) -> dict[str, dict[str, dict[str, float]]]:
        """Return the numbers, and their errors by the same names."""
        return {
            "parameters": {"lens": self.lens, "source": self.source},
            "errors": {"lens": self.lens_errors, "source": self.source_errors},
        }


def magnitude(flux: float, zero_point: float) -> float:
    """Return the AB magnitude of a flux."""
    return zero_point - 2.5 * math.log10(flux)


def plain_parameters(
    parameters: Mapping[str, float],
    covariance: Float[np.ndarray, "parameters parameters"],
    *,
    num_pix: int,
    pixel_scale: float,
) -> PlainParameters:
    """Convert the parameters of a fit to plain units.

    Parameters
    ----------
    parameters
        Parameters by their names in `lenspinn.fitting.SMOOTH_PARAMETERS`.
    covariance
        Covariance of the parameters, in the order of `SMOOTH_PARAMETERS`.
    num_pix, pixel_scale
        Pixels a side of the frame, and side of a pixel, arcsec.

    Notes
    -----
    Errors are propagated linearly from the covariance, correlations included.
    """
    at = torch.tensor([[parameters[name] for name in SMOOTH_PARAMETERS]], dtype=torch.float64)
    at.requires_grad_()
    values = _plain(at)
    values["source.magnification"] = _lensed_flux(at, num_pix, pixel_scale) / values["source.flux"]
    numbers = {name: float(value.detach()) for name, value in values.items()}
    slopes = {name: _slope(value, at) for name, value in values.items()}
    errors = {
        name: math.sqrt(max(0.0, float(slope @ covariance @ slope)))
        for name, slope in slopes.items()
    }
    for name, ellipticity in _DIRECTIONS.items():
        unknown = math.hypot(*(numbers[part] for part in ellipticity)) < LEAST_ELLIPTICITY
        errors[name] = ANY_ANGLE if unknown else min(errors[name], ANY_ANGLE)
    return PlainParameters(
        lens=_of(numbers, "lens."),
        lens_errors=_of(errors, "lens."),
        source=_of(numbers, "source."),
        source_errors=_of(errors, "source."),
    )


_DIRECTIONS = {
    "lens.position_angle_deg": ("lens.e1", "lens.e2"),
    "lens.shear_angle_deg": ("lens.gamma1", "lens.gamma2"),
    "source.position_angle_deg": ("source.e1", "source.e2"),
}
"""Components of the ellipticity or shear that each direction is derived from."""


def _of(numbers: dict[str, float], prefix: str) -> dict[str, float]:
    named = {name: value for name, value in numbers.items() if name.startswith(prefix)}
    return {name.removeprefix(prefix): value for name, value in named.items()}


def _slope(value: Tensor, parameters: Tensor) -> np.ndarray:
    """Return the derivatives by the parameters; 0 where undefined, as for the angle of a circle."""
    (slope,) = torch.autograd.grad(value, parameters, retain_graph=True)
    slopes: np.ndarray = slope[0].nan_to_num().numpy()
    return slopes


def _lensed_flux(parameters: Tensor, num_pix: int, pixel_scale: float) -> Tensor:
    optics = make_optics(
        num_pix, pixel_scale, (1.0,), supersampling=SUPERSAMPLING, dtype=torch.float64
    )
    return smooth_image(parameters, optics).sum()


def _plain(parameters: Tensor) -> dict[str, Tensor]:
    """Return all numbers but the magnification, by names with ``lens.`` or ``source.`` in front."""
    p = dict(zip(SMOOTH_PARAMETERS, parameters[0].unbind(), strict=True))
    lens = {"theta_E_arcsec": p["theta_E"], "e1": p["e1"], "e2": p["e2"]}
    lens |= _axes(p["e1"], p["e2"])
    lens |= {"center_x_arcsec": p["center_x"], "center_y_arcsec": p["center_y"]}
    shear = torch.hypot(p["gamma1"], p["gamma2"])
    lens |= {"gamma1": p["gamma1"], "gamma2": p["gamma2"], "shear": shear}
    lens |= {"shear_angle_deg": _direction(p["gamma1"], p["gamma2"])}
    source = {"x_arcsec": p["source_x"], "y_arcsec": p["source_y"]}
    source |= {"e1": p["source_e1"], "e2": p["source_e2"]}
    source |= _axes(p["source_e1"], p["source_e2"])
    R_sersic, n_sersic = p["log_R_sersic"].exp(), p["log_n_sersic"].exp()
    source |= {"R_sersic_arcsec": R_sersic, "n_sersic": n_sersic}
    flux = torch.as_tensor(sersic_total_flux(R_sersic, n_sersic, p["log_amplitude"].exp()))
    source["flux"] = flux
    return {f"lens.{name}": value for name, value in lens.items()} | {
        f"source.{name}": value for name, value in source.items()
    }


def _axes(e1: Tensor, e2: Tensor) -> dict[str, Tensor]:
    ellipticity = torch.hypot(e1, e2)
    return {
        "axis_ratio": (1 - ellipticity) / (1 + ellipticity),
        "position_angle_deg": _direction(e1, e2),
    }


def _direction(first: Tensor, second: Tensor) -> Tensor:
    """Return the direction of an axis from two components that turn by twice its angle, degrees."""
    return 0.5 * torch.atan2(second, first).rad2deg()
