"""Nothing in the repository names a place on the machine where it was made."""

import re
from pathlib import Path

import pytest

from .conftest import REPOSITORY

FOLDERS = ("results", "models", "configs", "docs", "src", "tests", "benchmarks")
SUFFIXES = {".json", ".md", ".yaml", ".yml", ".csv", ".txt", ".py", ".toml", ".cff", ""}
PLACES = ("work", "home", "root", "tmp", "mnt", "scratch", "Users", "private", "data")
# A path that begins there: what stands before is no part of a longer, relative one.
MACHINE_PATH = re.compile(rf"(?<![\w./}}$>)-])/(?:{'|'.join(PLACES)})/[\w.]")


def texts(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file() and path.suffix in SUFFIXES]


@pytest.mark.parametrize("folder", FOLDERS)
def test_no_file_names_a_path_of_a_machine(folder: str) -> None:
    paths = texts(REPOSITORY / folder)
    assert paths
    for path in paths:
        try:
            found = MACHINE_PATH.search(path.read_text())
        except UnicodeDecodeError:
            continue
        assert found is None, f"{path.relative_to(REPOSITORY)}: {found.group()}"


@pytest.mark.parametrize("text", ["--out ={}", '"{}', "`{}", "a:{}"])
def test_such_paths_are_seen(text: str) -> None:
    assert MACHINE_PATH.search(text.format("/" + "home/alice/run"))


@pytest.mark.parametrize("text", ["../work/run", "place/work/run", "https://x.org/data/a"])
def test_relative_paths_and_addresses_are_not_taken_for_one(text: str) -> None:
    assert not MACHINE_PATH.search(text)
