"""The answer for a whole dataset: a table of all its images, and pictures of the first."""

import csv
import io
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float

from lenspinn.apply.answer import Answer, Mismatch, mismatch_lines, trust


@dataclass(frozen=True, kw_only=True, eq=False)
class TableAnswer:
    """What a model says about every image of a dataset."""

    name: str
    path: Path
    """Of the dataset."""
    classes: tuple[str, ...]
    probabilities: Float[np.ndarray, "images classes"]
    theta_E: Float[np.ndarray, " images"] | None
    """Einstein radii, arcsec; None if the model has no lens."""
    labels: tuple[str, ...]
    """The true class of each image."""
    accuracy: tuple[float, float, float] | None
    """Share of right classes, and its 95 % interval; None if the dataset has other classes."""
    mismatches: tuple[Mismatch, ...]
    """Between the dataset and the training data."""
    table: Path
    """CSV file with one row an image."""
    answers: tuple[Answer, ...]
    """Those of the images that have a picture."""

    @property
    def predictions(self) -> list[str]:
        """The most probable class of each image."""
        return [self.classes[index] for index in self.probabilities.argmax(axis=1)]

    @property
    def trusted(self) -> bool:
        """Whether no serious mismatch was found."""
        return not any(mismatch.serious for mismatch in self.mismatches)

    @property
    def verdict(self) -> str:
        """The answer in one line, with a plain warning if it is not to be trusted."""
        predictions = self.predictions
        counts = ", ".join(f"{predictions.count(name)} {name}" for name in self.classes)
        text = f"{len(predictions)} images: {counts}"
        if self.accuracy is not None:
            value, low, high = self.accuracy
            text += f"; accuracy {value:.3f} ({low:.3f} to {high:.3f})"
        return text + trust(self.mismatches)

    def __str__(self) -> str:
        lines = [f"{self.name}: {self.verdict}", *mismatch_lines(self.mismatches)]
        return "\n".join([*lines, f"  table: {self.table}"])

    def to_json(self) -> dict[str, Any]:
        """Return the summary as what JSON can hold."""
        keys = ("accuracy", "accuracy_low", "accuracy_high")
        predictions = self.predictions
        return {
            "schema": 1,
            "dataset": str(self.path),
            "name": self.name,
            "verdict": self.verdict,
            "num_images": len(predictions),
            "predictions": {name: predictions.count(name) for name in self.classes},
            **dict(zip(keys, self.accuracy or (None, None, None), strict=True)),
            "trusted": self.trusted,
            "mismatches": [asdict(mismatch) for mismatch in self.mismatches],
            "table": self.table.name,
            "pictures": [answer.picture.name for answer in self.answers if answer.picture],
        }

    def to_csv(self) -> str:
        """Return the table: image number, true and most probable class, probabilities, theta_E."""
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        radius = [] if self.theta_E is None else ["theta_E_arcsec"]
        writer.writerow(
            ["image", "label", "prediction", *(f"p_{name}" for name in self.classes), *radius]
        )
        for row, (label, prediction) in enumerate(zip(self.labels, self.predictions, strict=True)):
            numbers = [f"{p:.6f}" for p in self.probabilities[row]]
            if self.theta_E is not None:
                numbers.append(f"{self.theta_E[row]:.5f}")
            writer.writerow([row, label, prediction, *numbers])
        return text.getvalue()
