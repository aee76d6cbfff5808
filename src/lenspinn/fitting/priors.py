"""Priors of the parameters of a smooth model: knowledge of a lens before its image is seen."""

from collections.abc import Mapping
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from lenspinn.fitting.smooth import (
    SHAPE_PARAMETERS,
    SMOOTH_PARAMETERS,
    SmoothParameters,
    parameter_names,
)

__all__ = ["SHAPE_PRIORS", "Priors", "known_parameters", "with_shape_priors"]

SHAPE_PRIORS = {
    "gamma": (2.0, 0.16),
    "a3": (0.0, 0.01),
    "b3": (0.0, 0.01),
    "a4": (0.0, 0.01),
    "b4": (0.0, 0.01),
}
"""Means and standard deviations of the shape parameters of lens galaxies, where these are free:
slopes as measured by Auger et al. (2010), arXiv:1007.2880, and multipoles of 1 % of theta_E. An arc
may not constrain them at all."""
_SOLVED_FOR = "log_amplitude"


class Priors(NamedTuple):
    """Normal distributions of smooth parameters, one set for all images or one an image.

    A prior counts in a fit as one more pixel would, whose value is the parameter.
    """

    mean: Float[Tensor, "#batch parameters"]
    inverse_width: Float[Tensor, "#batch parameters"]
    """Inverse of the standard deviation; 0 for a parameter without a prior, such as the source's
    brightness."""

    def of(self, parameters: SmoothParameters) -> "Priors":
        """Return the priors repeated for each image, on the device of the parameters."""
        return Priors(*(each.to(parameters.device).expand(parameters.shape) for each in self))

    def misfit(self, parameters: SmoothParameters) -> Float[Tensor, "batch parameters"]:
        """Return mean minus parameter, in standard deviations of the prior."""
        return ((self.mean - parameters) * self.inverse_width).to(parameters.dtype)

    def penalty(self, parameters: SmoothParameters) -> Float[Tensor, " batch"]:
        """Return the sum of squared misfits, which a fit minimises together with chi^2."""
        return self.misfit(parameters).square().sum(dim=1)


def known_parameters(
    known: Mapping[str, tuple[float | Tensor, float | Tensor]], count: int
) -> Priors:
    """Priors from means and standard deviations by name, together with `SHAPE_PRIORS`.

    Parameters
    ----------
    known
        Mean and standard deviation of a parameter by its name, each a number, or one an image,
        (batch,). `SHAPE_PRIORS` holds for parameters of the shape that are not named.
    count
        Number of parameters: 14, or 19 with the shape of the lens.

    Raises
    ------
    ValueError
        If a name is not that of a parameter, or is that of the brightness of the source, which is
        solved for.
    """
    names = parameter_names(count)
    unknown = sorted(set(known) - (set(names) - {_SOLVED_FOR}))
    if unknown:
        raise ValueError(f"no prior can be given of {unknown[0]}: choose from {', '.join(names)}")
    known = {name: SHAPE_PRIORS[name] for name in names if name in SHAPE_PRIORS} | dict(known)
    means, widths = zip(*(known.get(name, (0.0, torch.inf)) for name in names), strict=True)
    return Priors(_columns(means), 1 / _columns(widths))


def with_shape_priors(priors: Priors) -> Priors:
    """Priors of 19 parameters: the given ones of the first 14, then `SHAPE_PRIORS`."""
    shape = known_parameters({}, len(SMOOTH_PARAMETERS) + len(SHAPE_PARAMETERS))
    more = (each[:, len(SMOOTH_PARAMETERS) :].to(priors.mean) for each in shape)
    both = zip(priors, more, strict=True)
    return Priors(*(torch.cat([own, new.expand(len(own), -1)], dim=1) for own, new in both))


def _columns(values: tuple[float | Tensor, ...]) -> Float[Tensor, "_ parameters"]:
    columns = [torch.as_tensor(value, dtype=torch.float64).reshape(-1) for value in values]
    return torch.stack(torch.broadcast_tensors(*columns), dim=1)
