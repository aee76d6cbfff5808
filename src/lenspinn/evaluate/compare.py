"""Comparison of two networks on the same images: difference in accuracy and its significance."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Bool, Int
from scipy.stats import binomtest

from lenspinn.errors import DataError
from lenspinn.evaluate.predictions import Predictions, read_predictions
from lenspinn.files import write_whole
from lenspinn.models.trained import find_trained
from lenspinn.path_arguments import takes_paths

__all__ = ["Comparison", "PairedScores", "compare_runs"]

SCHEMA = 1
RESAMPLES = 10_000
INTERVAL = (2.5, 97.5)
"""Percentiles of the bootstrap that bound an interval."""
EVALUATION = "evaluation"


@dataclass(frozen=True, kw_only=True)
class PairedScores:
    """Accuracies of two networks on the same images."""

    images: int
    accuracy_a: float
    accuracy_b: float
    difference: float
    """Accuracy of A minus accuracy of B."""
    difference_low: float
    difference_high: float
    """95 % interval: percentiles of a bootstrap over images, paired."""
    both_right: int
    only_a_right: int
    only_b_right: int
    both_wrong: int
    mcnemar_p: float
    """p-value of McNemar's exact test, two-sided: chance of counts at least as unequal if both
    networks were equally good."""


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """Two runs, compared image by image."""

    run_a: str
    run_b: str
    all: PairedScores
    by_class: dict[str, PairedScores]

    @property
    def verdict(self) -> str:
        """Result in one sentence."""
        s = self.all
        better, worse = (self.run_a, self.run_b) if s.difference > 0 else (self.run_b, self.run_a)
        sure = s.difference_low > 0 or s.difference_high < 0
        result = f"{better} is better than {worse}" if sure else "neither is shown to be better"
        return (
            f"{result}: {self.run_a} has accuracy {s.accuracy_a:.4f}, {self.run_b} "
            f"{s.accuracy_b:.4f}, difference {s.difference:+.4f} ({s.difference_low:+.4f} to "
            f"{s.difference_high:+.4f}, 95 %) on the same {s.images:,} images, of which "
            f"{s.only_a_right} only the first and {s.only_b_right} only the second has right "
            f"(McNemar p = {s.mcnemar_p:.2g}); the scatter between training seeds is not in it"
        )

    def __str__(self) -> str:
        return self.verdict

    def to_json(self) -> dict[str, Any]:
        """Return the numbers as JSON can hold them."""
        return {"schema": SCHEMA, "verdict": self.verdict, **asdict(self)}


@takes_paths
def compare_runs(
    run_a: Path,
    run_b: Path,
    *,
    evaluation: str = EVALUATION,
    out: Path | None = None,
    seed: int = 0,
) -> Comparison:
    """Compare two evaluated runs, paired, on the images that both were evaluated on.

    Parameters
    ----------
    run_a, run_b
        Run folders that `lenspinn evaluate` measured.
    evaluation
        Folder of the evaluation in each of them: ``evaluation_<dataset>`` for another dataset than
        the run's own.
    out
        JSON file to write; by default none is written.
    seed
        Seed of the bootstrap.

    Returns
    -------
    Comparison

    Raises
    ------
    DataError
        A run was not evaluated, or the runs were evaluated on different images or classes.
    ModelError
        There is no such folder.
    """
    folders = [find_trained(run) / evaluation for run in (run_a, run_b)]
    a, b = (_in_order(read_predictions(folder)) for folder in folders)
    _check_same(a, b, folders)
    right_a, right_b = (each.probabilities.argmax(axis=1) == each.labels for each in (a, b))
    generator = np.random.default_rng(seed)
    by_class = {
        name: _paired(right_a[a.labels == at], right_b[a.labels == at], generator)
        for at, name in enumerate(a.classes)
        if (a.labels == at).any()
    }
    found = Comparison(
        run_a=_name(run_a, run_b),
        run_b=_name(run_b, run_a),
        all=_paired(right_a, right_b, np.random.default_rng(seed)),
        by_class=by_class,
    )
    if out is not None:
        write_whole(out, (json.dumps(found.to_json(), indent=2) + "\n").encode())
    return found


def _name(run: Path, other: Path) -> str:
    return run.name if run.name != other.name else str(run)


def _in_order(found: Predictions) -> Predictions:
    """Return predictions in an order that depends only on the images."""
    order = np.argsort(found.digests, kind="stable")
    return Predictions(
        digests=found.digests[order],
        labels=found.labels[order],
        probabilities=found.probabilities[order],
        classes=found.classes,
    )


def _check_same(a: Predictions, b: Predictions, folders: list[Path]) -> None:
    if a.classes != b.classes:
        raise DataError(
            f"{folders[0]} is of the classes {', '.join(a.classes)} and {folders[1]} of "
            f"{', '.join(b.classes)}: compare runs of the same classes"
        )
    if not (np.array_equal(a.digests, b.digests) and np.array_equal(a.labels, b.labels)):
        shared = len(np.intersect1d(a.digests, b.digests))
        raise DataError(
            f"{folders[0]} and {folders[1]} are of other images ({len(a.labels)} and "
            f"{len(b.labels)}, {shared} in both): evaluate both with the same --data, and name "
            "that evaluation by --evaluation"
        )


def _paired(
    a: Bool[np.ndarray, " images"], b: Bool[np.ndarray, " images"], generator: np.random.Generator
) -> PairedScores:
    number = len(a)
    counts: Int[np.ndarray, " 4"] = np.array(
        [(a & b).sum(), (a & ~b).sum(), (~a & b).sum(), (~a & ~b).sum()]
    )
    # Resampled images are counts of these four kinds.
    drawn = generator.multinomial(number, counts / number, size=RESAMPLES)
    low, high = np.percentile((drawn[:, 1] - drawn[:, 2]) / number, INTERVAL)
    both, only_a, only_b, neither = counts.tolist()
    unequal = only_a + only_b
    return PairedScores(
        images=number,
        accuracy_a=float(a.mean()),
        accuracy_b=float(b.mean()),
        difference=(only_a - only_b) / number,
        difference_low=float(low),
        difference_high=float(high),
        both_right=both,
        only_a_right=only_a,
        only_b_right=only_b,
        both_wrong=neither,
        mcnemar_p=float(binomtest(only_a, unequal).pvalue) if unequal else 1.0,
    )
