"""Run that judges images, and the checks it must pass before it may give an answer."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float

from lenspinn.apply.answer import Mismatch
from lenspinn.data.transforms import resample
from lenspinn.errors import DataError, ImageError
from lenspinn.evaluate.image_set import how_to_calibrate
from lenspinn.evaluate.judgement import Calibration, Judgement, load_calibration
from lenspinn.files import read_json
from lenspinn.models import Classifier
from lenspinn.train import Run, load_run

__all__ = ["Judge", "missing_grounds"]

EVALUATIONS = ("evaluation/evaluation.json", "evaluation.json")
"""Path of the evaluation in the folder of a run, and in a released copy of one."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Judge:
    """Run, its calibration if it has one, and the checks that it fails."""

    run: Run
    calibration: Calibration | None
    lacking: tuple[Mismatch, ...]
    """Mismatches of the run itself; see `missing_grounds`."""

    @classmethod
    def of(cls, folder: Path | str) -> "Judge":
        """Read a run; see `load_run`, `load_calibration` and `missing_grounds` for errors."""
        run = load_run(folder)
        calibration = load_calibration(run.folder)
        return cls(run=run, calibration=calibration, lacking=missing_grounds(run, calibration))

    @property
    def model(self) -> Classifier:
        """Network of the run."""
        return self.run.model

    def on_its_grid(
        self, images: Float[np.ndarray, "batch 1 y x"], pixel_scale: float, name: str
    ) -> Float[np.ndarray, "batch 1 v u"]:
        """Resample images to the pixel scale of the network and cut their centre to its size.

        Raises
        ------
        ImageError
            The images cover less than the field of the network; the sentence begins with `name`.
        """
        model = self.model
        if pixel_scale == model.pixel_scale and images.shape[-1] == model.num_pix:
            return images
        try:
            pixels = torch.from_numpy(images)
            return resample(pixels, pixel_scale, model.pixel_scale, model.num_pix).numpy()
        except ImageError as error:
            raise ImageError(f"{name} cannot be used with this model: {error}") from error

    def outside(self, judgement: Judgement | None, row: int) -> tuple[Mismatch, ...]:
        """Name the parameters of one fitted lens that are outside the calibration images."""
        found = () if judgement is None else judgement.outside_in_words(row)
        return (Mismatch("fitted lens", "; ".join(found), serious=True),) if found else ()


def missing_grounds(run: Run, calibration: Calibration | None) -> tuple[Mismatch, ...]:
    """Return what a run lacks: calibration, evaluation above chance, or a manifest of its files.

    Parameters
    ----------
    run
    calibration
        Calibration of the run, if there is one.

    Returns
    -------
    tuple of Mismatch
        Mismatches, all serious and of different kinds; empty if the run lacks nothing.

    Raises
    ------
    DataError
        The evaluation of the run cannot be read.
    """
    again = f"`lenspinn evaluate {run.folder}`"
    found = []
    if not run.verified:
        message = f"no manifest lists all files of {run.folder}: {again} writes it"
        found.append(Mismatch("verification", message, serious=True))
    if calibration is None:
        message = f"its probabilities mean nothing yet, and {how_to_calibrate(run)}"
        found.append(Mismatch("calibration", message, serious=True))
    record = _record(run)
    if record is None:
        message = f"what its answers are worth was never measured on its own images: {again}"
        found.append(Mismatch("evaluation", message, serious=True))
    elif not record["accuracy_low"] > _chance(record):
        interval = f"{record['accuracy_low']:.3f} to {record['accuracy_high']:.3f}"
        message = (
            f"accuracy {record['accuracy']:.3f} ({interval}) on {record['n_test']:,} images, where "
            f"guessing reaches {_chance(record):.3f}: train it longer or on more images"
        )
        found.append(Mismatch("chance", message, serious=True))
    return tuple(found)


def _record(run: Run) -> dict[str, Any] | None:
    """Read the first evaluation on images like those of training; None if there is none."""
    for name in EVALUATIONS:
        path = run.folder / name
        record = _read(path) if path.is_file() else None
        if record is not None and record["recipe"] == run.data_info.recipe:
            return record
    return None


def _read(path: Path) -> dict[str, Any]:
    try:
        record: dict[str, Any] = read_json(path)["records"][0]
        for name in ("accuracy", "accuracy_low", "accuracy_high"):
            record[name] = float(record[name])
        record["n_test"] = int(record["n_test"])
        _ = record["recipe"], _chance(record)
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
        raise DataError(f"{path} is damaged: `lenspinn evaluate` writes it anew") from error
    return record


def _chance(record: dict[str, Any]) -> float:
    """Return the accuracy of always giving the class that most test images have."""
    if "chance_accuracy" in record:
        return float(record["chance_accuracy"])
    of_classes = [sum(row) for row in record["confusion"]]
    return max(of_classes) / sum(of_classes)
