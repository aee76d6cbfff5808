"""Configurations and words of the command line by chance: refused in a sentence, or understood."""

import functools
import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import lenspinn.benchmark
import lenspinn.sensitivity
import lenspinn.simulate
import lenspinn.simulate.limit
import lenspinn.workflow
from lenspinn import cli
from lenspinn.benchmark.grid import grid_cells, read_grid
from lenspinn.config import dotted
from lenspinn.sensitivity import SensitivityConfig
from lenspinn.simulate import SimulateConfig, draw_scenes, get_recipe, list_recipes
from lenspinn.simulate.limit import LimitConfig
from lenspinn.train import TrainConfig

from .harness import run_cli

GRIDS = Path(__file__).resolve().parents[2] / "configs" / "benchmark"
CANARY = "canary"
BASES: dict[str, dict[str, Any]] = {
    "simulate": {"recipe": "survey/hst", "num": 3, "out": "x.zarr", "overrides": {}},
    "limit": {"recipe": "survey/hst", "num": 3, "out": "limit", "known": [], "overrides": {}},
    "sensitivity": {"recipe": "survey/hst", "out": "seen", "mass_overrides": {}},
    "train": {"data": "d.zarr", "out": "run", "model": {"name": "resnet18", "options": {}}},
}
CLASSES = {
    "simulate": SimulateConfig,
    "limit": LimitConfig,
    "sensitivity": SensitivityConfig,
    "train": TrainConfig,
}
FIELDS = {name: sorted(cls.__dataclass_fields__) for name, cls in CLASSES.items()} | {
    "train": [*TrainConfig.__dataclass_fields__, "model.options", "stream.overrides", "model.name"]
}
FREE = ["overrides", "mass_overrides", "stream.overrides", "model.options"]
RECIPE_KEYS = sorted(
    {key for name in list_recipes() for key in dotted(get_recipe(name).to_dict())}
    | {"populations", "populations.axion", "populations.wdm", "instrument", "lens", "source.clumps"}
)
CODE = [
    "{class_path: os.system, init_args: {command: touch canary}}",
    "{class_path: subprocess.check_output, init_args: {args: [touch, canary]}}",
    "[{class_path: os.system, init_args: [touch canary]}]",
    '!!python/object/apply:os.system ["touch canary"]',
    "!!python/object/new:os.system [touch canary]",
    "!!python/name:os.system",
    "!!python/module:os",
    "os.system",
    "{init_args: {command: touch canary}}",
]
HOSTILE = [
    *CODE,
    *(
        "null",
        "true",
        "''",
        "[]",
        "{}",
        "[[]]",
        "-1",
        "0",
        "1.5",
        "1e400",
        ".nan",
        "-.inf",
        "1e308",
    ),
    *("9" * 400, "9" * 5000, "1000000000", "-9223372036854775809", "0x10", "1:30", "2026-01-01"),
    *("{uniform: [2, 1]}", "{uniform: [.nan, 1]}", "{uniform: []}", "{uniform: [a, b]}"),
    *("{normal: [0, -1]}", "{power_law: [1, 2]}", "{power_law: [1, 10, -400]}", "{gamma: [1]}"),
    *("{log_uniform: [-1, 1]}", "{uniform: [-1.0e308, 1.0e308]}", "{fixed: [1, 2]}", "{fixed: 1}"),
    *("-.inf", "/dev/zero", ".", "/", "../..", "x/" * 3000, "y" * 300, '"a\\0b"', '"a\\nb"', "'é'"),
    *("&a [*a]", "{a: {b: {c: 1}}}", "{a.b: 1, a.c: 2}", "[" * 100, "*unknown", "{x", "- 1\n- 2"),
    *("axion", "{axion: null}", "{axion: axion, cdm: cdm}", "{a: null, b: null, c: cdm}"),
]
Names = st.sampled_from(list(BASES))


