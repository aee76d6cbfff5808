"""YAML read as plain values alone: null, true and false, numbers, text, lists and mappings.

A configuration may come from a stranger, for example with a model folder. So nothing in it can name
code, and its length, depth and number of values are checked before it takes memory.
"""

import math
import re
from pathlib import Path
from typing import Any

import yaml

from lenspinn.errors import ConfigError
from lenspinn.regular_file import require_regular_file

__all__ = ["Plain", "check_plain", "check_text", "parse_yaml", "read_yaml", "shown"]

Plain = None | bool | int | float | str | list | dict
"""A value that a configuration may hold."""

MOST_BYTES = 2**18
"""Largest size of a file, bytes, or of one word of the command line, characters."""
MOST_VALUES = 5_000
"""Largest number of values in one file; a value repeated by an alias counts each time."""
DEEPEST = 32
"""Largest depth of mappings and lists within each other."""
LARGEST_INTEGER = 2**63
MOST_DIGITS = 40
"""Largest number of characters of a number as it is written."""

NAMES_OF_CODE = ("class_path", "init_args", "dict_kwargs")
"""Keys by which other programs name Python to run; no configuration here has them."""
IMPORT = "import"
"""Option of the command line alone, and no key of a file, which may come from a stranger."""

_TAG = "tag:yaml.org,2002:"
_PLAIN_TAGS = {_TAG + kind for kind in ("null", "bool", "int", "float", "str", "seq", "map")}
_MERGE = _TAG + "merge"
_KEPT = (_TAG + "bool", _TAG + "null", _MERGE)
"""Kinds of plain scalars that are recognised as PyYAML does."""

_Node = yaml.Node


class _PlainLoader(yaml.SafeLoader):
    """Loader of numbers as people write them: 1e-3 is one, 1:30 and 2026-01-01 are text."""

    yaml_implicit_resolvers = {  # noqa: RUF012 - as its base class has it
        first: [(tag, pattern) for tag, pattern in known if tag in _KEPT]
        for first, known in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }


_PlainLoader.add_implicit_resolver(_TAG + "int", re.compile(r"[-+]?[0-9]+$"), [*"-+0123456789"])
_PlainLoader.add_implicit_resolver(
    _TAG + "float",
    re.compile(
        r"[-+]?(?:[0-9]+\.[0-9]*|\.[0-9]+|[0-9]+)(?:[eE][-+]?[0-9]+)?$"
        r"|[-+]?\.(?:inf|Inf|INF)$|\.(?:nan|NaN|NAN)$"
    ),
    [*"-+0123456789."],
)


def read_yaml(path: Path) -> dict[str, Any]:
    """Read a file that holds a mapping of plain values.

    Raises
    ------
    ConfigError
        If there is no such file, it is no regular file or larger than `MOST_BYTES`, or its content
        is no mapping or refused by `parse_yaml`.
    """
    check_text(str(path), "the path of a configuration")
    remedy = "give the path of a YAML file of 'key: value' lines"
    require_regular_file(
        path, "a configuration", most_bytes=MOST_BYTES, error=ConfigError, remedy=remedy
    )
    with path.open("rb") as file:
        content = file.read(MOST_BYTES)
    try:
        text = content.decode()
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path} is not valid YAML: it is no UTF-8 text ({error})") from None
    value = parse_yaml(text, str(path))
    if not isinstance(value, dict):
        kind = "nothing" if value is None else type(value).__name__
        raise ConfigError(f"{path} must hold 'key: value' lines, got {kind}")
    return value


def parse_yaml(text: str, where: str) -> Any:
    """Read plain values from YAML.

    Parameters
    ----------
    text
    where
        Origin of the text, for messages: a file, or an option.

    Raises
    ------
    ConfigError
        If the text is not valid, longer than `MOST_BYTES`, holds more than `MOST_VALUES` values or
        one within more than `DEEPEST` others, a value that contains itself, a tag, a key twice, or
        anything that `check_plain` refuses.
    """
    if len(text) > MOST_BYTES:
        raise ConfigError(f"{where} is text of {len(text)} characters, at most {MOST_BYTES} can be")
    try:
        _check_size(text, where)
        loader = _PlainLoader(text)
        node = loader.get_single_node()
        if node is None:
            return None
        _check_node(node, where, {})
        value = _constructed(loader, node)
    except yaml.YAMLError as error:
        raise ConfigError(f"{where} is not valid YAML: {_in_a_line(error)}") from None
    check_plain(value, where)
    return value


def check_plain(value: Any, where: str) -> None:
    """Refuse values that no configuration may hold.

    Raises
    ------
    ConfigError
        For anything but plain values, numbers that are not finite or need more than 64 bits, keys
        that are no text, ``class_path`` and its like, text with control characters, and values
        within more than `DEEPEST` others.
    """
    _check_plain(value, where, DEEPEST)


def check_text(text: str, where: str) -> None:
    """Refuse text that no file name or message can hold: control characters and stray bytes.

    Raises
    ------
    ConfigError
        If the text has such a character; the message names the first one.
    """
    for character in text:
        code = ord(character)
        if (code < 32 and character not in "\t\n") or code == 127 or 0xD800 <= code < 0xE000:
            raise ConfigError(
                f"{where} holds the character {character!a} in {shown(text)}: use plain text"
            )


