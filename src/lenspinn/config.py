"""Frozen dataclasses from YAML files and dotted overrides.

``parse_config(TrainConfig, ["configs/train/small.yaml", "--lr", "3e-4"])`` is what the command
line calls; a key that no field knows is an error that names the nearest right one. Values are plain
(`lenspinn.plain_yaml`) until they become those of a field: nothing in a configuration is run.
"""

import dataclasses
import inspect
import json
import shlex
import sys
import typing
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import yaml

from lenspinn.errors import ConfigError
from lenspinn.field_types import as_declared, constructed, read_word
from lenspinn.nearest_name import nearest_name
from lenspinn.overlay import overlaid
from lenspinn.plain_yaml import DEEPEST, check_plain, check_text, read_yaml, shown

__all__ = [
    "build_config",
    "command_line",
    "dotted",
    "parse_call",
    "parse_config",
    "settings_command",
    "to_dict",
]

Config = TypeVar("Config")

MOST_OPTIONS = 1000
_HELP = ("-h", "--help")
_PRINT = "print_config"
_PRINTED = ("", "skip_default", "skip_unset")
"""Flags that --print_config knows."""


def parse_config(
    config_class: type[Config], arguments: Sequence[str] = (), **parser_text: Any
) -> Config:
    """Resolve a configuration from YAML files and overrides.

    Files and options are laid over each other in their order: the later one wins key by key, and
    keys of only one of them stay. All values are plain; nothing in them is run.

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
        If the file is missing or is not a mapping of plain values (`lenspinn.plain_yaml`), a key is
        unknown (the nearest right key is named), or a value has the wrong type or is out of range.
    """
    arguments = list(arguments)
    if any(word in _HELP for word in arguments):
        from lenspinn.config_help import show_config_help

        show_config_help(config_class, **parser_text)
    if arguments and not arguments[0].startswith("-"):
        arguments = ["--config", *arguments]
    places, options = _split(arguments)
    if places:
        raise ConfigError(
            f"{shown(places[0])} is no option: the YAML file comes first, then --key value pairs"
        )
    known = _known_keys(config_class)
    settings: dict[str, Any] = {}
    for key, text in options:
        if key != _PRINT:
            settings = overlaid(settings, _layer(key, text, known))
    flags = [text for key, text in options if key == _PRINT]
    if flags:
        _print_settings(config_class, settings, flags[-1])
    try:
        return constructed(config_class, settings)
    except ConfigError as error:
        if [key for key, _ in options] != ["config"]:
            raise
        raise ConfigError(f"{options[0][1]}: {error}") from error


def build_config(config_class: type[Config], settings: Mapping[str, Any]) -> Config:
    """Resolve a configuration from plain values, by nested or dotted key.

    Raises
    ------
    ConfigError
        As `parse_config`.
    """
    check_plain(settings, "a configuration")
    known = _known_keys(config_class)
    _check_keys(dict(_flatten(settings, known)), known, "key ")
    return constructed(config_class, settings)


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
    if any(word in _HELP for word in arguments):
        from lenspinn.config_help import show_call_help

        show_call_help(function, **parser_text)
    parameters = inspect.signature(function).parameters
    hints = typing.get_type_hints(function)
    switches = {name for name in parameters if hints[name] is bool}
    places, options = _split(arguments, switches)
    values: dict[str, Any] = {}
    for key, text in options:
        _check_keys([key], parameters, "option --")
        values[key] = as_declared(read_word(text, hints[key], key), hints[key], key)
    by_place = [n for n, p in parameters.items() if p.kind is not p.KEYWORD_ONLY]
    values |= _placed(places, {name: hints[name] for name in by_place if name not in values})
    missing = [n for n, p in parameters.items() if p.default is p.empty and n not in values]
    if missing:
        raise ConfigError(f"required, and not given: {', '.join(missing)}")
    return {name: values.get(name, parameter.default) for name, parameter in parameters.items()}


def _placed(words: list[str], hints: Mapping[str, Any]) -> dict[str, Any]:
    """Read words without an option name as the positional arguments, in their order."""
    values: dict[str, Any] = {}
    for name, hint in hints.items():
        if not words:
            break
        several = typing.get_origin(hint) is list
        kind = typing.get_args(hint)[0] if several else hint
        taken, words = (words, []) if several else (words[:1], words[1:])
        read = [as_declared(read_word(word, kind, name), kind, name) for word in taken]
        values[name] = read if several else read[0]
    if words:
        raise ConfigError(f"{shown(words[0])} is one argument too many: --help lists them")
    return values


def _split(
    arguments: Sequence[str], switches: Iterable[str] = ()
) -> tuple[list[str], list[tuple[str, str]]]:
    """Split words into those without an option name, and options with their values."""
    places: list[str] = []
    options: list[tuple[str, str]] = []
    words = iter([*map(_checked, arguments), None])
    following = next(words)
    while following is not None:
        word, following = following, next(words)
        if not word.startswith("--"):
            if word.startswith("-") and not word[1:2].isdigit():
                raise ConfigError(f"unknown option {shown(word)}: options begin with --")
            places.append(word)
            continue
        key, equals, text = word[2:].partition("=")
        key = key.replace("-", "_")  # options are spelt like the fields they fill
        if not equals and key != _PRINT:
            if following is not None and not following.startswith("--"):
                text, following = following, next(words)
            elif key in switches:
                text = "true"
            else:
                raise ConfigError(f"--{key} needs a value: give --{key} VALUE")
        if key.count(".") > DEEPEST:
            raise ConfigError(f"--{key[:60]}... is nested too deep: {DEEPEST} levels are allowed")
        options.append((key, text))
    if len(options) > MOST_OPTIONS:
        raise ConfigError(f"there are more than {MOST_OPTIONS} options: put them into a YAML file")
    return places, options


