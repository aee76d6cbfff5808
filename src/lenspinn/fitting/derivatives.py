"""Derivatives of the smooth model by all of its parameters, written out by hand.

One pass over the samples gives the image and all derivatives, without automatic differentiation and
without a compiler: positions and deflections are complex numbers ``x + i y``.
"""

import torch
from jaxtyping import Complex, Float
from torch import Tensor

from lenspinn.fitting.smooth import (
    Optics,
    SmoothParameters,
    by_name,
    exposed,
    parameter_names,
)
from lenspinn.lensing.light import sersic_derivatives
from lenspinn.lensing.profiles import CENTRE_RADIUS, epl_derivatives

__all__ = ["smooth_derivatives"]

Named = dict[str, Tensor]
Plane = Complex[Tensor, "batch y x"]

_ISOTHERMAL = 2.0


def smooth_derivatives(
    parameters: SmoothParameters, optics: Optics
) -> Float[Tensor, "batch maps y x"]:
    """Return `smooth_image`, and its derivative by each parameter.

    Returns
    -------
    (batch, 1 + parameters, y, x)
        The image comes first; the others in the order of `parameter_names`.

    Notes
    -----
    Where the lens changes, brightness changes by ``-grad I . d alpha``.
    """
    p = by_name(parameters)
    theta = torch.complex(optics.theta_x, optics.theta_y)
    alpha, by_lens = _lens(p, theta)
    beta = theta - alpha
    source = sersic_derivatives(
        beta.real - p["source_x"],
        beta.imag - p["source_y"],
        amplitude=p["log_amplitude"].exp(),
        R_sersic=p["log_R_sersic"].exp(),
        n_sersic=p["log_n_sersic"].exp(),
        e1=p["source_e1"],
        e2=p["source_e2"],
    )
    maps = {
        "source_x": -source.by_x,
        "source_y": -source.by_y,
        "source_e1": source.by_e1,
        "source_e2": source.by_e2,
        "log_R_sersic": source.by_log_R,
        "log_n_sersic": source.by_log_n,
        "log_amplitude": source.brightness,
    }
    for name, by in by_lens.items():
        maps[name] = -(source.by_x * by.real + source.by_y * by.imag)
    ordered = [maps[name] for name in parameter_names(parameters.shape[1])]
    return exposed(torch.stack([source.brightness, *ordered], dim=1), optics)


def _lens(p: Named, theta: Tensor) -> tuple[Plane, Named]:
    """Return the deflection, and its derivative by each parameter of the lens."""
    place = theta - torch.complex(p["center_x"], p["center_y"])
    shaped = "gamma" in p
    gamma = p["gamma"] if shaped else torch.full_like(p["theta_E"], _ISOTHERMAL)
    lens = epl_derivatives(
        place.real, place.imag, p["theta_E"], gamma, p["e1"], p["e2"], by_gamma=shaped
    )
    by = {"e1": lens.by_e1, "e2": lens.by_e2, "gamma1": theta.conj(), "gamma2": 1j * theta.conj()}
    by["theta_E"] = (gamma - 1) * lens.alpha / p["theta_E"]
    alpha, kappa, shear = lens.alpha, lens.kappa, lens.shear
    if lens.by_gamma is not None:
        by["gamma"] = lens.by_gamma
        for m in (3, 4):
            direction, parts = _multipole(place, m)
            for name, (part, convergence) in zip((f"a{m}", f"b{m}"), parts, strict=True):
                strength = p["theta_E"] * p[name]
                by[name] = p["theta_E"] * part
                by["theta_E"] = by["theta_E"] + p[name] * part
                alpha = alpha + strength * part
                kappa = kappa + strength * convergence
                shear = shear - strength * convergence * direction
    by["center_x"], by["center_y"] = -(kappa + shear), 1j * (shear - kappa)
    external = torch.complex(p["gamma1"], p["gamma2"])
    return alpha + external * theta.conj(), by


def _multipole(place: Tensor, m: int) -> tuple[Plane, list[tuple[Plane, Tensor]]]:
    """Return deflection and convergence of each part of a multipole of strength 1 arcsec.

    Before them comes the direction squared: minus that, times convergence, is its shear, for the
    deflection is the same at all distances.
    """
    radius = place.abs()
    inverse = torch.where(radius < CENTRE_RADIUS, 0.0, 1 / radius.clamp(min=CENTRE_RADIUS))
    unit = place * inverse
    power = unit**m
    bent = unit / (1 - m**2)
    along = (bent * torch.complex(power.real, -m * power.imag), power.real * inverse / 2)
    across = (bent * torch.complex(power.imag, m * power.real), power.imag * inverse / 2)
    return unit.square(), [along, across]
