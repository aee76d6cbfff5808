"""Estimates of quantities such as the axion mass, only for the class that is answered."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from lenspinn.evaluate.judgement import Judgement
from lenspinn.evaluate.predict import Outputs
from lenspinn.models.quantities import Quantity

__all__ = ["Estimate", "answered_classes", "estimates_of"]


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """Estimate of a quantity of one image, as a Gaussian."""

    quantity: Quantity
    mean: float
    """Mean in the unit of the quantity, or of its logarithm to base 10 (`Quantity.is_log`)."""
    sigma: float

    def __str__(self) -> str:
        name, unit = self.quantity.name, self.quantity.unit
        if self.quantity.is_log:
            return f"log10 {name} {self.mean:.2f} +- {self.sigma:.2f}"
        return f"{name} {self.mean:.4f} +- {self.sigma:.4f} {unit}".rstrip()

    def to_json(self) -> dict[str, Any]:
        """Return the estimate as JSON can hold it."""
        return {
            "quantity": self.quantity.column,
            "unit": self.quantity.unit,
            "mean": self.mean,
            "sigma": self.sigma,
        }


def estimates_of(
    quantities: Sequence[Quantity], outputs: Outputs, answered: Sequence[Sequence[str]]
) -> list[tuple[Estimate, ...]]:
    """Return the estimates of a network for its quantities, image by image.

    Parameters
    ----------
    quantities
        Quantities that the network predicts.
    outputs
        Outputs of the network for the images.
    answered
        Classes that are answered for each image. A quantity of one class is given if this class is
        the only one, a quantity of all classes if any class is answered.
    """
    return [
        tuple(
            Estimate(
                quantity=quantity,
                mean=float(outputs.quantity_means[row, place]),
                sigma=float(outputs.quantity_sigmas[row, place]),
            )
            for place, quantity in enumerate(quantities)
            if classes and (quantity.of_class is None or list(classes) == [quantity.of_class])
        )
        for row, classes in enumerate(answered)
    ]


def answered_classes(judgement: Judgement, classes: Sequence[str]) -> list[tuple[str, ...]]:
    """Return the classes that are answered for each image: none where it is refused."""
    names = np.array(classes)
    return [
        () if refused else tuple(names[possible].tolist())
        for possible, refused in zip(judgement.possible, judgement.refused, strict=True)
    ]
