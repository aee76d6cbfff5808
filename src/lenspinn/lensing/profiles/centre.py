"""What happens at the centre of a profile, where its formulas are singular."""

import torch
from torch import Tensor

CENTRE_RADIUS = 1e-9
"""Arcsec. Nearer than this is the centre of a singular profile: there its deflection is 0, and its
potential and convergence are those at this radius. Far below the spacing of float32 positions, and
its fourth power is still a normal float32 number, which keeps gradients finite."""


def off_centre(x: Tensor, y: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Where the centre is, and positions moved off it so that no gradient there is infinite."""
    at_centre = x.square() + y.square() < CENTRE_RADIUS**2
    return (
        at_centre,
        torch.where(at_centre, CENTRE_RADIUS, x),
        torch.where(at_centre, 0.0, y),
    )


def zero_where(at_centre: Tensor, *components: Tensor) -> tuple[Tensor, Tensor]:
    """Two components of a vector, 0 at the centre."""
    alpha_x, alpha_y = (torch.where(at_centre, 0.0, component) for component in components)
    return alpha_x, alpha_y