@pytest.fixture(autouse=True)
def no_work(monkeypatch: pytest.MonkeyPatch) -> None:
    """Replace what commands do by reading their input, and by drawing what it asks for."""

    def stub(module: Any, name: str, work: Callable[..., None]) -> None:
        real = getattr(module, name)
        monkeypatch.setattr(module, name, functools.wraps(real)(lambda *a, **k: work(*a, **k)))

    def draw(config: SimulateConfig) -> None:
        recipe = get_recipe(config.recipe, **config.overrides)
        if sum(recipe.capacity.values()) < 1000:
            _, truth = draw_scenes(recipe, config.seed, range(len(recipe.classes)))
            assert np.isfinite(truth["theta_E"]).all()
            assert np.isfinite(truth["source_flux"]).all()

    def read(grid: Path, **_: Any) -> None:
        grid_cells(read_grid(grid), work=Path("bench"), out=Path("results"))

    def nothing(*_: Any, **__: Any) -> None:
        pass

    stub(lenspinn.simulate, "simulate", draw)
    stub(lenspinn.benchmark, "benchmark", read)
    stub(lenspinn.simulate.limit, "detection_limit", nothing)
    stub(lenspinn.sensitivity, "measure_sensitivity", nothing)
    stub(lenspinn.workflow, "train", nothing)


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Path]:
    """A folder with a file of somebody else in it."""
    (tmp_path / "notes.txt").write_text("mine")
    yield tmp_path
    assert (tmp_path / "notes.txt").read_text() == "mine"
    assert not (tmp_path / CANARY).exists()


def check(words: list[str], place: Path) -> int:
    outcome = run_cli(words, place)
    assert outcome.is_right, (words, outcome)
    assert not (place / CANARY).exists(), words
    return outcome.status


def check_file(name: str, text: str, place: Path, more: list[str] = []) -> int:  # noqa: B006
    file = place / "config.yaml"
    file.write_text(text)
    try:
        return check([name, "config.yaml", *more], place)
    finally:
        file.unlink()


@pytest.mark.parametrize("name", BASES)
@pytest.mark.parametrize("code", CODE)
def test_code_runs_from_no_field_of_any_configuration(name: str, code: str, place: Path) -> None:
    base = yaml.safe_dump(BASES[name])
    words = [w for key, value in dotted(BASES[name]).items() for w in (f"--{key}", str(value))]
    for field in [*FIELDS[name], *(f"{free}.a" for free in FREE)]:
        check_file(name, f"{base}{field}: {code}\n", place)
        check([name, *words, f"--{field}", code], place)
    assert check_file(name, base, place) == 0


@pytest.mark.parametrize("file", ["grid.yaml", "rows.yaml", "protocols.yaml"])
@pytest.mark.parametrize("code", [CODE[0], CODE[3]])
def test_code_runs_from_no_field_of_a_benchmark(file: str, code: str, place: Path) -> None:
    places = {
        "grid.yaml": ["protocols", "title", "other"],
        "rows.yaml": ["rows", "train", "options"],
        "protocols.yaml": ["paper", "train"],
    }[file]
    for key in places:
        folder = place / "grids"
        shutil.copytree(GRIDS, folder)
        (folder / "table1.yaml").rename(folder / "grid.yaml")
        text = (folder / file).read_text()
        (folder / file).write_text(
            text.replace(f"{key}:", f"{key}: {code} #", 1) + f"{key}: {code}\n"
        )
        assert check(["benchmark", "grids/grid.yaml", "--dry_run"], place) == 2
        shutil.rmtree(folder)


@pytest.mark.parametrize("code", CODE)
@pytest.mark.parametrize("command", ["evaluate", "explain"])
def test_code_runs_from_no_run_folder_of_a_stranger(command: str, code: str, place: Path) -> None:
    (place / "run" / "model").mkdir(parents=True)
    settings = yaml.safe_dump(BASES["train"])
    (place / "run" / "config.yaml").write_text(f"{settings}model.options.a: {code}\n")
    assert check([command, "run"], place) == 2


@st.composite
def configurations(draw: st.DrawFn) -> tuple[str, str]:
    """Draw a command and the text of a file for it: mostly right, and hostile in places."""
    name = draw(Names)
    keys = FIELDS[name] + [f"overrides.{key}" for key in RECIPE_KEYS]
    lines = []
    for _ in range(draw(st.integers(1, 3))):
        key = draw(st.sampled_from(keys) | st.text(max_size=5))
        lines.append(f"{key}: {draw(st.sampled_from(HOSTILE) | st.text(max_size=8))}")
    base = draw(st.sampled_from(["", yaml.safe_dump(BASES[name])]))
    return name, base + "\n".join(lines) + "\n"


