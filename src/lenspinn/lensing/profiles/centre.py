"""The centre of a profile, where its formulas are singular."""

import torch
from torch import Tensor

CENTRE_RADIUS = 1e-9
"""Radius of the centre of a singular profile, arcsec: nearer than this the deflection is 0, and the
potential and convergence are those at this radius. It is far below the spacing of float32
positions, and its fourth power is still a normal float32 number, which keeps gradients finite."""


def off_centre(x: Tensor, y: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return a mask of the centre, and positions moved off it so that no gradient is infinite."""
    at_centre = x.square() + y.square() < CENTRE_RADIUS**2
    return (
        at_centre,
        torch.where(at_centre, CENTRE_RADIUS, x),
        torch.where(at_centre, 0.0, y),
    )


def zero_where(at_centre: Tensor, *components: Tensor) -> tuple[Tensor, Tensor]:
    """Return two components of a vector, set to 0 at the centre."""
    alpha_x, alpha_y = (torch.where(at_centre, 0.0, component) for component in components)
    return alpha_x, alpha_y
