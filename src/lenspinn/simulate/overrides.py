"""Changing nested frozen dataclasses by key, and writing them out plainly."""

import dataclasses
import math
import types
import typing
from collections.abc import Mapping
from typing import Any, TypeVar

from lenspinn.errors import ConfigError
from lenspinn.nearest_name import nearest_name
from lenspinn.overlay import nested
from lenspinn.plain_yaml import LARGEST_INTEGER, parse_yaml, shown
from lenspinn.simulate.distributions import Distribution, as_distribution, as_plain

__all__ = ["to_plain", "with_overrides"]

Node = TypeVar("Node")


def with_overrides(node: Node, overrides: Mapping[str, Any]) -> Node:
    """Return a copy of a dataclass with some of its keys changed, all at once.

    Parameters
    ----------
    node
        A frozen dataclass; its fields are numbers, text, distributions, dataclasses, or mappings
        from names to dataclasses.
    overrides
        New values by key, nested or dotted: ``{"lens.e1": 0.0}`` is ``{"lens": {"e1": 0.0}}``.

    Raises
    ------
    ConfigError
        If a key is unknown (the nearest right one is named), or its value is of the wrong type or
        refused by the dataclass.
    """
    changed: Node = _changed(node, nested(overrides), "")
    return changed


def to_plain(node: Any) -> Any:
    """Return dataclasses as dictionaries and distributions in their YAML form."""
    if isinstance(node, Distribution):
        return as_plain(node)
    if isinstance(node, Mapping):
        return {key: to_plain(value) for key, value in node.items()}
    if dataclasses.is_dataclass(node):
        return {key: to_plain(getattr(node, key)) for key in _keys(node)}
    return node


def _changed(node: Any, tree: Mapping[str, Any], prefix: str) -> Any:
    known = list(node) if isinstance(node, Mapping) else _keys(node)
    for key in tree:
        if key not in known:
            raise ConfigError(f"there is no {prefix}{key[:80]}; {nearest_name(key[:80], known)}")
    if isinstance(node, Mapping):
        for key, value in tree.items():
            if not isinstance(value, Mapping):
                raise ConfigError(f"{prefix}{key} must be a mapping of changes, got {shown(value)}")
        return {**node, **{k: _changed(node[k], v, f"{prefix}{k}.") for k, v in tree.items()}}
    hints = typing.get_type_hints(type(node))
    new = {
        key: _new_value(getattr(node, key), value, _choices(hints[key]), prefix + key)
        for key, value in tree.items()
    }
    try:
        return dataclasses.replace(node, **new)
    except ConfigError as error:
        where = f"{prefix.removesuffix('.')}: " if prefix else ""
        raise ConfigError(f"{where}{error}") from None


def _new_value(old: Any, value: Any, kinds: tuple[Any, ...], key: str) -> Any:
    """Read one value as what the field is declared to be."""
    if value is None and type(None) in kinds:
        return None
    if set(typing.get_args(Distribution)) <= set(kinds):
        return as_distribution(value, key)
    if isinstance(value, Mapping) and (dataclasses.is_dataclass(old) or isinstance(old, Mapping)):
        return _changed(old, value, f"{key}.")
    if isinstance(value, Mapping) and old is None:
        raise ConfigError(f"{key} is none in this recipe: start from a recipe that has it")
    if isinstance(value, str) and str not in kinds:
        value = _number(value) if float in kinds else parse_yaml(value, key)
    if isinstance(value, int) and not isinstance(value, bool) and float in kinds:
        value = float(value) if abs(value) < LARGEST_INTEGER else math.inf
    if isinstance(value, float) and not math.isfinite(value):
        raise ConfigError(f"{key} is {value}: give a finite number")
    if type(value) in kinds:
        return value
    names = " or ".join("none" if kind is type(None) else kind.__name__ for kind in kinds)
    raise ConfigError(f"{key} must be {names}, got {shown(value)}")


def _number(text: str) -> float | str:
    """Read a number: YAML takes 1e6 for text, and the command line gives nothing but text."""
    try:
        return float(text)
    except ValueError:
        return text


def _choices(hint: Any) -> tuple[Any, ...]:
    """Return the types a field may have, without their parameters."""
    if isinstance(hint, types.UnionType) or typing.get_origin(hint) is typing.Union:
        return typing.get_args(hint)
    return (typing.get_origin(hint) or hint,)


def _keys(node: Any) -> list[str]:
    return [field.name for field in dataclasses.fields(node)]
