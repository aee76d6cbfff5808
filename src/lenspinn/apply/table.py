"""Answer for a whole dataset: a table of all its images, and pictures of the first."""

import csv
import io
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float

from lenspinn.apply.answer import (
    NOT_ANSWERED,
    Answer,
    Mismatch,
    in_words,
    mismatch_lines,
    trust,
)
from lenspinn.apply.estimates import Estimate, answered_classes
from lenspinn.evaluate.judgement import FALSE_ALARMS, Judgement
from lenspinn.models.quantities import Quantity


@dataclass(frozen=True, kw_only=True, eq=False)
class TableAnswer:
    """Answers of a model for every image of a dataset."""

    name: str
    path: Path
    """Folder of the dataset."""
    classes: tuple[str, ...]
    probabilities: Float[np.ndarray, "images classes"]
    """Probabilities of the classes, calibrated if there is a `judgement`."""
    theta_E: Float[np.ndarray, " images"] | None
    """Einstein radii, arcsec; None if the model has no lens."""
    labels: tuple[str, ...]
    """True class of each image."""
    accuracy: tuple[float, float, float] | None
    """Accuracy and its 95 % interval; None if the dataset has other classes."""
    mismatches: tuple[Mismatch, ...]
    """Differences between the dataset and the training data."""
    table: Path
    """CSV file with one row an image."""
    answers: tuple[Answer, ...]
    """Answers for the images that have a picture."""
    judgement: Judgement | None = None
    """Prediction sets and refusals; None if the run is not calibrated."""
    quantities: tuple[Quantity, ...] = ()
    """Quantities that the model predicts beside the class."""
    estimates: tuple[tuple[Estimate, ...], ...] = ()
    """Estimates of each image for the class that is answered; empty without `quantities`."""

    def __post_init__(self) -> None:
        if not self.trusted and any(self.estimates):
            raise ValueError("quantities are those of answers, and none is given")

    @property
    def image_answers(self) -> list[str | None]:
        """Answer for each image, as `Answer.answer`."""
        if self.judgement is None or not self.trusted:
            return [None] * len(self.probabilities)
        answered = answered_classes(self.judgement, self.classes)
        return [in_words(possible) if possible else None for possible in answered]

    @property
    def counts(self) -> dict[str, int]:
        """Number of images for which each class is the only answer, and of those without one."""
        found = self.image_answers
        counts = {name: found.count(name) for name in self.classes}
        counts[NOT_ANSWERED] = found.count(None)
        return counts | {"cannot tell": len(found) - sum(counts.values())}

    @property
    def trusted(self) -> bool:
        """Whether the run is calibrated and no mismatch serious. Images are refused one by one."""
        serious = any(mismatch.serious for mismatch in self.mismatches)
        return self.judgement is not None and not serious

    @property
    def verdict(self) -> str:
        """Answer in one line, with a plain warning if it is not to be trusted."""
        counts = ", ".join(f"{number} {name}" for name, number in self.counts.items())
        text = f"{len(self.probabilities)} images: {counts}"
        if self.trusted and self.judgement is not None and self.judgement.refused.any():
            by_chance = FALSE_ALARMS * len(self.probabilities)
            text += f" (about {by_chance:.0f} not answered by chance)"
        if self.accuracy is not None:
            value, low, high = self.accuracy
            text += f"; accuracy {value:.3f} ({low:.3f} to {high:.3f})"
        return text + trust(self.mismatches)

    def __str__(self) -> str:
        lines = [f"{self.name}: {self.verdict}", *mismatch_lines(self.mismatches)]
        return "\n".join([*lines, f"  table: {self.table}"])

    def to_json(self) -> dict[str, Any]:
        """Return the summary as JSON can hold it."""
        keys = ("accuracy", "accuracy_low", "accuracy_high")
        return {
            "schema": 2,
            "dataset": str(self.path),
            "name": self.name,
            "verdict": self.verdict,
            "num_images": len(self.probabilities),
            "calibrated": self.judgement is not None,
            "answers": self.counts,
            **dict(zip(keys, self.accuracy or (None, None, None), strict=True)),
            "trusted": self.trusted,
            "mismatches": [asdict(mismatch) for mismatch in self.mismatches],
            "table": self.table.name,
            "pictures": [answer.picture.name for answer in self.answers if answer.picture],
        }

    def to_csv(self) -> str:
        """Return the table: one row an image; columns that are not known are left out.

        Image number, true class, answer (empty where it is not to be trusted), probabilities,
        theta_E; for a calibrated run also the p-value of being like the calibration images; for a
        network that predicts quantities, each quantity with its sigma, for images that are answered
        with its class.
        """
        columns: dict[str, Sequence[object]] = {
            "image": range(len(self.probabilities)),
            "label": self.labels,
            "answer": [answer or "" for answer in self.image_answers],
        }
        if self.judgement is not None:
            columns["shift_p_value"] = [f"{p:.4f}" for p in self.judgement.shift]
        for name, chances in zip(self.classes, self.probabilities.T, strict=True):
            columns[f"p_{name}"] = [f"{p:.6f}" for p in chances]
        if self.theta_E is not None:
            columns["theta_E_arcsec"] = [f"{radius:.5f}" for radius in self.theta_E]
        for quantity in self.quantities:
            of_images = [
                {one.quantity.name: one for one in estimates}.get(quantity.name)
                for estimates in self.estimates
            ]
            name = f"predicted_{quantity.column}"
            columns[name] = [f"{one.mean:.5f}" if one else "" for one in of_images]
            columns[f"{name}_sigma"] = [f"{one.sigma:.5f}" if one else "" for one in of_images]
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(columns)
        writer.writerows(zip(*columns.values(), strict=True))
        return text.getvalue()