COMMANDS = st.sampled_from([name for name in cli.COMMANDS if name in (*BASES, "benchmark")])
WORDS = st.lists(
    st.sampled_from(HOSTILE)
    | st.sampled_from([f"--{key}" for keys in FIELDS.values() for key in keys])
    | st.sampled_from([f"--overrides.{key}" for key in RECIPE_KEYS])
    | st.sampled_from(["--", "-x", "--num=", "--=", "--config", "--overrides.", "--a.b", "---"])
    | st.text(max_size=6).filter(lambda text: "help" not in text),
    max_size=8,
).map(lambda words: [word.replace("\n", " ") for word in words])

quick = settings(
    derandomize=True,
    deadline=None,
    max_examples=80,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
long = settings(quick, max_examples=5000)


@quick
@given(case=configurations())
def test_any_file_is_refused_in_a_sentence_or_understood(
    case: tuple[str, str], place: Path
) -> None:
    check_file(*case, place)


@quick
@given(name=COMMANDS, words=WORDS)
def test_any_words_are_refused_or_understood(name: str, words: list[str], place: Path) -> None:
    check([name, *words], place)


@quick
@given(name=Names, text=st.text(max_size=200) | st.binary(max_size=200))
def test_any_bytes_are_refused_in_a_sentence(name: str, text: str | bytes, place: Path) -> None:
    file = place / "config.yaml"
    file.write_bytes(text if isinstance(text, bytes) else text.encode("utf-8", "surrogatepass"))
    assert check([name, "config.yaml"], place) == 2


@pytest.mark.slow
@long
@given(case=configurations())
def test_any_of_many_files_is_refused_or_understood(case: tuple[str, str], place: Path) -> None:
    check_file(*case, place)


@pytest.mark.slow
@long
@given(name=COMMANDS, words=WORDS)
def test_any_of_many_words_are_refused_or_understood(
    name: str, words: list[str], place: Path
) -> None:
    check([name, *words], place)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--num", "1000000000"], "GB are free at .*: lower num"),
        (["--num", "1000000000000000000"], "lower num"),
        (["--num", "1", "--overrides.num_pix", "1000000"], "num_pix must be at most 4096"),
        (["--num", "1", "--overrides.name", "mine"], "overrides.name cannot be changed"),
        (["--num", "1", "--overrides.summary", "mine"], "overrides.summary cannot be changed"),
        (["--num", "1", "--overrides.instrument.psf_kernel", "/dev/zero"], "no regular file"),
        (
            ["--num", "1", "--overrides.instrument.noise_correlation", "/dev/zero"],
            "no regular file",
        ),
        (["--num", "1", "--overrides.source.n_sersic", "0.2"], "n_sersic must lie between 0.3"),
        (["--num", "1", "--overrides.source.e1", "1"], "source: e1 must lie between"),
        (["--num", "1", "--overrides.populations.axion.mass", "-1"], "mass must always be above 0"),
        (["--num", "1", "--overrides.lens.mass", ".inf"], "holds inf: give a finite number"),
        (["--num", "1", "--num_workers", "1000000000"], "num_workers must be at most 1024"),
        (["--num", "1", "--out", "."], "which is no name"),
        (["--num", "1", "--out", ""], "out is empty"),
        (["--num", "1", "--out", "notes.txt"], "is a file: give another folder"),
        (["--num", "1", "--out", "notes.txt/x"], "is a file: give another folder"),
    ],
)
def test_an_absurd_simulation_is_refused_before_anything_is_made(
    words: list[str], said: str, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.undo()  # the command itself, not what `no_work` put in its place
    base = ["simulate", "--recipe", "survey/hst", "--out", "x.zarr", "--engine", "eager"]
    outcome = run_cli([*base, *words], place)
    assert outcome.is_right, outcome
    assert outcome.status == 2
    assert re.search(said, outcome.stderr), outcome.stderr


def test_a_foreign_folder_is_left_as_it_is(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    folder = place / "x.zarr"
    folder.mkdir()
    (folder / "mine").touch()
    outcome = run_cli(["simulate", "--recipe=survey/hst", "--num=1", "--out=x.zarr"], place)
    assert (outcome.status, outcome.written) == (2, ())
