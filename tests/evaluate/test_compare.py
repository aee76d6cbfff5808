import json

import numpy as np
import pytest

from lenspinn import cli
from lenspinn.errors import DataError
from lenspinn.evaluate.compare import compare_runs
from lenspinn.evaluate.predictions import FILE

CLASSES = ("a", "b")
LABELS = np.repeat([0, 1], 100)


def write_run(folder, right, *, labels=LABELS, digests=None, order=None):
    """Write a run of given right and wrong answers, its images in any order."""
    (folder / "evaluation").mkdir(parents=True)
    digests = np.arange(len(labels), dtype=np.uint64) if digests is None else digests
    answers = np.where(right, labels, 1 - labels)
    order = np.arange(len(labels)) if order is None else order
    np.savez(
        folder / "evaluation" / FILE,
        digests=digests[order],
        labels=labels[order],
        probabilities=np.eye(2)[answers][order],
        classes=np.array(CLASSES),
    )
    return folder


def right(wrong):
    answers = np.ones(len(LABELS), dtype=bool)
    answers[wrong] = False
    return answers


def test_images_are_paired_whatever_their_order(tmp_path):
    a = write_run(tmp_path / "a", right(slice(0, 4)))
    b = write_run(tmp_path / "b", right(slice(2, 32)), order=np.arange(200)[::-1])
    found = compare_runs(str(a), b, out=tmp_path / "c.json")
    scores = found.all
    counts = (scores.both_right, scores.only_a_right, scores.only_b_right, scores.both_wrong)
    assert counts == (168, 28, 2, 2)
    assert scores.difference == pytest.approx(0.13)
    assert scores.difference_low > 0
    assert "a is better than b" in found.verdict
    assert found.by_class["b"].difference == 0
    assert found.by_class["b"].mcnemar_p == 1
    assert json.loads((tmp_path / "c.json").read_text())["all"]["only_a_right"] == 28


def test_the_interval_is_that_of_paired_images(tmp_path):
    # 20 against 10 of 200: the standard error of their difference is sqrt(30 - 0.5) / 200.
    a = write_run(tmp_path / "a", right(slice(0, 10)))
    b = write_run(tmp_path / "b", right(slice(10, 30)))
    scores = compare_runs(a, b).all
    error = np.sqrt(30 - 10**2 / 200) / 200
    assert scores.difference_high - scores.difference_low == pytest.approx(3.92 * error, rel=0.06)
    assert scores.mcnemar_p == pytest.approx(0.0987, abs=1e-3)
    assert "neither is shown to be better" in compare_runs(a, b).verdict


def test_other_images_are_refused(tmp_path):
    a = write_run(tmp_path / "a", right(0))
    b = write_run(tmp_path / "b", right(0), digests=np.arange(50, 250, dtype=np.uint64))
    with pytest.raises(DataError, match=r"other images \(200 and 200, 150 in both\).*--data"):
        compare_runs(a, b)


def test_a_run_that_was_not_evaluated_is_refused_by_the_command(tmp_path, capsys):
    a = write_run(tmp_path / "a", right(0))
    (tmp_path / "b").mkdir()
    assert cli.main(["compare", str(a), str(tmp_path / "b")]) == 2
    assert "evaluate the run" in capsys.readouterr().err
    assert cli.main(["compare", str(a), str(a)]) == 0
    assert "neither is shown to be better" in capsys.readouterr().out
