"""The notebooks run, as somebody would run them who has the package and nothing else."""

from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

REPOSITORY = Path(__file__).resolve().parents[2]
NOTEBOOKS = sorted((REPOSITORY / "examples").glob("*.ipynb"))
HUNG = 600
"""Seconds after which a cell will not end any more."""


def read(notebook: Path) -> nbformat.NotebookNode:
    return nbformat.read(notebook, as_version=4)


@pytest.mark.slow
@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda path: path.stem)
# The kernel's own sockets, and the machine's time zone: nothing of ours.
@pytest.mark.filterwarnings("default")
def test_a_notebook_runs_without_a_clone_and_draws(
    notebook: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("LENSPINN_SHARED", raising=False)
    monkeypatch.setenv("PYTHONWARNINGS", "ignore:IProgress not found")  # no ipywidgets is needed
    content = read(notebook)
    NotebookClient(
        content, timeout=HUNG, kernel_name="python3", resources={"metadata": {"path": tmp_path}}
    ).execute()
    outputs = [output for cell in content.cells for output in cell.get("outputs", [])]
    assert any("image/png" in output.get("data", {}) for output in outputs)
    assert not [output for output in outputs if output.get("name") == "stderr"]
    assert not list(tmp_path.iterdir()), "a notebook leaves files only where it made a folder"


@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda path: path.stem)
def test_what_is_stored_was_run_from_top_to_bottom(notebook: Path) -> None:
    cells = [cell for cell in read(notebook).cells if cell.cell_type == "code"]
    assert [cell.execution_count for cell in cells] == list(range(1, len(cells) + 1))


@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda path: path.stem)
def test_stored_outputs_have_pictures_and_no_warnings(notebook: Path) -> None:
    outputs = [output for cell in read(notebook).cells for output in cell.get("outputs", [])]
    assert any("image/png" in output.get("data", {}) for output in outputs)
    assert not [output for output in outputs if output.get("name") == "stderr"]


@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda path: path.stem)
def test_it_is_small_enough_for_a_repository(notebook: Path) -> None:
    assert notebook.stat().st_size < 1_000_000


def test_every_notebook_is_in_the_gallery() -> None:
    gallery = (REPOSITORY / "docs" / "examples" / "index.md").read_text()
    assert NOTEBOOKS
    assert [notebook.stem for notebook in NOTEBOOKS if f"\n{notebook.stem}\n" not in gallery] == []
