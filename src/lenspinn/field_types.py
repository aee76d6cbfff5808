"""Plain values read as the declared type of a configuration field."""

import dataclasses
import types
import typing
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

from lenspinn.errors import ConfigError
from lenspinn.nearest_name import nearest_name
from lenspinn.overlay import overlaid
from lenspinn.plain_yaml import parse_yaml, shown

__all__ = ["as_declared", "constructed", "read_word"]

Class = TypeVar("Class")

_NAMES: dict[Any, str] = {
    bool: "true or false (bool)",
    int: "a whole number (int)",
    float: "a number (float)",
    str: "text",
    Path: "a path",
    list: "a list",
    dict: "a mapping",
    type(None): "null",
}


def read_word(text: str, hint: Any, key: str) -> Any:
    """Read a word of the command line as the plain value of a field.

    Parameters
    ----------
    text
    hint
        Declared type; where it is a text or a path, the word is taken as it stands.
    key
        Key of the field, for error messages.

    Raises
    ------
    ConfigError
        If `lenspinn.plain_yaml.parse_yaml` refuses the word for another reason than its syntax.
    """
    choices = _choices(hint)
    of_text = [c for c in choices if c in (str, Path) or typing.get_origin(c) is typing.Literal]
    if of_text:
        if text == "null" and type(None) in choices:
            return None
        first = choices[: choices.index(of_text[0])]  # as int in int | str
        return next((number for kind in first for number in _as_number(text, kind)), text)
    try:
        return parse_yaml(text, f"--{key}")
    except ConfigError as error:
        if "is not valid YAML" in str(error) and not text.lstrip().startswith(("!", "&", "*")):
            return text
        raise


def _as_number(text: str, kind: Any) -> list[int | float]:
    """Return a list of the number that a word is read as, empty if it is none of that kind."""
    try:
        return [kind(text)] if kind in (int, float) else []
    except ValueError:
        return []


def as_declared(value: Any, hint: Any, key: str) -> Any:
    """Read a plain value as the type of its field.

    Parameters
    ----------
    value
        Null, a truth value, number, text, list or mapping.
    hint
        Declared type: bool, int, float, str, Path, None, a Literal, a list, tuple or dictionary of
        these types, a dataclass, or a union.
    key
        Key of the field, for error messages.

    Raises
    ------
    ConfigError
        If the value has none of the declared types; the sentence names the key and the types.
    """
    for choice in _choices(hint):
        taken, result = _tried(value, choice, key)
        if taken:
            return result
    allowed = " or ".join(_described(choice) for choice in _choices(hint))
    raise ConfigError(f"{key} must be {allowed}, got {shown(value)}")


def constructed(kind: type[Class], settings: Mapping[str, Any], prefix: str = "") -> Class:
    """Make a dataclass from plain settings.

    Parameters
    ----------
    kind
        A dataclass; its fields have types that `as_declared` reads.
    settings
        Values by key, nested or dotted. A mapping is laid over the default mapping of its field.
    prefix
        Text in front of each key in error messages.

    Raises
    ------
    ConfigError
        If a key is unknown or missing, a value is not of its type, or the dataclass refuses it.
    """
    given: dict[str, Any] = {}
    for key, value in settings.items():
        first, _, rest = key.partition(".")
        given = overlaid(given, {first: {rest: value} if rest else value})
    fields = {field.name: field for field in dataclasses.fields(kind)}  # type: ignore[arg-type]
    for name in given:
        if name not in fields:
            raise ConfigError(f"unknown key {prefix}{name}; {nearest_name(name, fields)}")
    hints = typing.get_type_hints(kind)
    for name, field in fields.items():
        default = None if _is_required(field) or name not in given else _default(field)
        if isinstance(default, Mapping) and isinstance(given[name], Mapping):
            given[name] = overlaid(default, given[name])
        if name not in given and _is_required(field) and dataclasses.is_dataclass(hints[name]):
            given[name] = {}  # its own error then says which keys are missing
    missing = [prefix + name for name, f in fields.items() if _is_required(f) and name not in given]
    if missing:
        raise ConfigError(f"required, and not given: {', '.join(missing)}")
    return kind(**{k: as_declared(value, hints[k], prefix + k) for k, value in given.items()})


def _default(field: dataclasses.Field) -> Any:
    made = field.default_factory
    return field.default if made is dataclasses.MISSING else made()


def _is_required(field: dataclasses.Field) -> bool:
    nothing = dataclasses.MISSING
    return field.default is nothing and field.default_factory is nothing


def _tried(value: Any, kind: Any, key: str) -> tuple[bool, Any]:
    """Return whether a value is of a kind, and the value read as that kind."""
    origin, parts = typing.get_origin(kind) or kind, typing.get_args(kind)
    if origin is typing.Literal:
        return value in parts, value
    if dataclasses.is_dataclass(kind) and isinstance(value, Mapping):
        return True, constructed(typing.cast(type, kind), value, f"{key}.")
    if origin is float and isinstance(value, int) and not isinstance(value, bool):
        return True, float(value)
    if origin is Path and isinstance(value, str):
        if not value:
            raise ConfigError(f"{key} is empty: give a path")
        return True, Path(value)
    if origin is tuple and isinstance(value, list) and len(value) == len(parts):
        items = enumerate(zip(value, parts, strict=True))
        return True, tuple(as_declared(item, part, f"{key}[{n}]") for n, (item, part) in items)
    if type(value) is not origin:
        return False, None
    if origin is list and parts:
        return True, [as_declared(item, parts[0], f"{key}[{n}]") for n, item in enumerate(value)]
    if origin is dict and parts:
        return True, {k: as_declared(item, parts[1], f"{key}.{k}") for k, item in value.items()}
    return True, value


def _choices(hint: Any) -> tuple[Any, ...]:
    if isinstance(hint, types.UnionType) or typing.get_origin(hint) is typing.Union:
        return typing.get_args(hint)
    return (hint,)


def _described(kind: Any) -> str:
    origin, parts = typing.get_origin(kind) or kind, typing.get_args(kind)
    if origin is typing.Literal:
        return f"one of {', '.join(map(str, parts))}"
    if origin is tuple:
        return f"a list of {len(parts)}"
    return "a mapping of settings" if dataclasses.is_dataclass(kind) else _NAMES[origin]
