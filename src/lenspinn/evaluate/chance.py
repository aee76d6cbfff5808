"""Accuracy of guessing, and whether a network is above it."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from lenspinn.files import read_json

__all__ = ["chance_metrics", "chance_sentence", "verdict_of"]


def chance_metrics(confusion: Sequence[Sequence[int]], accuracy_low: float) -> dict[str, Any]:
    """Accuracy of always naming the most frequent class, and whether a network beats it.

    Parameters
    ----------
    confusion : (classes, classes)
        Images by true class (rows) and named class (columns).
    accuracy_low
        Lower end of the interval of the network's accuracy.

    Returns
    -------
    dict
        ``chance_accuracy``, the share of the largest class, and ``above_chance``, whether the
        interval lies above it.
    """
    images = np.asarray(confusion).sum(axis=1)
    chance = float(images.max() / images.sum())
    return {"chance_accuracy": chance, "above_chance": bool(accuracy_low > chance)}


def chance_sentence(record: Mapping[str, Any]) -> str:
    """Compare the accuracy of a record with guessing, and say what to do where it is not above.

    Parameters
    ----------
    record
        Scores of `lenspinn.evaluate.classification_metrics`.
    """
    guessing = (
        f"naming the most frequent class every time would reach {record['chance_accuracy']:.3f}"
    )
    accuracy = (
        f"{record['accuracy']:.3f} ({record['accuracy_low']:.3f} to {record['accuracy_high']:.3f})"
    )
    if record["above_chance"]:
        return f"the accuracy {accuracy} is above chance: {guessing}"
    return (
        f"the accuracy {accuracy} is not above chance ({guessing}): this network has not learned "
        f"what the {record['n_test']:,} images would show; train on more images, for longer or on "
        "an easier recipe, and believe none of its answers until then"
    )


def verdict_of(report: Path) -> str:
    """Return the accuracy of an evaluation with its interval, beside that of guessing.

    Parameters
    ----------
    report
        Report that `lenspinn.evaluate.evaluate_run` wrote.
    """
    (record,) = read_json(report.with_name("evaluation.json"))["records"]
    return (
        f"accuracy {record['accuracy']:.3f} ({record['accuracy_low']:.3f} to "
        f"{record['accuracy_high']:.3f}) on {record['n_test']:,} images; guessing would reach "
        f"{record['chance_accuracy']:.3f}"
    )