def _checked(word: str) -> str:
    check_text(word, "the command line")
    return word


def _settings_of(path: str, key: str, hint: Any) -> dict[str, Any]:
    """Read the file of a key with fields of its own; often the name of one was meant."""
    fields = [field.name for field in dataclasses.fields(hint)]
    if "name" in fields and not Path(path).exists():
        raise ConfigError(
            f"there is no file {path}; to choose one by name write --{key}.name {path}"
        )
    return read_yaml(Path(path))


def _layer(key: str, text: str, known: dict[str, Any]) -> dict[str, Any]:
    """Return the settings of a file or of one option, whose keys are known."""
    if key == "config":
        settings = read_yaml(Path(text))
        _check_keys(dict(_flatten(settings, known)), known, f"key of {text}: ")
        return settings
    _check_keys([key], known, "option --")
    hint = known.get(key, dict)  # a key inside a dictionary: any YAML value
    value = read_word(text, hint, key)
    if dataclasses.is_dataclass(hint):  # a key with fields of its own
        if isinstance(value, str):
            value = _settings_of(value, key, hint)
        _check_keys(dict(_flatten({key: value}, known)), known, "option --")
    return {key: value}


def _print_settings(config_class: type, settings: dict[str, Any], flags: str) -> typing.NoReturn:
    """Print the resolved settings as YAML, and end the program."""
    chosen = flags.split(",")
    for flag in chosen:
        if flag not in _PRINTED:
            raise ConfigError(f"--{_PRINT} knows {' and '.join(_PRINTED[1:])}, not {shown(flag)}")
    if "skip_default" not in chosen:
        settings = overlaid(_defaults(config_class, unset="skip_unset" not in chosen), settings)
    sys.stdout.write(yaml.safe_dump(settings, sort_keys=False))
    raise SystemExit(0)


def _defaults(config_class: type, *, unset: bool) -> dict[str, Any]:
    """Return the default settings; null for settings that must be given."""
    settings: dict[str, Any] = {}
    hints = typing.get_type_hints(config_class)
    for field in dataclasses.fields(config_class):
        if dataclasses.is_dataclass(hints[field.name]):
            settings[field.name] = _defaults(typing.cast(type, hints[field.name]), unset=unset)
        elif field.default_factory is not dataclasses.MISSING:
            settings[field.name] = _plain(field.default_factory())
        elif field.default is not dataclasses.MISSING:
            settings[field.name] = _plain(field.default)
        elif unset:
            settings[field.name] = None
    return settings


def to_dict(config: Any) -> dict[str, Any]:
    """Turn a configuration into plain values for JSON and YAML: paths as text, tuples as lists."""
    return typing.cast(dict[str, Any], _plain(dataclasses.asdict(config)))


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return str(value) if isinstance(value, Path) else value


def command_line(name: str, config: Any) -> str:
    """Return the command that takes a configuration, every option spelt out."""
    settings = {k: value for k, value in to_dict(config).items() if value not in (None, {}, [])}
    return shlex.join(["lenspinn", name, *_words(settings)])


def settings_command(name: str, config_class: type, settings: Mapping[str, Any]) -> str:
    """Return the command with some settings of a configuration, by nested or dotted key."""
    known = _known_keys(config_class)
    options: dict[str, Any] = {}
    for key, value in _flatten(settings, known):
        if f"{key}." in known and value:  # keys inside stay as they are written
            options |= {f"{key}.{inner}": item for inner, item in value.items()}
        else:
            options[key] = value
    return shlex.join(["lenspinn", name, *_words(options)])


def _words(settings: Mapping[str, Any]) -> list[str]:
    return [
        word
        for key, value in settings.items()
        for word in (f"--{key}", value if isinstance(value, str) else json.dumps(value))
    ]


def dotted(nested: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """Flatten nested keys to dotted ones; an empty dictionary has none."""
    flat: dict[str, Any] = {}
    for key, value in nested.items():
        flat |= (
            dotted(value, f"{prefix}{key}.") if isinstance(value, dict) else {prefix + key: value}
        )
    return flat


def _known_keys(config_class: type, prefix: str = "") -> dict[str, Any]:
    """Return dotted keys of a dataclass with types; keys ending in ``.`` take any continuation."""
    keys: dict[str, Any] = {}
    hints = typing.get_type_hints(config_class)
    for field in dataclasses.fields(config_class):
        kind, key = hints[field.name], prefix + field.name
        keys[key] = kind
        if dataclasses.is_dataclass(kind):
            keys |= _known_keys(typing.cast(type, kind), key + ".")
        elif typing.get_origin(kind) is dict or kind is dict:
            keys[key + "."] = kind
    return keys


def _flatten(
    content: Mapping[str, Any], known: Iterable[str], prefix: str = ""
) -> Iterator[tuple[str, Any]]:
    """Give the dotted keys of settings with their values, down to where any key is allowed."""
    for key, value in content.items():
        if isinstance(value, Mapping) and value and f"{prefix}{key}." not in known:
            yield from _flatten(value, known, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


def _check_keys(keys: Iterable[str], known: Iterable[str], where: str) -> None:
    stems = tuple(name for name in known if name.endswith("."))
    choices = sorted(set(known) - set(stems))
    for key in keys:
        if key in choices:
            continue
        if "" in key.split(".") or not key.startswith(stems):
            raise ConfigError(f"unknown {where}{key[:80]}; {nearest_name(key[:80], choices)}")
