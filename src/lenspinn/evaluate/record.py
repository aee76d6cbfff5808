"""Scores of a run on a test set, as the record that every result on disk holds."""

from typing import Any

from lenspinn.train import Run
from lenspinn.train.callbacks import Row

__all__ = ["learning_record"]


def learning_record(
    run: Run, weights: Row, metrics: dict[str, Any], *, protocol: str, recipe: str
) -> dict[str, Any]:
    """Describe a run and its scores.

    Parameters
    ----------
    run
        Finished run.
    weights
        Row of the run's history whose weights were measured.
    metrics
        Scores of `lenspinn.evaluate.classification_metrics`.
    protocol
        Sentence on how the network was trained and measured.
    recipe
        Name of the recipe of the test images.
    """
    return {
        "model": run.config.model.name,
        "input": run.model.transform,
        "protocol": protocol,
        "recipe": recipe,
        "trained_on": run.data_info.recipe,
        "seed": run.config.seed,
        "n_train": len(run.split["train"]),
        "images_seen": int(weights["images_seen"]),
        "parameters": sum(p.numel() for p in run.model.parameters()),
        "seconds": round(run.history[-1]["seconds"], 1),
        **metrics,
    }
