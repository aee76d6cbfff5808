import errno
import io
import os
import subprocess
import sys
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import pytest

from lenspinn import cli
from lenspinn.errors import DataError


@dataclass(frozen=True, kw_only=True)
class JobConfig:
    """What to do."""

    out: Path
    """Where it goes."""


def work(config: JobConfig) -> list[Path]:
    return [config.out, config.out / "picture.png"]


def refuse(name: str) -> None:
    """Refuse everything."""
    raise DataError(f"{name} is unusable")


def fill_the_disk() -> None:
    """Fail as a full disk does."""
    raise OSError(28, "No space left on device", "x.zarr")


def press_ctrl_c() -> None:
    """Behave as if Ctrl-C was pressed."""
    raise KeyboardInterrupt


def break_down() -> None:
    """Hold a bug."""
    raise ZeroDivisionError("a bug")


@pytest.fixture
def commands(monkeypatch: pytest.MonkeyPatch) -> None:
    """Commands for every way in which a function can end."""
    functions = (refuse, fill_the_disk, press_ctrl_c, break_down)
    table = {f.__name__: cli.Command(f":{f.__name__}", "does it", "") for f in functions}
    table["work"] = cli.Command(":work", "works", "lenspinn work --out x", ":JobConfig")
    monkeypatch.setattr(cli, "COMMANDS", table)
    monkeypatch.setattr(cli, "_load", lambda path: globals()[path.removeprefix(":")])


@pytest.mark.usefixtures("commands")
def test_what_a_command_returns_is_printed_a_line_each(capsys: pytest.CaptureFixture) -> None:
    assert cli.main(["work", "--out", "here"]) == 0
    assert capsys.readouterr().out == "here\nhere/picture.png\n"


@pytest.mark.usefixtures("commands")
@pytest.mark.parametrize(
    ("words", "status", "text"),
    [
        (["refuse", "it"], 2, "lenspinn: it is unusable\n"),
        (["fill_the_disk"], 2, "No space left on device"),
        (["press_ctrl_c"], 130, "continues where it stopped"),
        (["break_down"], 1, "this is a bug: ZeroDivisionError: a bug"),
        (["work", "--ouut", "x"], 2, "did you mean 'out'"),
        (["wrok"], 2, "unknown command 'wrok'"),
    ],
)
def test_every_failure_is_one_sentence_and_a_status(
    words: list[str], status: int, text: str, capsys: pytest.CaptureFixture
) -> None:
    assert cli.main(words) == status
    printed = capsys.readouterr()
    assert text in printed.err
    assert printed.err.count("\n") == 1
    assert printed.out == ""


@pytest.mark.usefixtures("commands")
def test_a_former_name_is_taken_and_the_new_one_said(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    monkeypatch.setattr(cli, "FORMER_COMMANDS", {"toil": "work"})
    assert cli.main(["toil", "--out", "here"]) == 0
    printed = capsys.readouterr()
    assert printed.out == "here\nhere/picture.png\n"
    assert printed.err.startswith("lenspinn: `lenspinn toil` is now `lenspinn work`")
    assert printed.err.count("\n") == 1


def test_every_former_name_leads_to_a_command() -> None:
    assert set(cli.FORMER_COMMANDS.values()) <= set(cli.COMMANDS)
    assert not set(cli.FORMER_COMMANDS) & set(cli.COMMANDS)


@pytest.mark.usefixtures("commands")
def test_debug_shows_the_traceback(capsys: pytest.CaptureFixture) -> None:
    assert cli.main(["break_down", "--debug"]) == 1
    assert "Traceback" in capsys.readouterr().err


@pytest.mark.usefixtures("commands")
def test_help_of_a_command_teaches_by_example(capsys: pytest.CaptureFixture) -> None:
    assert cli.main(["work", "--help"]) == 0
    help_text = capsys.readouterr().out
    assert "lenspinn work --out x" in help_text
    assert "Where it goes." in help_text


def test_without_words_every_command_is_explained(capsys: pytest.CaptureFixture) -> None:
    assert cli.main([]) == 0
    overview = capsys.readouterr().out
    assert all(f"  {name}" in overview for name in cli.COMMANDS)


def test_the_version_is_that_of_the_installed_package(capsys: pytest.CaptureFixture) -> None:
    assert cli.main(["--version"]) == 0
    assert capsys.readouterr().out == f"lenspinn {version('lenspinn')}\n"


def test_help_lists_and_the_version_load_nothing_heavy() -> None:
    code = """
import sys
from lenspinn import cli
for words in [[name, "--help"] for name in cli.COMMANDS] + [["recipes"], ["models"], ["--version"]]:
    assert cli.main(words) == 0, words
print([name for name in ("numpy", "torch", "scipy", "astropy") if name in sys.modules])
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


def test_a_wrong_option_is_refused_before_anything_heavy_is_loaded() -> None:
    code = """
import sys
from lenspinn import cli
print(cli.main(["measure", "lens.fits", "--nosie", "x.fits"]), "torch" in sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["2", "False"]
    assert "did you mean 'noise'" in done.stderr


@pytest.mark.parametrize("given", [None, "7"])
def test_a_core_is_left_to_others_unless_the_user_says_how_many_threads(given: str | None) -> None:
    code = "from lenspinn import cli; import os; cli.main(['models']); print(dict(os.environ))"
    environment = {name: value for name, value in os.environ.items() if name != "OMP_NUM_THREADS"}
    if given is not None:
        environment["OMP_NUM_THREADS"] = given
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True
    )
    expected = given or str(max(1, len(os.sched_getaffinity(0)) - 1))
    assert f"'OMP_NUM_THREADS': '{expected}'" in done.stdout


def test_where_nothing_can_be_said_the_exit_status_is_the_same(monkeypatch):
    class Full(io.StringIO):
        def write(self, text: str) -> int:
            raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(sys, "stderr", Full())
    assert cli.main(["nothing"]) == 2
