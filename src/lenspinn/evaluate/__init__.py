"""Trained networks measured: probabilities, scores with intervals, figures and reports."""

from typing import TYPE_CHECKING

from lenspinn.lazy import lazy_package

if TYPE_CHECKING:
    from lenspinn.evaluate.compare import Comparison, PairedScores, compare_runs
    from lenspinn.evaluate.export import export_run
    from lenspinn.evaluate.figures import (
        confusion_figure,
        learning_figure,
        reliability_figure,
        roc_figure,
    )
    from lenspinn.evaluate.metrics import classification_metrics
    from lenspinn.evaluate.predict import predict
    from lenspinn.evaluate.report import evaluate_run

__all__ = [
    "Comparison",
    "PairedScores",
    "classification_metrics",
    "compare_runs",
    "confusion_figure",
    "evaluate_run",
    "export_run",
    "learning_figure",
    "predict",
    "reliability_figure",
    "roc_figure",
]

lazy_package(__name__)
