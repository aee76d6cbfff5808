import dataclasses

import pytest

from lenspinn.benchmark import plan as plan_module
from lenspinn.benchmark.grid import grid_cells, read_grid
from lenspinn.benchmark.plan import plan
from lenspinn.data.provenance import provenance


@pytest.fixture
def cells(make_grid, tmp_path):
    tables = [{"title": "T", "reference": "small", "rows": ["small", "slow", "absent"]}]
    path = make_grid(tmp_path / "configs", tables=tables)
    return grid_cells(read_grid(path), work=tmp_path / "work", out=tmp_path / "out")


def nothing_finished(cells):
    return {cell.name: None for cell in cells}


def test_each_network_is_timed_once_and_one_that_cannot_be_built_is_named(cells, monkeypatch):
    timed = []
    timed_speed = plan_module._timed_speed
    monkeypatch.setattr(
        plan_module, "_timed_speed", lambda cell: timed.append(cell.row) or timed_speed(cell)
    )
    lines = plan(cells, nothing_finished(cells), jobs=1)
    assert timed == ["small", "absent"]  # "slow" is the same network
    assert all("  not begun  " in line for line in lines[:3])
    assert "cannot be trained: there is no model 'resnet1888'" in lines[2]
    assert lines[3].startswith("3 cells, one after the other: about")


def test_what_is_done_or_begun_takes_less_time(cells, make_cell, monkeypatch):
    monkeypatch.setattr(plan_module, "_timed_speed", lambda cell: 0.01)
    small, slow = cells[:2]
    assert small.images == 48
    whole = plan([small, slow], nothing_finished(cells), jobs=2)
    assert whole[-1] == "2 cells, 2 at once: about 1 h 20 min"
    slow.config.out.mkdir(parents=True)  # 24 of 48 images in 20 minutes
    columns = "epoch,step,images_seen,val_loss,val_micro_f1,seconds"
    (slow.config.out / "metrics.csv").write_text(f"{columns}\n1.0,2,24,1.1,0.3,1200.0\n")
    finished = nothing_finished(cells) | {small.name: make_cell()}
    lines = plan([small, slow], finished, jobs=1)
    assert "done" in lines[0]
    assert lines[1].endswith("begun (epoch 1)  about 20 min")


def test_a_finished_cell_of_the_network_on_this_hardware_tells_its_speed(cells, make_cell):
    small, slow = cells[:2]
    cell = make_cell()
    cell["trained_with"] |= {"hardware": provenance()["hardware"]}
    finished = nothing_finished(cells) | {small.name: cell}
    long = dataclasses.replace(slow, images=360 * 3600)  # the cell trained 360 images a second
    assert plan([small, long], finished, jobs=1)[-1].endswith("about 1 h 00 min")
