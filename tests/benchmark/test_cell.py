import dataclasses
import json

import numpy as np
import pytest

from lenspinn.benchmark.cell import (
    NUM_ROC_POINTS,
    decode_bits,
    decode_map,
    encode_bits,
    encode_map,
    read_cell,
    run_state,
    thinned_roc,
    write_cell,
)
from lenspinn.benchmark.grid import grid_cells, read_grid
from lenspinn.errors import BenchmarkError
from lenspinn.evaluate.metrics import roc_curve, weighted_auc

ROC_TOLERANCE = 2e-3
"""Of the area under a curve of 200 points against that of thousands."""


@pytest.fixture
def cell(grid_file, tmp_path):
    return grid_cells(read_grid(grid_file), work=tmp_path / "work", out=tmp_path / "out")[0]


@pytest.fixture
def content():
    """The least that a cell's file must hold to be one of `cell`."""
    test = {"recipe": "deeplense/model_3", "num": 12, "seed": 200}
    settings = {
        "data": "tiny-deeplense_model_3.zarr",
        "model": {"name": "lenspinn_small", "options": {"transform": "paper"}},
        "epochs": 2,
        "batch_size": 12,
        "lr": 1e-3,
    }
    return {"schema": 1, "config": settings, "test": test}


def test_bits_come_back():
    values = np.random.default_rng(0).random(1001) < 0.3
    assert (decode_bits(encode_bits(values), 1001) == values).all()


def test_maps_come_back_to_half_a_grey_level():
    values = np.random.default_rng(0).random((64, 64))
    assert np.abs(decode_map(encode_map(values)) / 255 - values).max() <= 0.5 / 255 + 1e-9


@pytest.mark.parametrize("separation", [0.0, 1.0, 4.0])
def test_a_thinned_curve_keeps_its_ends_and_its_area(separation):
    rng = np.random.default_rng(1)
    positive = np.arange(18000) % 3 == 0
    scores = rng.normal(size=len(positive)) + separation * positive
    x, y = thinned_roc(scores, positive)
    assert len(x) <= NUM_ROC_POINTS + 2 < len(roc_curve(scores, positive)[0])
    assert (x[0], y[0], x[-1], y[-1]) == (0, 0, 1, 1)
    exact = weighted_auc(scores, positive, np.ones((1, len(scores))))[0]
    assert np.trapezoid(y, x) == pytest.approx(exact, abs=ROC_TOLERANCE)


def test_a_written_cell_is_read_back_and_has_a_line_a_key(cell, content):
    assert read_cell(cell) is None
    write_cell(cell, content)
    assert read_cell(cell) == content
    assert len(cell.result.read_text().splitlines()) == len(content) + 2


def test_a_cell_of_other_settings_is_refused(cell, content):
    write_cell(cell, content)
    other = dataclasses.replace(cell, config=dataclasses.replace(cell.config, lr=0.5))
    with pytest.raises(BenchmarkError, match=r"train\.lr 0\.001, but the grid asks for 0\.5"):
        read_cell(other)


def test_a_cell_measured_on_another_test_set_is_refused(cell, content):
    write_cell(cell, content | {"test": content["test"] | {"num": 11}})
    with pytest.raises(BenchmarkError, match=r"test\.num 11, but the grid asks for 12"):
        read_cell(cell)


@pytest.mark.parametrize("text", ["{", "[]", '{"schema": 1}'])
def test_a_file_that_is_no_cell_is_refused(cell, text):
    cell.result.parent.mkdir(parents=True)
    cell.result.write_text(text)
    with pytest.raises(BenchmarkError, match="not a cell of lenspinn benchmark"):
        read_cell(cell)


def test_a_newer_cell_is_refused(cell, content):
    cell.result.parent.mkdir(parents=True)
    cell.result.write_text(json.dumps(content | {"schema": 2}))
    with pytest.raises(BenchmarkError, match="schema 2, this lenspinn reads 1"):
        read_cell(cell)


def test_the_state_of_a_run_is_told_from_its_folder(tmp_path):
    folder = tmp_path / "run"
    assert run_state(folder) == ("not begun", 0, 0)
    folder.mkdir()
    assert run_state(folder) == ("begun", 0, 0)
    columns = "epoch,step,images_seen,val_loss,val_micro_f1,seconds"
    rows = "1.0,4,48,1.1,0.3,2.0\n1.5,6,72,1.1,0.3,2.5\n"
    (folder / "metrics.csv").write_text(f"{columns}\n{rows}")
    assert run_state(folder) == ("begun (epoch 1.5)", 72, 2.5)
    (folder / "model_last").mkdir()
    assert run_state(folder) == ("trained", 72, 2.5)
