import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from lenspinn.path_arguments import make_paths, takes_paths


@takes_paths
def given(
    files: list[Path],
    out: Path = Path("out"),
    *,
    model: Path | str = "a",
    noise: Path | None = None,
) -> tuple[object, ...]:
    return files, out, model, noise


def test_text_becomes_a_path_where_a_path_is_meant() -> None:
    assert given(["a", Path("b")], "c", noise="d") == (
        *([Path("a"), Path("b")], Path("c")),
        *("a", Path("d")),
    )


def test_one_path_stands_for_a_list_of_one() -> None:
    assert given("a.fits", noise=None) == ([Path("a.fits")], Path("out"), "a", None)


def test_what_is_too_much_is_refused_by_the_function_itself() -> None:
    with pytest.raises(TypeError, match="positional argument"):
        given(["a"], "b", "c")


@dataclass(frozen=True)
class Places:
    out: Path | str
    name: str = "text"
    data: Path | None = None

    def __post_init__(self) -> None:
        make_paths(self)


def test_what_may_be_text_and_what_is_a_path_stay() -> None:
    assert Places("a", "b", Path("c")) == Places("a", "b", Path("c"))


def test_configurations_take_text() -> None:
    # In a process of its own: the checks of types that tests run with know no text for a path.
    code = """
import lenspinn
model = lenspinn.ModelConfig("resnet18")
config = lenspinn.TrainConfig(data="data.zarr", out="run", model=model)
print(config.data.name, config.out.parent)
print(lenspinn.SimulateConfig(recipe="survey/hst", num=3, out="a.zarr").out.suffix)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["data.zarr", ".", ".zarr"]
