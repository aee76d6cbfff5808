"""Lens, shear and light of a measurement in the parameters of COOLEST's profiles."""

import math
from typing import TYPE_CHECKING

from lenspinn.measure.light_sum import LightSum, light_sum

if TYPE_CHECKING:
    from lenspinn.measure.lens_measurement import LensMeasurement

__all__ = [
    "Parts",
    "external_shear",
    "from_y_axis",
    "light_profiles",
    "positive_light",
    "power_law",
    "source_profile",
]

Parts = dict[str, tuple[float, float | None]]
"""Value and one-sigma error of each parameter of a profile; no error where it is fixed."""

GAUSSIAN = 0.5
"""Sersic index of a Gaussian."""
B_GAUSSIAN = 1.9992 * GAUSSIAN - 0.3271
"""Number b_n of a Gaussian as COOLEST defines it: an approximation, which has no effect here."""


def from_y_axis(angle: float) -> float:
    """Return the direction of an axis, given in degrees from x, in degrees from y, from -90 to 90.

    Both angles are counter-clockwise.
    """
    turned = (angle - 90) % 180
    return turned - 180 if turned > 90 else turned


def power_law(measured: "LensMeasurement") -> Parts:
    """Return the lens as a ``PEMD`` whose slope is fixed at that of an isothermal ellipsoid.

    ``SIE`` is the same profile, which coolest names but cannot draw.
    """
    lens, errors = measured.plain.lens, measured.plain.lens_errors
    return {
        "gamma": (2.0, None),
        "theta_E": (lens["theta_E_arcsec"], measured.theta_E_error),
        "q": (lens["axis_ratio"], errors["axis_ratio"]),
        "phi": (from_y_axis(lens["position_angle_deg"]), errors["position_angle_deg"]),
        "center_x": (lens["center_x_arcsec"], errors["center_x_arcsec"]),
        "center_y": (lens["center_y_arcsec"], errors["center_y_arcsec"]),
    }


def external_shear(measured: "LensMeasurement") -> Parts:
    """Return the shear as an ``ExternalShear``, whose origin is the middle of the frame."""
    lens, errors = measured.plain.lens, measured.plain.lens_errors
    return {
        "gamma_ext": (lens["shear"], errors["shear"]),
        "phi_ext": (from_y_axis(lens["shear_angle_deg"]), errors["shear_angle_deg"]),
    }


def source_profile(measured: "LensMeasurement") -> Parts:
    """Return the source as a ``Sersic``."""
    source, errors = measured.plain.source, measured.plain.source_errors
    brightness = math.exp(measured.parameters["log_amplitude"])
    return {
        "I_eff": (brightness, brightness * measured.errors["log_amplitude"]),
        "theta_eff": (source["R_sersic_arcsec"], errors["R_sersic_arcsec"]),
        "n": (source["n_sersic"], errors["n_sersic"]),
        "q": (source["axis_ratio"], errors["axis_ratio"]),
        "phi": (from_y_axis(source["position_angle_deg"]), errors["position_angle_deg"]),
        "center_x": (source["x_arcsec"], errors["x_arcsec"]),
        "center_y": (source["y_arcsec"], errors["y_arcsec"]),
    }


def positive_light(measured: "LensMeasurement") -> LightSum | None:
    """Return the modelled lens light as a sum of Gaussians of positive flux; None if not modelled.

    COOLEST has no negative profiles, which a fit may need for light that falls off steeply.
    """
    if measured.light_shape is None:
        return None
    return light_sum(
        measured.lens_light,
        measured.light_shape,
        pixel_scale=measured.pixel_scale,
        psf=measured.psf,
        positive=True,
    )


def light_profiles(galaxy: LightSum) -> list[Parts]:
    """Return lens light as a ``Sersic`` for each of its Gaussians, all of positive flux."""
    profiles: list[Parts] = []
    for group in galaxy.groups:
        ellipticity = math.hypot(group.e1, group.e2)
        angle = math.degrees(0.5 * math.atan2(group.e2, group.e1))
        for sigma, flux in zip(group.sigma.tolist(), group.flux.tolist(), strict=True):
            if flux == 0:
                continue
            peak = flux / (2 * math.pi * sigma**2)
            profiles.append(
                {
                    "I_eff": (peak * math.exp(-B_GAUSSIAN), None),
                    "theta_eff": (sigma * math.sqrt(2 * B_GAUSSIAN), None),
                    "n": (GAUSSIAN, None),
                    "q": ((1 - ellipticity) / (1 + ellipticity), None),
                    "phi": (from_y_axis(angle), None),
                    "center_x": (galaxy.center_x, None),
                    "center_y": (galaxy.center_y, None),
                }
            )
    return profiles
