import os
import shutil
import signal
import subprocess
import sys
import time

import pytest

from lenspinn.benchmark import benchmark, run, worker
from lenspinn.benchmark.grid import grid_cells, read_grid
from lenspinn.benchmark.worker import log_path
from lenspinn.errors import BenchmarkError, ConfigError, StoreError
from lenspinn.simulate import SimulateConfig, simulate
from lenspinn.train.callbacks import ResumeCheckpoint

SAME_WHEREVER = ("config", "test", "records", "roc", "correct", "cam")
"""Of a cell's file: what neither the date nor the speed of the machine changes."""
KILL_DEADLINE = 240
"""Seconds after which a process that should have begun, or ended, is given up."""


@pytest.fixture
def places(tmp_path):
    return {"out": tmp_path / "out", "work": tmp_path / "work"}


@pytest.fixture
def in_this_process(monkeypatch):
    """Run cells one after the other without processes of their own; return their names."""
    names = []

    def run_cells(cells, jobs):
        for cell in cells:
            names.append(cell.name)
            assert worker._work(cell) == 0
        return []

    monkeypatch.setattr(run, "run_cells", run_cells)
    return names


def content(path, places):
    (cell,) = (c for c in grid_cells(read_grid(path), **places) if c.row == "small")
    finished = run.read_cell(cell)
    for record in finished["records"]:
        del record["seconds"]
    return {key: finished[key] for key in SAME_WHEREVER}


def everything(folder):
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def test_cells_run_at_once_and_one_that_fails_does_not_stop_the_others(make_grid, tmp_path, places):
    tables = [{"title": "T", "reference": "small", "rows": ["absent", "small"]}]
    path = make_grid(tmp_path / "configs", tables=tables)
    with pytest.raises(BenchmarkError, match="1 of 2 cells failed") as caught:
        benchmark(path, jobs=2, **places)
    assert "absent seed 0: there is no model 'resnet1888'" in str(caught.value)
    text = (places["out"] / "README.md").read_text()
    assert "| Absent | - | - | not run |" in text
    assert content(path, places)["records"][0]["n_test"] == 12


def test_an_interrupted_benchmark_goes_on_skips_what_is_done_and_needs_no_weights_for_its_page(
    grid_file, tmp_path, places, in_this_process, monkeypatch
):
    whole = {"out": tmp_path / "whole", "work": tmp_path / "whole_work"}
    benchmark(grid_file, rows=["small"], **whole)
    save, names = ResumeCheckpoint._save, in_this_process

    def save_and_die(self, trainer):
        save(self, trainer)
        raise KeyboardInterrupt

    monkeypatch.setattr(ResumeCheckpoint, "_save", save_and_die)
    with pytest.raises(KeyboardInterrupt):
        benchmark(grid_file, rows=["small"], **places)
    assert any("begun (epoch 1)" in line for line in benchmark(grid_file, dry_run=True, **places))
    monkeypatch.setattr(ResumeCheckpoint, "_save", save)
    benchmark(grid_file, rows=["small"], **places)
    assert content(grid_file, places) == content(grid_file, whole)
    names.clear()
    benchmark(grid_file, rows=["small"], **places)
    assert names == []
    before = everything(places["out"])
    shutil.rmtree(places["work"])
    for name in before:
        if not name.startswith("cells"):
            (places["out"] / name).unlink()
    benchmark(grid_file, jobs=0, **places)
    assert everything(places["out"]) == before


def test_a_process_that_ends_before_it_begins_is_a_failure_like_any_other(grid_file, places):
    cell = grid_cells(read_grid(grid_file), **places)[0]
    assert "its process ended with status 1" in run._failure(cell, 1)
    assert "was killed by signal 9" in run._failure(cell, -9)
    assert "is being trained by another process" in run._failure(cell, worker.BUSY)


def test_a_stream_is_a_cell_like_any_other(make_grid, tmp_path, places, in_this_process):
    path = make_grid(tmp_path / "configs", protocols=["fresh"])
    page = benchmark(path, rows=["small"], **places)
    assert "Two steps of 6 fresh images." in page.read_text()
    (chosen, final) = content(path, places)["records"]
    assert (chosen["weights"], final["weights"]) == ("chosen", "final")
    assert final["images_seen"] == 12
    assert final["protocol"] == "fresh"


def test_a_dry_run_writes_nothing(grid_file, tmp_path, places, monkeypatch):
    monkeypatch.setattr(run, "plan", lambda cells, finished, jobs: [c.name for c in cells])
    lines = benchmark(grid_file, dry_run=True, rows=["slow"], **places)
    assert lines == ["short deeplense/model_3 slow seed 0"]
    assert [path.name for path in tmp_path.iterdir()] == ["configs"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"rows": ["big"]}, "has no row big; it has small, slow"),
        ({"protocols": ["paper"]}, "has no protocol paper; it has short"),
        ({"seeds": [3]}, "has no seed 3; it has 0"),
        ({"jobs": -1}, "jobs is -1: at least 0"),
    ],
)
def test_what_the_grid_does_not_have_is_refused(grid_file, places, options, message):
    with pytest.raises(ConfigError, match=message):
        benchmark(grid_file, **places, **options)


def test_another_dataset_in_the_place_of_one_is_refused(grid_file, places):
    out = places["work"] / "data" / "test-deeplense_model_3.zarr"
    simulate(SimulateConfig(recipe="deeplense/model_3", num=12, seed=1, out=out), progress=False)
    with pytest.raises(StoreError, match="holds 12 images of deeplense/model_3 from seed 1"):
        benchmark(grid_file, **places)


@pytest.mark.slow
def test_a_killed_benchmark_leaves_no_process_and_goes_on(grid_file, places):
    words = [str(grid_file), *(f"--{key}={path}" for key, path in places.items()), "--rows=[small]"]
    command = [sys.executable, "-m", "lenspinn.cli", "benchmark", *words]
    (cell, _) = grid_cells(read_grid(grid_file), **places)
    process = subprocess.Popen(command)
    wait_for(lambda: process.poll() is not None or (cell.config.out / "config.yaml").is_file())
    assert process.poll() is None
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    wait_for(lambda: subprocess.run(["flock", "-n", str(log_path(cell)), "true"]).returncode == 0)
    assert subprocess.run(command, check=False).returncode == 0
    assert cell.result.is_file()


def wait_for(condition):
    deadline = time.monotonic() + KILL_DEADLINE
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)
