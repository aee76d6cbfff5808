"""Derivatives of the smooth model by all of its parameters, written out by hand.

One pass over the samples gives the image and all derivatives, without automatic differentiation and
without a compiler, which makes it faster still.
"""

from collections.abc import Iterator

import torch
from jaxtyping import Float
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
Vector = tuple[Tensor, Tensor]

_ISOTHERMAL = 2.0


def smooth_derivatives(
    parameters: SmoothParameters, optics: Optics
) -> Float[Tensor, "batch maps y x"]:
    """Return `smooth_image`, and its derivative by each parameter.

    Returns
    -------
    (batch, 1 + parameters, y, x)
        Image first, then derivatives in the order of `parameter_names`.

    Notes
    -----
    Where the lens changes, brightness changes by ``-grad I . d alpha``.
    """
    p = by_name(parameters)
    theta_x, theta_y = optics.theta_x, optics.theta_y
    alpha, by_lens = _lens(p, theta_x, theta_y)
    source = sersic_derivatives(
        theta_x - alpha[0] - p["source_x"],
        theta_y - alpha[1] - p["source_y"],
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
    for name, (by_x, by_y) in by_lens.items():
        maps[name] = -(source.by_x * by_x + source.by_y * by_y)
    ordered = [maps[name] for name in parameter_names(parameters.shape[1])]
    return exposed(torch.stack([source.brightness, *ordered], dim=1), optics)


def _lens(p: Named, theta_x: Tensor, theta_y: Tensor) -> tuple[Vector, dict[str, Vector]]:
    """Return the deflection, and its derivative by each parameter of the lens."""
    x, y = theta_x - p["center_x"], theta_y - p["center_y"]
    theta_E = p["theta_E"]
    shaped = "gamma" in p
    gamma = p.get("gamma", _ISOTHERMAL)
    lens = epl_derivatives(x, y, theta_E, gamma, p["e1"], p["e2"], by_gamma=shaped)
    (alpha_x, alpha_y), kappa, (shear_x, shear_y) = lens.alpha, lens.kappa, lens.shear
    per_theta_E = [(gamma - 1) / theta_E * part for part in lens.alpha]
    by = {"e1": lens.by_e1, "e2": lens.by_e2}
    by |= {"gamma1": (theta_x, -theta_y), "gamma2": (theta_y, theta_x)}
    if lens.by_gamma is not None:
        by["gamma"] = lens.by_gamma
        for name, (part_x, part_y), convergence, (cos_2, sin_2) in _multipoles(x, y):
            strength = theta_E * p[name]
            by[name] = (theta_E * part_x, theta_E * part_y)
            per_theta_E[0], per_theta_E[1] = (
                before + p[name] * part
                for before, part in zip(per_theta_E, (part_x, part_y), strict=True)
            )
            alpha_x, alpha_y = alpha_x + strength * part_x, alpha_y + strength * part_y
            more = strength * convergence
            kappa, shear_x, shear_y = kappa + more, shear_x - more * cos_2, shear_y - more * sin_2
    by["theta_E"] = (per_theta_E[0], per_theta_E[1])
    by["center_x"], by["center_y"] = (-(kappa + shear_x), -shear_y), (-shear_y, shear_x - kappa)
    external_x = p["gamma1"] * theta_x + p["gamma2"] * theta_y
    external_y = p["gamma2"] * theta_x - p["gamma1"] * theta_y
    return (alpha_x + external_x, alpha_y + external_y), by


def _multipoles(x: Tensor, y: Tensor) -> Iterator[tuple[str, Vector, Tensor, Vector]]:
    """Give each part of multipoles of strength 1 arcsec: name, deflection, convergence, direction.

    The direction is given as ``cos 2 phi`` and ``sin 2 phi``. The shear is minus the direction
    times the convergence, because the deflection is the same at all distances from the centre.
    """
    squared = x.square() + y.square()
    inverse = torch.rsqrt(squared.clamp(min=CENTRE_RADIUS**2))
    inverse = torch.where(squared < CENTRE_RADIUS**2, 0.0, inverse)
    cos, sin = x * inverse, y * inverse
    double = cos.square() - sin.square(), 2 * cos * sin
    cos_m, sin_m = double
    for m in (3, 4):
        cos_m, sin_m = cos_m * cos - sin_m * sin, sin_m * cos + cos_m * sin
        for letter, radial, tangential in (("a", cos_m, -m * sin_m), ("b", sin_m, m * cos_m)):
            part = cos * radial - sin * tangential, sin * radial + cos * tangential
            bent = part[0] / (1 - m**2), part[1] / (1 - m**2)
            yield f"{letter}{m}", bent, radial * inverse / 2, double
