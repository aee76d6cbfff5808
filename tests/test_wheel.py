"""The package that `pip install` gets: what is in it, built without a network."""

import subprocess
import sys
import zipfile
from email import message_from_bytes
from pathlib import Path

import pytest

pytest.importorskip("hatchling", reason="hatchling, which builds the wheel, is not installed")

REPOSITORY = Path(__file__).resolve().parents[1]
LARGEST = 20_000_000
"""Bytes."""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(out)]
    subprocess.run(command, cwd=REPOSITORY, check=True, capture_output=True)
    (built,) = out.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def names(wheel: Path) -> set[str]:
    with zipfile.ZipFile(wheel) as content:
        return set(content.namelist())


def test_it_is_small(wheel: Path) -> None:
    assert wheel.stat().st_size < LARGEST


def test_all_of_the_package_is_in_it_and_nothing_else(names: set[str]) -> None:
    package = REPOSITORY / "src" / "lenspinn"
    expected = {
        f"lenspinn/{path.relative_to(package).as_posix()}"
        for path in package.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert "lenspinn/py.typed" in expected
    assert expected <= names
    others = {name.split("/")[0] for name in names - expected if "lenspinn/trained" not in name}
    assert {name.split("-")[0] for name in others} == {"lenspinn"}
    assert all(name.endswith(".dist-info") for name in others)


def test_the_flagship_is_in_it_whole_and_no_other_network(names: set[str]) -> None:
    models = REPOSITORY / "models"
    flagship = models / "lenspinn_fit_hst"
    trained = {path.relative_to(models) for path in flagship.rglob("*") if path.is_file()}
    assert flagship / "model" / "model.safetensors" in {models / path for path in trained}
    packed = {name for name in names if name.startswith("lenspinn/trained/")}
    assert packed == {f"lenspinn/trained/{path.as_posix()}" for path in trained}


def test_its_facts_are_those_of_the_project(wheel: Path, names: set[str]) -> None:
    (metadata,) = (name for name in names if name.endswith(".dist-info/METADATA"))
    (entries,) = (name for name in names if name.endswith("entry_points.txt"))
    with zipfile.ZipFile(wheel) as content:
        facts = message_from_bytes(content.read(metadata))
        assert "lenspinn = lenspinn.cli:main" in content.read(entries).decode()
    assert facts["Name"] == "lenspinn"
    assert {"coolest", "onnx", "dask"} <= set(facts.get_all("Provides-Extra"))
    assert f"{wheel.name}".startswith(f"lenspinn-{facts['Version']}-py3-none-any")
