import re
import shutil

import pytest

from lenspinn.benchmark import page
from lenspinn.benchmark.grid import grid_cells, read_grid


@pytest.fixture
def build(make_grid, make_cell, tmp_path, monkeypatch):
    """Build the page of a grid of which only the cells of "small" are finished."""

    def write(name="tiny", out=tmp_path / "out", **changes):
        path = make_grid(tmp_path / "configs", **changes)
        path = path.rename(path.with_name(f"{name}.yaml"))
        grid = read_grid(path)
        monkeypatch.setattr(
            page, "read_cell", lambda cell: make_cell(0.9) if cell.row == "small" else None
        )
        cells = grid_cells(grid, work=tmp_path / "work", out=out)
        return page.write_page(grid, cells, out)

    return write


def test_the_page_shows_tables_and_figures_and_names_what_was_not_run(build, tmp_path):
    text = build().read_text()
    assert f"`lenspinn benchmark {tmp_path / 'configs' / 'tiny.yaml'}`" in text
    assert "- `short` on `deeplense/model_3`, seed 0: `slow`" in text
    pictures = re.findall(r"\]\((.+\.png)\)", text)
    assert len(pictures) == 2
    assert all((tmp_path / "out" / picture).is_file() for picture in pictures)
    assert {path.suffix for path in (tmp_path / "out").iterdir()} == {".md", ".tex", ".csv", ".png"}


def test_a_page_built_twice_is_the_same(build, tmp_path):
    build()
    before = {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()}
    shutil.rmtree(tmp_path / "out")
    build()
    assert {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()} == before


def test_grids_in_one_folder_share_a_page(build):
    build("one", title="The first")
    text = build("two", title="The second").read_text()
    assert text.index("## The first") < text.index("## The second")
    assert text.count("# Benchmarks\n") == 1


def test_a_protocol_without_cells_has_a_table_and_no_figures(build):
    tables = [{"title": "T", "reference": "slow", "rows": ["slow"]}]
    text = build(tables=tables).read_text()
    assert "Nothing was run yet." in text
    assert "| The same, slow | - | - | not run | not run |" in text
    assert ".png" not in text
