import fcntl

import pytest

from lenspinn.benchmark.grid import grid_cells, read_grid
from lenspinn.benchmark.worker import BUSY, log_path, run_cell


@pytest.fixture
def cell(grid_file, tmp_path):
    return grid_cells(read_grid(grid_file), work=tmp_path / "work", out=tmp_path / "out")[0]


def test_a_cell_that_another_process_works_on_is_left_alone(cell):
    log = log_path(cell)
    log.parent.mkdir(parents=True)
    with log.open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        with pytest.raises(SystemExit) as stopped:
            run_cell(cell)
    assert stopped.value.code == BUSY
    assert not cell.config.out.exists()
