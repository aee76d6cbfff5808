"""Numbers that a network predicts of an image beside its class, each as a Gaussian."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from lenspinn.errors import ModelError

__all__ = [
    "QUANTITIES",
    "Prediction",
    "Quantity",
    "QuantityHead",
    "defined_truth",
    "gaussian_loss",
    "select_quantities",
    "targets",
]

PerImage = Float[Tensor, " batch"]
Values = Float[Tensor, "batch quantities"]

HIDDEN = 64
FIRST_ERROR = 150.0
"""Initial error (1 sigma) of a corrected theta_E, in units of the standard error of its fit:
substructure moves theta_E by hundreds of standard errors, and a head that began with 1 would learn
from nothing else."""
SMALLEST_ERROR, LARGEST_ERROR = 1e-5, 1.0
"""Limits of the standard error of a fit, arcsec, to which it is clipped; an error that is NaN, of a
fit that did not converge, counts as the upper limit."""
MOST_SIGMAS = 5.0
"""Largest error of a prediction, in its sigma, in the loss: a larger one counts as this one."""
MOST_LOG = 15.0
"""Bound of the logarithm of a scale, far beyond learnt values: keeps its exponential finite."""


@dataclass(frozen=True, kw_only=True)
class Quantity:
    """Number that a network can predict of an image."""

    name: str
    """Name of the true value in a data set."""
    unit: str
    """Unit of the true value; empty for a ratio."""
    of_class: str | None = None
    """Class whose images have the quantity; None if all images have it."""
    is_log: bool = False
    """Whether the logarithm to base 10 of the quantity is predicted."""
    middle: float | None = None
    """Typical value, as predicted; None if a fit measures the quantity, which is then corrected."""
    width: float
    """Typical scatter around `middle`; for a correction, its typical share of the fitted value."""

    @property
    def column(self) -> str:
        """Name of the column of a table that holds the predicted quantity."""
        return f"log10_{self.name}" if self.is_log else self.name


QUANTITIES = {
    quantity.name: quantity
    for quantity in (
        Quantity(
            name="axion_mass_eV", unit="eV", of_class="axion", is_log=True, middle=-23.0, width=0.6
        ),
        Quantity(
            name="substructure_fraction",
            unit="",
            of_class="cdm",
            is_log=True,
            middle=-2.0,
            width=1.0,
        ),
        Quantity(name="theta_E", unit="arcsec", width=0.1),
    )
}
"""Quantities by name. `substructure_fraction` is the mass of all subhalos over that of the smooth
lens inside its Einstein radius; it is asked for only in images of the class ``cdm``."""


class Prediction(NamedTuple):
    """Gaussian (mean and sigma) for each quantity of each image."""

    mean: Values
    sigma: Values

    @classmethod
    def of_nothing(cls, images: Tensor) -> "Prediction":
        """Return the prediction of a network without quantities, for as many images."""
        nothing = images.new_empty((len(images), 0))
        return cls(nothing, nothing)


def select_quantities(names: Sequence[str], classes: Sequence[str]) -> tuple[Quantity, ...]:
    """Return quantities by name.

    Raises
    ------
    ModelError
        There is no such quantity, or its class is not among `classes`.
    """
    for name in names:
        if name not in QUANTITIES:
            known = ", ".join(QUANTITIES)
            raise ModelError(f"there is no quantity '{name}'; the quantities are {known}")
        of_class = QUANTITIES[name].of_class
        if of_class not in (None, *classes):
            raise ModelError(
                f"quantity '{name}' is one of the class {of_class}, which is not among "
                f"{', '.join(classes)}"
            )
    return tuple(QUANTITIES[name] for name in dict.fromkeys(names))


def defined_truth(
    quantities: Sequence[Quantity],
    truth: Mapping[str, PerImage],
    label: Int[Tensor, " batch"],
    classes: Sequence[str],
) -> dict[str, PerImage]:
    """Return true values by name, NaN where the class of an image does not have the quantity."""
    defined = dict(truth)
    for quantity in quantities:
        if quantity.of_class is not None and quantity.name in truth:
            has_it = label == classes.index(quantity.of_class)
            defined[quantity.name] = torch.where(has_it, truth[quantity.name], torch.nan)
    return defined


def targets(quantities: Sequence[Quantity], truth: Mapping[str, PerImage]) -> Values:
    """Return the values to be predicted; NaN where one is unknown, or the logarithm of 0."""
    columns = []
    for quantity in quantities:
        value = truth[quantity.name]
        columns.append(value.where(value > 0, torch.nan).log10() if quantity.is_log else value)
    return torch.stack(columns, dim=1)


class QuantityHead(nn.Module):
    """Layers that predict quantities from features of a network and the theta_E of its fit.

    Parameters
    ----------
    quantities : at least one.
    num_features : number of features of an image.

    Notes
    -----
    A quantity that no fit measures has mean ``middle + width a`` and sigma ``width exp(b)``, with
    two numbers a and b from the head; theta_E has the mean ``fit (1 + width a)`` and the sigma
    ``FIRST_ERROR error exp(b)``, with `error` the fit's standard error: without substructure the
    fit is right and only b remains to be learnt.
    """

    middle: Tensor
    width: Tensor
    is_correction: Tensor

    def __init__(self, quantities: Sequence[Quantity], num_features: int) -> None:
        super().__init__()
        last = nn.Linear(HIDDEN, 2 * len(quantities))
        nn.init.zeros_(last.weight)
        nn.init.zeros_(last.bias)
        self.network = nn.Sequential(nn.Linear(num_features + 2, HIDDEN), nn.GELU(), last)
        known = [quantity.middle for quantity in quantities]
        facts = {
            "middle": torch.tensor([0.0 if middle is None else middle for middle in known]),
            "width": torch.tensor([quantity.width for quantity in quantities]),
            "is_correction": torch.tensor([middle is None for middle in known]),
        }
        for name, value in facts.items():
            self.register_buffer(name, value, persistent=False)

    def forward(
        self, features: Float[Tensor, "batch features"], theta_E: PerImage, error: PerImage
    ) -> Prediction:
        """Predict from features, and from Einstein radii with standard errors, arcsec."""
        error = error.nan_to_num(LARGEST_ERROR).clamp(SMALLEST_ERROR, LARGEST_ERROR)[:, None]
        theta_E = theta_E[:, None]
        lens = torch.cat([theta_E, (FIRST_ERROR * error).log()], dim=1)
        shift, log_scale = (
            self.network(torch.cat([features, lens], dim=1))
            .unflatten(1, (len(self.width), 2))
            .unbind(dim=2)
        )
        scale = log_scale.clamp(-MOST_LOG, MOST_LOG).exp()
        return Prediction(
            mean=torch.where(
                self.is_correction,
                theta_E * (1 + self.width * shift),
                self.middle + self.width * shift,
            ),
            sigma=torch.where(self.is_correction, FIRST_ERROR * error, self.width) * scale,
        )


def gaussian_loss(prediction: Prediction, target: Values) -> Tensor:
    """Negative log likelihood of targets, less its constant: means over images, summed.

    Unknown targets (NaN) do not count. A target more than `MOST_SIGMAS` sigma from the mean has the
    gradient of a target at this distance: otherwise a single fit that ended in the wrong minimum,
    hundreds of its errors off, would outweigh all other images in the optimiser.

    References
    ----------
    Nix & Weigend (1994), IEEE International Conference on Neural Networks 1, 55.
    """
    mean, sigma = prediction
    known = ~target.isnan()
    furthest = MOST_SIGMAS * sigma.detach()
    error = (target - mean.detach()).nan_to_num().clamp(-furthest, furthest)
    seen = mean.detach() + error
    loss = ((seen - mean) / sigma).square() / 2 + sigma.log()
    per_quantity = torch.where(known, loss, 0.0).sum(dim=0) / known.sum(dim=0).clamp(min=1)
    return per_quantity.sum()
