"""Priors of the parameters of a smooth model: what is known of a lens before its image."""

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
"""Means and standard deviations of the shape of lens galaxies, where it is free: of slopes as found
by Auger et al. (2010), arXiv:1007.2880, and 1 % of multipoles. An arc may say nothing of them."""
_SOLVED_FOR = "log_amplitude"


class Priors(NamedTuple):
    """Normal distributions of smooth parameters, one set for all images or one an image.

    Each counts in a fit as one more pixel would, whose value is the parameter.
    """

    mean: Float[Tensor, "#batch parameters"]
    inverse_width: Float[Tensor, "#batch parameters"]
    """One over the standard deviation; 0 where nothing is known, as of the source's brightness."""

    def misfit(self, parameters: SmoothParameters) -> Float[Tensor, "batch parameters"]:
        """Mean less parameter, in standard deviations."""
        return (self.mean.to(parameters) - parameters) * self.inverse_width.to(parameters)

    def penalty(self, parameters: SmoothParameters) -> Float[Tensor, " batch"]:
        """Sum of squared misfits: what a fit keeps small beside chi^2."""
        return self.misfit(parameters).square().sum(dim=1)


def known_parameters(
    known: Mapping[str, tuple[float | Tensor, float | Tensor]], count: int
) -> Priors:
    """Priors from means and standard deviations by name, beside those of the shape of lenses.

    Parameters
    ----------
    known
        Numbers, or one an image, (batch,); `SHAPE_PRIORS` where it does not say otherwise.
    count
        Of the parameters: 14, or 19 with the shape of the lens.

    Raises
    ------
    ValueError
        If a name is none of them, or that of the brightness of the source, which is solved for.
    """
    names = parameter_names(count)
    unknown = sorted(set(known) - (set(names) - {_SOLVED_FOR}))
    if unknown:
        raise ValueError(f"no prior can be given of {unknown[0]}: choose from {', '.join(names)}")
    known = {name: SHAPE_PRIORS[name] for name in names if name in SHAPE_PRIORS} | dict(known)
    means, widths = zip(*(known.get(name, (0.0, torch.inf)) for name in names), strict=True)
    return Priors(_columns(means), 1 / _columns(widths))


def with_shape_priors(priors: Priors) -> Priors:
    """Priors of 19 parameters: some of 14, and `SHAPE_PRIORS`."""
    shape = known_parameters({}, len(SMOOTH_PARAMETERS) + len(SHAPE_PARAMETERS))
    more = (each[:, len(SMOOTH_PARAMETERS) :].to(priors.mean) for each in shape)
    both = zip(priors, more, strict=True)
    return Priors(*(torch.cat([own, new.expand(len(own), -1)], dim=1) for own, new in both))


def _columns(values: tuple[float | Tensor, ...]) -> Float[Tensor, "_ parameters"]:
    columns = [torch.as_tensor(value, dtype=torch.float64).reshape(-1) for value in values]
    return torch.stack(torch.broadcast_tensors(*columns), dim=1)
