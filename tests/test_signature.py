import inspect
import typing
from pathlib import Path

import pytest

from lenspinn import cli
from lenspinn.signature import read_signature

FUNCTIONS = [c.function for c in cli.COMMANDS.values() if c.config_class is None]


@pytest.mark.parametrize("path", FUNCTIONS)
def test_what_is_read_is_what_the_function_of_each_command_has(path):
    read, function = read_signature(*path.split(":")), cli._load(path)
    assert read.__doc__ == function.__doc__
    assert {n: (p.kind, p.default) for n, p in inspect.signature(read).parameters.items()} == {
        n: (p.kind, p.default) for n, p in inspect.signature(function).parameters.items()
    }
    hints = typing.get_type_hints(function)
    hints.pop("return", None)
    assert typing.get_type_hints(read) == hints


def test_a_function_is_found_through_the_package_that_exports_it():
    read = read_signature("lenspinn", "measure_image")
    assert inspect.signature(read).parameters["out"].default == Path("measured")


@pytest.mark.parametrize(
    ("module", "name"),
    [
        ("lenspinn.nowhere", "work"),
        ("lenspinn.cli", "absent"),
        ("lenspinn.cli", "COMMANDS"),
        ("lenspinn.data.transforms", "check_image"),  # of tensors
        ("", "work"),
    ],
)
def test_what_the_source_alone_cannot_tell_is_a_lookup_error(module, name):
    with pytest.raises(LookupError):
        read_signature(module, name)
