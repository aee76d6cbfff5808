"""What the pages of the site tell a reader to type is understood, and what they name is there."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[1]
DOCS = REPOSITORY / "docs"
PAGES = sorted(path for path in DOCS.rglob("*.md") if not {"_build", "generated"} & set(path.parts))
FENCED = re.compile(r"^```\n(.*?)^```", flags=re.DOTALL | re.MULTILINE)
FILE = re.compile(r"`((?:configs|benchmarks|results|models|src|tests)/[\w./-]+)`")


def commands() -> list[tuple[str, str]]:
    """Return page and words of each command that stands in a block of its own."""
    return [
        (page.relative_to(DOCS).as_posix(), line.removeprefix("lenspinn "))
        for page in PAGES
        for block in FENCED.findall(page.read_text())
        for line in block.replace("\\\n", " ").splitlines()
        if line.startswith("lenspinn ")
    ]


@pytest.mark.parametrize(("page", "command"), commands())
def test_every_command_is_understood(
    page: str, command: str, is_understood: Callable[[str], bool]
) -> None:
    assert is_understood(command)


def test_the_slurm_script_asks_for_the_processes_that_its_command_wants(
    is_understood: Callable[[str], bool],
) -> None:
    script = (DOCS / "guide" / "scale.md").read_text().split("#!/bin/bash")[1].split("```")[0]
    asked = dict(re.findall(r"^#SBATCH --([\w-]+)=(\S+)$", script, flags=re.MULTILINE))
    command = script[script.index("lenspinn train ") :].strip()
    wanted = dict(re.findall(r"--(\w+) (\S+)", command))
    assert is_understood(command.removeprefix("lenspinn "))
    assert asked["nodes"] == wanted["num_nodes"]
    assert asked["ntasks-per-node"] == wanted["devices"]
    assert asked["gres"] == f"gpu:{wanted['devices']}"


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.relative_to(DOCS).as_posix())
def test_every_file_of_the_repository_that_a_page_names_is_there(page: Path) -> None:
    missing = [name for name in FILE.findall(page.read_text()) if not (REPOSITORY / name).exists()]
    assert missing == []


def names_of(page: str) -> dict:
    """Return what the Python of a page, run from top to bottom, leaves behind."""
    names: dict = {}
    text = (DOCS / page).read_text()
    for block in re.findall(r"```python\n(.*?)```", text, flags=re.DOTALL):
        exec(block, names)
    return names


def test_the_quickstart_measures_what_it_simulated(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.chdir(tmp_path)
    names = names_of("quickstart.md")
    measured, truth = names["measured"], names["truth"]["theta_E"][2]
    assert abs(measured.theta_E - truth) < 3 * measured.theta_E_error
    assert (tmp_path / "measured.png").is_file()


def test_an_instrument_of_ones_own_takes_images():
    assert names_of("guide/own_population.md")["images"].shape == (6, 1, 64, 64)
