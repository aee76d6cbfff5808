"""YAML files and dotted overrides in, frozen dataclasses out.

``parse_config(TrainConfig, ["configs/train/small.yaml", "--lr", "3e-4"])`` is what the command
line calls; a key that no field knows is an error that names the nearest right one.
"""

import dataclasses
import difflib
import inspect
import itertools
import json
import shlex
import typing
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import docstring_parser
import yaml
from docstring_parser import DocstringStyle
from jsonargparse import (  # type: ignore[attr-defined]  # re-exported through its star imports
    ActionConfigFile,
    ArgumentError,
    ArgumentParser,
    set_parsing_settings,
)

from lenspinn.errors import ConfigError

__all__ = ["command_line", "dotted", "parse_call", "parse_config", "to_dict"]

Config = TypeVar("Config")

# The docstring below each field of a configuration is its help text.
set_parsing_settings(
    docstring_parse_attribute_docstrings=True, docstring_parse_style=DocstringStyle.NUMPYDOC
)


def parse_config(
    config_class: type[Config], arguments: Sequence[str] = (), **parser_text: Any
) -> Config:
    """Resolve a configuration from a YAML file and overrides.

    Parameters
    ----------
    config_class
        A dataclass; nested dataclasses and dictionaries become dotted keys.
    arguments
        Optionally the path of a YAML file, then ``--key value`` pairs that override it.
    **parser_text
        ``prog`` and ``description`` shown by ``--help``.

    Raises
    ------
    ConfigError
        If the file is missing or is not a mapping, a key is unknown (the nearest right key is
        named), or a value has the wrong type or is out of range.
    """
    arguments = list(arguments)
    if arguments and not arguments[0].startswith("-"):
        arguments = ["--config", *arguments]
    known = _known_keys(config_class) | {"config"}
    for position, argument in enumerate(arguments):
        if argument == "--config" and position + 1 < len(arguments):
            _check_keys(_yaml_keys(Path(arguments[position + 1])), known, arguments[position + 1])
    parser = ArgumentParser(exit_on_error=False, allow_abbrev=False, **parser_text)
    parser.add_argument("--config", action=ActionConfigFile, help="YAML file with the same keys")
    parser.add_class_arguments(config_class, None)
    values = _parse(parser, arguments, known)
    values.pop("config")
    return config_class(**values)


def parse_call(
    function: Callable[..., Any], arguments: Sequence[str], **parser_text: Any
) -> dict[str, Any]:
    """Resolve the arguments of a function: keyword-only ones are options, the others positional.

    A positional argument that is a list takes one word or more; an option that is true or false
    may stand alone, which means true.

    Raises
    ------
    ConfigError
        As in `parse_config`.
    """
    parameters = inspect.signature(function).parameters
    hints = typing.get_type_hints(function)
    words = [name for name, p in parameters.items() if p.kind is not p.KEYWORD_ONLY]
    parser = ArgumentParser(exit_on_error=False, allow_abbrev=False, **parser_text)
    described = docstring_parser.parse(function.__doc__ or "", DocstringStyle.NUMPYDOC).params
    meaning = {parameter.arg_name: parameter.description for parameter in described}
    for name in words:
        kind, count = hints[name], dict[str, Any]()
        if typing.get_origin(kind) is list:
            (kind,), count = typing.get_args(kind), {"nargs": "+"}
        elif parameters[name].default is not inspect.Parameter.empty:
            count = {"nargs": "?", "default": parameters[name].default}
        parser.add_argument(name, type=kind, help=meaning.get(name), **count)
    parser.add_function_arguments(function, skip=set(words))
    switches = {name for name, hint in hints.items() if hint is bool}
    return _parse(parser, _with_values(arguments, switches), parameters)


