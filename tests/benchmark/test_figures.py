import numpy as np
import pytest

from lenspinn.benchmark.figures import cam_figure, comparison_figure
from lenspinn.benchmark.grid import RowConfig
from lenspinn.benchmark.table import Line


@pytest.fixture
def lines(make_cell):
    cells = {
        "Good": {0: make_cell(0.95), 1: make_cell(0.97, seed=1)},
        "Bad": {0: make_cell(0.6)},
        "Absent": {},
    }
    return [
        Line(title, RowConfig(title=title, train={}), content, None)
        for title, content in cells.items()
    ]


def test_every_row_that_was_run_has_a_curve_in_each_of_three_panels(lines):
    figure = comparison_figure(lines)
    assert [len(axes.lines) for axes in figure.axes] == [2, 2, 2]
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["Good", "Bad"]


def test_several_seeds_are_drawn_as_their_mean_and_range(lines):
    axes = comparison_figure(lines).axes[0]
    wanted = [
        np.mean([cell["history"][i]["val_micro_f1"] for cell in lines[0].cells.values()])
        for i in range(5)
    ]
    assert axes.lines[0].get_ydata() == pytest.approx(wanted)
    assert len(axes.collections) == 1


def test_the_roc_panel_is_wide_enough_for_the_worst_curve(lines):
    axes = comparison_figure(lines).axes[2]
    (_, right), (bottom, _) = axes.get_xlim(), axes.get_ylim()
    for line in axes.lines:
        x, y = line.get_data()
        assert ((x < right) & (y > bottom)).any()
    better = comparison_figure(lines[:1]).axes[2]
    assert better.get_xlim()[1] < right


def test_one_pass_over_fresh_images_is_drawn_against_images(make_cell):
    cell = make_cell()
    for row in cell["history"]:
        row["epoch"] /= 5
    figure = comparison_figure([Line("x", RowConfig(title="X", train={}), {0: cell}, None)])
    assert figure.axes[0].get_xlabel() == "fresh training images seen"
    assert figure.axes[0].lines[0].get_xdata()[-1] == 36000


def test_grad_cam_has_a_column_a_network_and_a_row_a_class(lines):
    figure = cam_figure(lines)
    assert len(figure.axes) == 2 * 3
    assert [axes.get_title() for axes in figure.axes[:2]] == ["Good", "Bad"]
    assert [axes.get_ylabel() for axes in figure.axes[::2]] == ["axion", "cdm", "no_sub"]


def test_a_wrong_answer_is_set_apart(lines):
    labels = [axes.xaxis.label for axes in cam_figure(lines).axes[::2]]
    assert [label.get_fontweight() for label in labels] == ["bold", "normal", "bold"]