def shown(value: Any) -> str:
    """Return a value as messages show it, in a line and not longer than one."""
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    text = ascii(value) if isinstance(value, str) and not value.isprintable() else repr(value)
    return text if len(text) <= 80 else f"{text[:60]}... ({len(text)} characters)"


def _check_size(text: str, where: str) -> None:
    """Count values and depth while reading, before anything is built of them."""
    depth, values = 0, 0
    for event in yaml.parse(text, Loader=_PlainLoader):
        depth += isinstance(event, yaml.CollectionStartEvent)
        depth -= isinstance(event, yaml.CollectionEndEvent)
        values += isinstance(event, yaml.NodeEvent)
        _check_count(values, where)
        if depth > DEEPEST:
            raise ConfigError(f"{where} is nested more than {DEEPEST} deep: write it flatter")


def _check_count(values: int, where: str) -> None:
    if values > MOST_VALUES:
        raise ConfigError(f"{where} holds more than {MOST_VALUES} values: shorten it")


def _check_node(node: _Node, where: str, sizes: dict[int, int]) -> int:
    """Check a node and the nodes in it, and return the number of values that it stands for."""
    known = sizes.get(id(node))
    if known == 0:
        raise ConfigError(f"{where} holds a value that contains itself: write it out")
    if known is not None:
        return known
    if node.tag not in _PLAIN_TAGS and node.tag != _MERGE:
        raise ConfigError(
            f"{where} holds the tag {shown(node.tag.replace(_TAG, '!!'))}, and a configuration "
            "plain values alone: remove it"
        )
    sizes[id(node)] = 0  # while it is being checked
    size = 1
    for child in _children(node):
        size += _check_node(child, where, sizes)
        _check_count(size, where)
    sizes[id(node)] = size
    return size


def _children(node: _Node) -> list[_Node]:
    if isinstance(node, yaml.MappingNode):
        return [part for pair in node.value for part in pair]
    return list(node.value) if isinstance(node, yaml.SequenceNode) else []


def _constructed(loader: _PlainLoader, node: _Node) -> Any:
    """Build the value of a node, whose size and depth are checked."""
    if isinstance(node, yaml.SequenceNode):
        return [_constructed(loader, child) for child in node.value]
    if isinstance(node, yaml.MappingNode):
        _check_keys_differ(node)
        loader.flatten_mapping(node)
        return {_key(loader, key): _constructed(loader, value) for key, value in node.value}
    if node.tag in (_TAG + "int", _TAG + "float"):
        return _number(node)
    return loader.construct_object(node)


def _check_keys_differ(node: yaml.MappingNode) -> None:
    seen = set()
    for key, _ in node.value:
        if not isinstance(key, yaml.ScalarNode):
            raise yaml.YAMLError(f"a key must be text{key.start_mark}: write it as one")
        if key.value in seen:
            raise yaml.YAMLError(f"the key {shown(key.value)} is there twice{key.start_mark}")
        seen.add(key.value)


def _key(loader: _PlainLoader, node: _Node) -> str:
    key = _constructed(loader, node)
    if not isinstance(key, str):
        raise yaml.YAMLError(f"a key must be text{node.start_mark}: put it into quotes")
    return key


def _number(node: _Node) -> int | float:
    text = node.value.lower()
    if len(text) > MOST_DIGITS:
        raise yaml.YAMLError(f"a number of {len(text)} digits{node.start_mark} is too long")
    if node.tag == _TAG + "int":
        return int(text)
    return float(text.replace(".inf", "inf").replace(".nan", "nan"))


def _check_plain(value: Any, where: str, depth: int) -> None:
    if depth < 0:
        raise ConfigError(f"{where} is nested more than {DEEPEST} deep: write it flatter")
    if isinstance(value, dict):
        for key, item in value.items():
            _check_key(key, where)
            _check_plain(item, where, depth - 1 - key.count("."))
    elif isinstance(value, list | tuple):
        for item in value:
            _check_plain(item, where, depth - 1)
    elif isinstance(value, str):
        check_text(value, where)
    elif isinstance(value, int | float):
        _check_number(value, where)
    elif value is not None:
        raise ConfigError(
            f"{where} holds {shown(value)}, and a configuration plain values alone: give numbers, "
            "text, lists and mappings"
        )


def _check_key(key: Any, where: str) -> None:
    if not isinstance(key, str):
        raise ConfigError(f"{where} has the key {shown(key)}: put keys into quotes, they are text")
    check_text(key, f"a key of {where}")
    if IMPORT in key.split("."):
        raise ConfigError(
            f"{where} has the key {shown(key)}, which names a file to run: remove it, and give "
            "that file on the command line, as --import FILE.py, if it is yours"
        )
    if key.rpartition(".")[2] in NAMES_OF_CODE:
        raise ConfigError(
            f"{where} has the key {shown(key)}, which names code to run, and a configuration holds "
            "plain values alone: remove it"
        )


def _check_number(value: int | float, where: str) -> None:
    if not math.isfinite(value):
        raise ConfigError(f"{where} holds {value}: give a finite number")
    if isinstance(value, int) and abs(value) >= LARGEST_INTEGER:
        raise ConfigError(f"{where} holds a whole number of more than 63 bits: give a smaller one")


def _in_a_line(error: yaml.YAMLError) -> str:
    return " ".join(str(error).split())[:300]
