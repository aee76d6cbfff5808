from dataclasses import dataclass
from pathlib import Path

import pytest

from lenspinn.config_help import show_call_help, show_config_help
from lenspinn.plain_yaml import Plain


@dataclass(frozen=True, kw_only=True)
class Job:
    """A configuration."""

    out: Path
    """Where it goes."""
    changes: dict[str, Plain]
    """Anything plain."""


def observe(images: list[Path], picture: Path | None = None, *, zoom: float = 1.0) -> None:
    """Observe.

    Parameters
    ----------
    images
        What is looked at.
    picture
        Where to draw it.
    zoom
        How much larger.
    """


def test_help_of_a_configuration_has_the_docstring_of_each_field(
    capsys: pytest.CaptureFixture,
) -> None:
    with pytest.raises(SystemExit) as stop:
        show_config_help(Job, prog="lenspinn job")
    text = capsys.readouterr().out
    assert stop.value.code == 0
    assert "usage: lenspinn job" in text
    assert "Where it goes." in text
    assert "--changes" in text


def test_help_of_a_function_has_the_docstring_of_each_argument(
    capsys: pytest.CaptureFixture,
) -> None:
    with pytest.raises(SystemExit):
        show_call_help(observe, prog="lenspinn observe")
    text = capsys.readouterr().out
    assert all(meaning in text for meaning in ("What is looked at.", "Where to draw it.", "--zoom"))
