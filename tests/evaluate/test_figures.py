from io import BytesIO

import numpy as np
import pytest
from matplotlib.figure import Figure

from lenspinn.evaluate.figures import (
    confusion_figure,
    learning_figure,
    reliability_figure,
    roc_figure,
)

CLASSES = ("axion", "cdm", "no_sub")
LABELS = np.array([0, 0, 1, 1, 2, 2])
SHARP = np.eye(3)[LABELS]
VAGUE = np.full((6, 3), 1 / 3)


def history(epochs: list[float]) -> list[dict[str, float]]:
    scores = dict.fromkeys(["train_loss", "val_loss", "train_accuracy", "val_micro_f1"], 0.5)
    return [{"epoch": epoch, "images_seen": 1000 * epoch, **scores} for epoch in epochs]


def legend(figure: Figure) -> list[str]:
    return [text.get_text() for text in figure.axes[0].get_legend().get_texts()]


def test_roc_figure_names_the_auc_of_each_class_and_of_their_average():
    expected = ["axion: AUC 1.0000", "cdm: AUC 1.0000", "no_sub: AUC 1.0000"]
    assert legend(roc_figure(SHARP, LABELS, CLASSES)) == [*expected, "micro-average: AUC 1.0000"]


@pytest.mark.parametrize(("probabilities", "insets"), [(SHARP, 1), (VAGUE, 0)])
def test_roc_figure_enlarges_the_corner_only_where_the_curves_crowd_there(probabilities, insets):
    figure = roc_figure(probabilities, LABELS, CLASSES)
    assert len(figure.axes[0].child_axes) == insets


def test_confusion_figure_writes_number_and_share_into_each_cell():
    confusion = np.array([[3, 1, 0], [0, 4, 0], [0, 0, 0]])
    axes = confusion_figure(confusion, CLASSES).axes[0]
    cells = [text.get_text() for text in axes.texts]
    assert cells[:3] == ["3\n75.0%", "1\n25.0%", "0\n0.0%"]
    assert axes.get_title() == "accuracy 0.8750 on 8 images"


@pytest.mark.parametrize(
    ("epochs", "label", "x"),
    [([0.5, 1.0], "training images seen", [500, 1000]), ([1.0, 2.0], "epochs", [1, 2])],
)
def test_learning_figure_counts_images_in_a_single_pass_and_else_epochs(epochs, label, x):
    axes = learning_figure(history(epochs)).axes[0]
    assert axes.get_xlabel() == label
    assert list(axes.lines[0].get_xdata()) == x


def test_learning_figure_marks_the_chosen_row():
    rows = history([1.0, 2.0, 3.0])
    lines = learning_figure(rows, rows[1]).axes[0].lines
    assert [line.get_xdata()[0] for line in lines if len(line.get_xdata()) == 2] == [2.0]


def test_reliability_figure_shows_accuracy_at_the_mean_confidence_of_each_bin():
    probabilities = np.array([[0.9, 0.1], [0.88, 0.12], [0.55, 0.45]])
    axes = reliability_figure(probabilities, np.array([0, 1, 0])).axes[0]
    points = axes.containers[0].lines[0]
    np.testing.assert_allclose(points.get_xdata(), [0.55, 0.89])
    np.testing.assert_allclose(points.get_ydata(), [1.0, 0.5])


def test_reliability_figure_shows_the_network_before_and_after_calibration():
    texts = legend(reliability_figure(SHARP, LABELS, VAGUE))
    assert texts == ["perfectly calibrated", "as it is: ECE 0.0000", "calibrated: ECE 0.0000"]


def test_figures_can_be_written_without_a_display():
    for figure in (
        roc_figure(SHARP, LABELS, CLASSES),
        confusion_figure(np.eye(3, dtype=int), CLASSES),
        learning_figure(history([1.0])),
        reliability_figure(SHARP, LABELS),
    ):
        file = BytesIO()
        figure.savefig(file, format="png")
        assert file.getvalue().startswith(b"\x89PNG")
