"""Answers for a dataset: all of its images are judged, and the first ones get pictures."""

from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from tqdm import tqdm

from lenspinn.apply.answer import Answer, Mismatch, Shown, Uncertainty
from lenspinn.apply.estimates import Estimate, answered_classes, estimates_of
from lenspinn.apply.grounds import Judge
from lenspinn.apply.inputs import ImageTable
from lenspinn.apply.mismatch import Observed, find_mismatches, measure
from lenspinn.apply.table import TableAnswer
from lenspinn.errors import ModelError
from lenspinn.evaluate import classification_metrics
from lenspinn.evaluate.judgement import Judgement, join_judgements
from lenspinn.evaluate.predict import BATCH_SIZE, outputs_of
from lenspinn.evaluate.temperature import scaled_probabilities
from lenspinn.explain.view import View, view_solution
from lenspinn.models import Classifier, NetworkInput, Solution
from lenspinn.models.classifier import FEWEST_COMPILED

__all__ = ["answer_table"]

TABLE_PICTURES = 6
"""Number of images, the first of a dataset, that get a picture and a JSON file of their own."""
MEASURED = 256
"""Number of images, the first of a dataset, whose noise and brightness are measured."""

Seen = Float[np.ndarray, "batch 1 v u"]
"""Images on the pixel grid of the model."""


def answer_table(table: ImageTable, judge: Judge, out: Path, *, progress: bool) -> TableAnswer:
    """Classify all images of a dataset; its first ones get a picture each.

    Parameters
    ----------
    table
    judge
    out
        Folder that will hold the table and the pictures; this function writes nothing.
    progress
        Whether to show a progress bar.

    Raises
    ------
    ImageError, ModelError
        The images cannot be used with the network.
    """
    store, model = table.store, judge.model
    first = store.images(slice(0, MEASURED))
    seen = judge.on_its_grid(first, store.info.pixel_scale, str(table.path))
    mismatches = judge.lacking + _mismatches(table, seen, judge)
    labels = tuple(store.info.classes[label] for label in store.labels)
    try:
        scan = _scan(table, judge, progress)
    except ModelError as error:
        raise ModelError(f"{table.path}: {error}") from error
    if any(mismatch.serious for mismatch in mismatches):
        scan = replace(scan, estimates=((),) * len(labels))
    answers = tuple(
        Answer(
            name=f"{table.name}_{row:05d}",
            path=table.path,
            probabilities=dict(zip(model.classes, map(float, chances), strict=True)),
            theta_E=view.theta_E,
            pixel_scale=store.info.pixel_scale,
            mismatches=mismatches + judge.outside(scan.judgement, row),
            label=labels[row],
            picture=out / f"{table.name}_{row:05d}.png",
            uncertainty=Uncertainty.of(scan.judgement, row, model.classes),
            estimates=scan.estimates[row],
            shown=Shown(view=replace(view, probabilities=chances), delivered=first[row, 0]),
        )
        for row, (view, chances) in enumerate(zip(scan.views, scan.probabilities, strict=False))
    )
    return TableAnswer(
        name=table.name,
        path=table.path,
        classes=model.classes,
        probabilities=scan.probabilities,
        theta_E=scan.theta_E,
        labels=labels,
        accuracy=_accuracy(scan.probabilities, labels, model.classes),
        mismatches=mismatches,
        table=out / f"{table.name}.csv",
        answers=answers,
        judgement=scan.judgement,
        quantities=model.quantities,
        estimates=scan.estimates,
    )


def _mismatches(table: ImageTable, seen: Seen, judge: Judge) -> tuple[Mismatch, ...]:
    info = table.store.info
    observed = Observed(
        pixel_scale=info.pixel_scale,
        instrument=info.instrument,
        dataset=info,
        unit=info.unit,
        lens_light=info.lens_light,
        measured=measure(torch.from_numpy(seen), judge.model.pixel_scale),
    )
    return find_mismatches(observed, judge.run.data_info)


@dataclass(frozen=True, kw_only=True, eq=False)
class _Scan:
    """Results of a network for all images of a dataset."""

    probabilities: Float[np.ndarray, "images classes"]
    theta_E: Float[np.ndarray, " images"] | None
    judgement: Judgement | None
    estimates: tuple[tuple[Estimate, ...], ...]
    views: tuple[View, ...]
    """Views of the first `TABLE_PICTURES` images."""


def _scan(table: ImageTable, judge: Judge, progress: bool) -> _Scan:
    store, model, calibration = table.store, judge.model, judge.calibration
    probabilities, radii, judgements = [], [], []
    estimates: list[tuple[Estimate, ...]] = []
    views: list[View] = []
    pictured = min(TABLE_PICTURES, len(store))
    bounds = [0, *range(pictured, len(store), BATCH_SIZE), len(store)]
    for start, end in tqdm(
        [*pairwise(bounds)], desc=table.name, unit="batch", disable=not progress
    ):
        images = store.images(slice(start, end))
        seen = judge.on_its_grid(images, store.info.pixel_scale, str(table.path))
        observed = NetworkInput(torch.from_numpy(seen))
        with torch.no_grad():
            solution = model.solve(observed, compiled=len(store) >= FEWEST_COMPILED)
            found = model.examine(solution)
            outputs = outputs_of(found, solution.image)
            theta_E = outputs.theta_E if found.theta_E is not None else _theta_E(model, solution)
        if start == 0:
            views += view_solution(model, solution, found.logits)
        if calibration is None:
            probabilities.append(scaled_probabilities(outputs.logits))
            estimates += [()] * len(images)
        else:
            judgements.append(calibration.judge(outputs))
            probabilities.append(judgements[-1].probabilities)
            answered = answered_classes(judgements[-1], model.classes)
            estimates += estimates_of(model.quantities, outputs, answered)
        if theta_E is not None:
            radii.append(theta_E)
    return _Scan(
        probabilities=np.concatenate(probabilities),
        theta_E=np.concatenate(radii) if radii else None,
        judgement=join_judgements(judgements) if judgements else None,
        estimates=tuple(estimates),
        views=tuple(views),
    )


def _theta_E(model: Classifier, solution: Solution) -> Float[np.ndarray, " images"] | None:
    """Return the Einstein radii that a network uses inside, arcsec; None if it has no lens."""
    physics = model.reconstruct(solution)
    return None if physics is None else physics.theta_E.numpy()


def _accuracy(
    probabilities: Float[np.ndarray, "images classes"],
    labels: tuple[str, ...],
    classes: tuple[str, ...],
) -> tuple[float, float, float] | None:
    """Accuracy and its interval; None if the dataset has classes that the network lacks."""
    if not set(labels) <= set(classes):
        return None
    indices = np.array([classes.index(label) for label in labels])
    metrics = classification_metrics(probabilities, indices, classes)
    return metrics["accuracy"], metrics["accuracy_low"], metrics["accuracy_high"]
