"""Calibration that turns a network's outputs into answers: fitted once, kept in the run folder.

`Calibration` holds a temperature, the thresholds of the prediction sets, the distribution of the
calibration images, and the ranges of their fitted lenses; `Calibration.judge` applies them. The
calibration images are the validation images of the run, or a dataset of their own. Temperature and
ranges of the fitted lens come from all of these; the reference is fitted to one half, and new
images are ranked among the other.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import safetensors.numpy
from jaxtyping import Bool, Float, Int

from lenspinn.errors import DataError
from lenspinn.evaluate.conformal import check_coverage, prediction_sets, set_thresholds
from lenspinn.evaluate.distance import Cloud, FeatureSpace
from lenspinn.evaluate.fitted import Ranges, fit_ranges, is_outside, lens_numbers
from lenspinn.evaluate.predict import Outputs
from lenspinn.evaluate.shift import FEATURES, LENS, PIXELS, ShiftReference, fit_reference
from lenspinn.evaluate.temperature import fit_temperature, scaled_probabilities
from lenspinn.files import read_json, write_whole
from lenspinn.plain_yaml import shown
from lenspinn.regular_file import require_regular_file

__all__ = [
    "FALSE_ALARMS",
    "FEWEST_IMAGES",
    "Calibration",
    "Judgement",
    "calibrate",
    "join_judgements",
    "load_calibration",
    "save_calibration",
]

FOLDER = "calibration"
"""Name of the folder of the calibration in the run folder."""
ARRAYS_FILE, FACTS_FILE = "calibration.safetensors", "calibration.json"
SCHEMA_VERSION = 4
MOST_BYTES = 1 << 28
"""Largest size of the arrays that are read, bytes; 100,000 calibration images take 10 MB."""

FALSE_ALARMS = 0.05
"""Largest share of refused images among images like the calibration images."""

FEWEST_IMAGES = 240
"""Fewest calibration images, in two halves. With 120 to rank among, an image that is an outlier in
one of five scores can still reach a p-value of 0.05."""

# Keeps the halves apart from other random numbers of the same seed: the word after it.
_HALVES = 3


@dataclass(frozen=True, kw_only=True, eq=False)
class Judgement:
    """Probabilities, prediction sets and p-values of each image, calibrated."""

    probabilities: Float[np.ndarray, "images classes"]
    """Calibrated probabilities of the classes."""
    possible: Bool[np.ndarray, "images classes"]
    """Prediction set: whether the class cannot be ruled out."""
    shift: Float[np.ndarray, " images"]
    """p-value of being like the calibration images, all scores together."""
    by_score: dict[str, Float[np.ndarray, " images"]]
    """p-value of each score alone."""
    coverage: float
    """Share of prediction sets that shall hold the true class."""
    lens: dict[str, Float[np.ndarray, " images"]] = field(default_factory=dict)
    """Numbers of the fitted lens (`lenspinn.evaluate.fitted`); empty for a network that fits
    none."""
    ranges: Ranges = field(default_factory=dict)
    """Lowest and highest value of each number in `lens` among the calibration images."""

    @property
    def outside(self) -> dict[str, Bool[np.ndarray, " images"]]:
        """Whether each number of the fitted lens is outside the range of the calibration images."""
        return {name: is_outside(self.lens[name], *ends) for name, ends in self.ranges.items()}

    @property
    def refused(self) -> Bool[np.ndarray, " images"]:
        """Whether the image is so unlike the calibration images that no answer is given."""
        refused: np.ndarray = self.shift <= FALSE_ALARMS
        return np.logical_or.reduce([refused, *self.outside.values()])

    def outside_in_words(self, row: int) -> tuple[str, ...]:
        """Name the numbers outside their range for one image, with value and range."""
        return tuple(
            f"{name} {self.lens[name][row]:.3g} ({low:.3g} to {high:.3g} in calibration)"
            for name, (low, high) in self.ranges.items()
            if self.outside[name][row]
        )


def join_judgements(parts: Sequence[Judgement]) -> Judgement:
    """Put the judgements of batches together, at least one of them, all of one calibration."""
    return Judgement(
        probabilities=np.concatenate([part.probabilities for part in parts]),
        possible=np.concatenate([part.possible for part in parts]),
        shift=np.concatenate([part.shift for part in parts]),
        by_score={
            name: np.concatenate([part.by_score[name] for part in parts])
            for name in parts[0].by_score
        },
        coverage=parts[0].coverage,
        lens={name: np.concatenate([part.lens[name] for part in parts]) for name in parts[0].lens},
        ranges=parts[0].ranges,
    )


@dataclass(frozen=True, kw_only=True, eq=False)
class Calibration:
    """Calibration learnt from the calibration images of a run."""

    classes: tuple[str, ...]
    temperature: float
    chance_of_truth: Float[np.ndarray, " ranked"]
    """Calibrated probability of the true class, for each image that new ones are ranked among."""
    ranked_labels: Int[np.ndarray, " ranked"]
    """True class of each of these images."""
    coverage: float
    """Share of prediction sets that shall hold the true class."""
    reference: ShiftReference
    ranges: Ranges
    """Ranges of the fitted lenses of all calibration images; empty if no lens is fitted."""
    num_fitted: int
    """Number of images to which the reference was fitted."""
    chose_weights: bool
    """Whether the calibration images also chose the epoch of the weights, as validation images
    do."""

    @property
    def num_images(self) -> int:
        """Number of calibration images."""
        return self.num_fitted + len(self.chance_of_truth)

    def thresholds(self, coverage: float) -> Float[np.ndarray, " classes"]:
        """Return the smallest probability of each class with which it is in a prediction set."""
        return set_thresholds(self.chance_of_truth, self.ranked_labels, len(self.classes), coverage)

    def judge(self, outputs: Outputs, coverage: float | None = None) -> Judgement:
        """Judge images by the outputs of the run's network.

        Parameters
        ----------
        outputs
        coverage
            Coverage of the prediction sets; by default that of the calibration.

        Raises
        ------
        DataError
            The calibration is that of another network.
        """
        self._check_is_of(outputs)
        coverage = self.coverage if coverage is None else coverage
        probabilities = scaled_probabilities(outputs.logits, self.temperature)
        shift, by_score = self.reference.p_values(outputs)
        return Judgement(
            probabilities=probabilities,
            possible=prediction_sets(probabilities, self.thresholds(coverage)),
            shift=shift,
            by_score=by_score,
            coverage=coverage,
            lens=lens_numbers(outputs.fitted),
            ranges=self.ranges,
        )

    def _check_is_of(self, outputs: Outputs) -> None:
        reference, numbers = self.reference, lens_numbers(outputs.fitted)
        lens = reference.lens
        scores = {FEATURES, PIXELS, *outputs.scores, *([LENS] if lens else [])}
        fits = (
            outputs.logits.shape[1] == len(self.classes)
            and outputs.features.shape[1] == len(reference.space.mean)
            and outputs.pixels.shape[1] == reference.pixels.centres.shape[1]
            and (lens is None or len(numbers) == lens.centres.shape[1])
            and reference.ranked.keys() <= scores
            and self.ranges.keys() <= numbers.keys()
        )
        if not fits:
            raise DataError(
                "the calibration is not that of this network: `lenspinn evaluate` writes it anew"
            )


def calibrate(
    outputs: Outputs,
    labels: Int[np.ndarray, " images"],
    classes: tuple[str, ...],
    *,
    coverage: float,
    seed: int,
    chose_weights: bool = True,
) -> Calibration:
    """Learn from images that the network was not trained on.

    Parameters
    ----------
    outputs
        Outputs for the calibration images.
    labels : (images,)
        True class of each calibration image.
    classes
        Class names in the order of the logits.
    coverage
        Share of prediction sets that shall hold the true class.
    seed
        Seed that deals the images to the two halves.
    chose_weights
        Whether they are the validation images; `Calibration.chose_weights`.

    Notes
    -----
    The promise of the prediction sets is exact where nothing that they depend on was fitted to the
    images ranked among. The temperature is fitted to them too, for half of the images fix it too
    loosely; one number fitted to n images can change the coverage by about 1/n.

    Raises
    ------
    DataError
        There are fewer than `FEWEST_IMAGES`, or the coverage is not between 0 and 1.
    """
    if len(labels) < FEWEST_IMAGES:
        raise DataError(
            f"{len(labels)} images are too few to calibrate with: "
            f"at least {FEWEST_IMAGES} are needed"
        )
    check_coverage(coverage)
    order = np.random.default_rng([seed, _HALVES]).permutation(len(labels))
    fitted, ranked = np.sort(order[::2]), np.sort(order[1::2])
    temperature = fit_temperature(outputs.logits, labels)
    probabilities = scaled_probabilities(outputs.logits[ranked], temperature)
    return Calibration(
        classes=classes,
        temperature=temperature,
        chance_of_truth=probabilities[np.arange(len(ranked)), labels[ranked]],
        ranked_labels=labels[ranked],
        coverage=coverage,
        reference=fit_reference(outputs.take(fitted), labels[fitted], outputs.take(ranked)),
        ranges=fit_ranges(outputs.fitted),
        num_fitted=len(fitted),
        chose_weights=chose_weights,
    )


def save_calibration(calibration: Calibration, run: Path) -> Path:
    """Write a calibration into a run folder; nothing in the files can execute.

    Returns
    -------
    Path
        The folder ``calibration``, with ``calibration.safetensors`` (arrays) and
        ``calibration.json`` (numbers that a person may want to read).
    """
    reference = calibration.reference
    arrays = {
        "chance_of_truth": calibration.chance_of_truth,
        "ranked_labels": calibration.ranked_labels,
        **{f"space.{name}": value for name, value in vars(reference.space).items()},
        **{f"features.{name}": value for name, value in vars(reference.features).items()},
        **{f"pixels.{name}": value for name, value in vars(reference.pixels).items()},
        **({f"lens.{k}": v for k, v in vars(reference.lens).items()} if reference.lens else {}),
        **{f"ranked.{name}": values for name, values in reference.ranked.items()},
    }
    facts = {
        "schema": SCHEMA_VERSION,
        "lenspinn_version": version("lenspinn"),
        "classes": list(calibration.classes),
        "temperature": calibration.temperature,
        "coverage": calibration.coverage,
        "thresholds": calibration.thresholds(calibration.coverage).tolist(),
        "false_alarms": FALSE_ALARMS,
        "ranges": {name: list(ends) for name, ends in calibration.ranges.items()},
        "num_fitted": calibration.num_fitted,
        "num_ranked": len(calibration.chance_of_truth),
        "chose_weights": calibration.chose_weights,
    }
    folder = run / FOLDER
    folder.mkdir(exist_ok=True)
    contiguous = {name: np.ascontiguousarray(values) for name, values in arrays.items()}
    write_whole(folder / ARRAYS_FILE, safetensors.numpy.save(contiguous))
    # Last: a folder that has it is whole.
    write_whole(folder / FACTS_FILE, (json.dumps(facts, indent=2) + "\n").encode())
    return folder


def load_calibration(run: Path) -> Calibration | None:
    """Read what `save_calibration` wrote; None if the run has no calibration.

    Raises
    ------
    DataError
        The calibration is damaged, or was written by another generation of lenspinn.
    """
    folder = run / FOLDER
    if not (folder / FACTS_FILE).is_file():
        return None
    anew = f"`lenspinn evaluate {run}` writes it anew"
    facts = read_json(folder / FACTS_FILE)
    schema = facts.get("schema")
    if isinstance(schema, int) and schema != SCHEMA_VERSION:
        raise DataError(
            f"{folder} has schema {shown(schema)}, this lenspinn reads schema {SCHEMA_VERSION}: "
            f"{anew}"
        )
    require_regular_file(folder / ARRAYS_FILE, "arrays", most_bytes=MOST_BYTES, remedy=anew)
    try:
        calibration = _calibration(facts, safetensors.numpy.load_file(folder / ARRAYS_FILE))
        _check_agrees(calibration)
    # Whatever is wrong in the files of a stranger.
    except Exception as error:
        raise DataError(f"{folder} is damaged: {anew}") from error
    return calibration


def _calibration(facts: dict[str, Any], arrays: dict[str, np.ndarray]) -> Calibration:
    def part(prefix: str) -> dict[str, np.ndarray]:
        return {
            name.removeprefix(prefix): values
            for name, values in arrays.items()
            if name.startswith(prefix)
        }

    if "schema" not in facts:
        raise ValueError("it has no schema")
    _check_finite(facts, arrays)
    return Calibration(
        classes=tuple(facts["classes"]),
        temperature=facts["temperature"],
        chance_of_truth=arrays["chance_of_truth"],
        ranked_labels=arrays["ranked_labels"],
        coverage=facts["coverage"],
        reference=ShiftReference(
            space=FeatureSpace(**part("space.")),
            features=Cloud(**part("features.")),
            pixels=Cloud(**part("pixels.")),
            lens=Cloud(**part("lens.")) if part("lens.") else None,
            ranked=part("ranked."),
        ),
        ranges={name: (float(low), float(high)) for name, (low, high) in facts["ranges"].items()},
        num_fitted=facts["num_fitted"],
        chose_weights=facts["chose_weights"],
    )


def _check_finite(facts: dict[str, Any], arrays: dict[str, np.ndarray]) -> None:
    """Refuse numbers that would judge every image alike, such as NaN."""
    ends = [end for ends in facts["ranges"].values() for end in ends]
    numbers = np.array([facts["temperature"], *ends], dtype=np.float64)
    known = [values for name, values in arrays.items() if not name.startswith("ranked.")]
    finite = all(np.isfinite(values).all() for values in (numbers, *known))
    if not (finite and facts["temperature"] > 0 and 0 < facts["coverage"] < 1):
        raise ValueError("a number of the calibration is impossible")


def _check_agrees(calibration: Calibration) -> None:
    """Refuse parts of a calibration that are not of one kind, or do not belong together."""
    reference, number = calibration.reference, len(calibration.chance_of_truth)
    space, labels = reference.space, calibration.ranked_labels
    clouds = [reference.features, reference.pixels, *([reference.lens] if reference.lens else [])]
    coordinates = len(space.components) + 1  # the last is what the components leave
    agree = (
        all(isinstance(name, str) for name in calibration.classes)
        and type(calibration.num_fitted) is int
        and type(calibration.chose_weights) is bool
        and number > 0
        and labels.dtype.kind == "i"
        and calibration.chance_of_truth.ndim == 1
        and labels.shape == (number,)
        and 0 <= labels.min() <= labels.max() < len(calibration.classes)
        and {FEATURES, PIXELS} <= reference.ranked.keys()
        and all(scores.shape == (number,) for scores in reference.ranked.values())
        and space.mean.ndim == 1
        and space.mean.shape == space.scale.shape == space.components.shape[1:]
        and bool((space.scale > 0).all())
        and reference.features.centres.shape[1:] == (coordinates,)
        and all(len(cloud.centres) and _is_square(cloud) for cloud in clouds)
    )
    if not agree:
        raise ValueError("parts of the calibration do not belong together")


def _is_square(cloud: Cloud) -> bool:
    return cloud.precision.shape == (cloud.centres.shape[1],) * 2
