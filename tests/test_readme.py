"""What the README tells a reader to type works."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[1]
README = (REPOSITORY / "README.md").read_text()
PYTHON_BLOCKS = re.findall(r"```python\n(.*?)```", README, flags=re.DOTALL)
COMMANDS = re.findall(r"^lenspinn (.+)$", README, flags=re.MULTILINE)
LINKS = [link for link in re.findall(r"\]\(([^)]+)\)", README) if "://" not in link]


def test_the_python_example_runs() -> None:
    (example,) = PYTHON_BLOCKS
    names: dict = {}
    exec(example, names)
    assert names["probabilities"].sum(axis=1) == pytest.approx(1)


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_is_understood(command: str, is_understood: Callable[[str], bool]) -> None:
    assert is_understood(command)


@pytest.mark.parametrize("link", LINKS)
def test_every_link_leads_to_a_file(link: str) -> None:
    assert (REPOSITORY / link).exists()


def test_it_is_short() -> None:
    assert len(README.splitlines()) <= 100