def _parse(
    parser: ArgumentParser, arguments: Sequence[str], known: Iterable[str]
) -> dict[str, Any]:
    """Parse ``arguments``, turning whatever the parser refuses into one ConfigError sentence."""
    arguments = [_with_underscores(argument) for argument in arguments]
    given = [a.removeprefix("--").split("=")[0] for a in arguments if a.startswith("--")]
    _check_keys([key for key in given if key not in {"help", "print_config"}], known, "--")
    try:
        namespace = parser.parse_args(arguments)
        return dict(vars(parser.instantiate(namespace)))
    except ArgumentError as error:
        raise ConfigError(" ".join(str(error).split())) from error


def _with_values(arguments: Sequence[str], switches: set[str]) -> list[str]:
    """Read --dry_run as --dry_run true."""
    words = []
    for argument, following in itertools.pairwise([*arguments, "--"]):
        words.append(argument)
        is_switch = _with_underscores(argument).removeprefix("--") in switches
        if argument.startswith("--") and is_switch and following.startswith("--"):
            words.append("true")
    return words


def _with_underscores(argument: str) -> str:
    """Read --num-workers as --num_workers: options are spelt like the fields they fill."""
    if not argument.startswith("--"):
        return argument
    key, equals, value = argument[2:].partition("=")
    return f"--{key.replace('-', '_')}{equals}{value}"


def to_dict(config: Any) -> dict[str, Any]:
    """Turn a configuration into what JSON and YAML can hold: paths as text, tuples as lists."""

    def plain(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: plain(item) for key, item in value.items()}
        if isinstance(value, list | tuple):
            return [plain(item) for item in value]
        return str(value) if isinstance(value, Path) else value

    return typing.cast(dict[str, Any], plain(dataclasses.asdict(config)))


def command_line(name: str, config: Any) -> str:
    """Return the command that takes a configuration, every option spelt out."""
    options = [
        word
        for key, value in to_dict(config).items()
        if value not in (None, {}, [])
        for word in (f"--{key}", value if isinstance(value, str) else json.dumps(value))
    ]
    return shlex.join(["lenspinn", name, *options])


def dotted(nested: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """Flatten nested keys to dotted ones; an empty dictionary has none."""
    flat: dict[str, Any] = {}
    for key, value in nested.items():
        flat |= (
            dotted(value, f"{prefix}{key}.") if isinstance(value, dict) else {prefix + key: value}
        )
    return flat


def _known_keys(config_class: type, prefix: str = "") -> set[str]:
    """Dotted keys of a dataclass; a key that ends in ``.`` takes any continuation."""
    keys = set()
    hints = typing.get_type_hints(config_class)
    for field in dataclasses.fields(config_class):
        kind, key = hints[field.name], prefix + field.name
        keys.add(key)
        if dataclasses.is_dataclass(kind):
            keys |= _known_keys(typing.cast(type, kind), key + ".")
        elif typing.get_origin(kind) is dict or kind is dict:
            keys.add(key + ".")
    return keys


def _yaml_keys(path: Path) -> list[str]:
    if not path.is_file():
        raise ConfigError(f"there is no configuration file {path}")
    try:
        content = yaml.safe_load(path.read_text())
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} is not valid YAML: {' '.join(str(error).split())}") from error
    if not isinstance(content, dict):
        raise ConfigError(f"{path} must hold 'key: value' lines, got {type(content).__name__}")
    return list(_flatten(content))


def _flatten(content: dict[str, Any], prefix: str = "") -> Iterable[str]:
    for key, value in content.items():
        if isinstance(value, dict) and value:
            yield from _flatten(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}"


def _check_keys(keys: Iterable[str], known: Iterable[str], origin: str) -> None:
    known = set(known)
    stems = tuple(name for name in known if name.endswith("."))
    choices = sorted(known - set(stems))
    for key in keys:
        if key in known or key.startswith(stems):
            continue
        nearest = difflib.get_close_matches(key, choices, n=1, cutoff=0.4)
        hint = f"did you mean '{nearest[0]}'?" if nearest else f"known keys: {', '.join(choices)}"
        where = "option --" if origin == "--" else f"key of {origin}: "
        raise ConfigError(f"unknown {where}{key}; {hint}")
