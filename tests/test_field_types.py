from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import pytest

from lenspinn.errors import ConfigError
from lenspinn.field_types import as_declared, constructed, read_word
from lenspinn.plain_yaml import Plain


@dataclass(frozen=True, kw_only=True)
class Inner:
    """A nested configuration."""

    size: int
    ratio: float = 1.0


@dataclass(frozen=True, kw_only=True)
class Outer:
    """A configuration with a field of every kind."""

    inner: Inner
    where: Path | None = None
    names: list[str] = field(default_factory=list)
    split: tuple[float, float] = (0.5, 0.5)
    rows: dict[str, Inner] = field(default_factory=dict)
    free: dict[str, Plain] = field(default_factory=lambda: {"a.b": 1})
    kind: Literal["one", "two"] = "one"


@pytest.mark.parametrize(
    ("value", "hint", "read"),
    [
        (1, float, 1.0),
        (None, Path | None, None),
        ("x", Path | None, Path("x")),
        ([1, 0.5], tuple[float, float], (1.0, 0.5)),
        (["a"], list[str] | None, ["a"]),
        ({"a": 1}, dict[str, float], {"a": 1.0}),
        (3, Plain, 3),
        ("two", Literal["one", "two"], "two"),
    ],
)
def test_a_value_becomes_what_its_field_is_declared_to_be(value: Any, hint: Any, read: Any) -> None:
    got = as_declared(value, hint, "key")
    assert (got, type(got)) == (read, type(read))


@pytest.mark.parametrize(
    ("value", "hint", "said"),
    [
        (True, int, r"key must be a whole number \(int\), got true"),
        (1.5, int, "got 1.5"),
        (True, float, r"a number \(float\), got true"),
        (1, bool, "true or false"),
        (7, str, "key must be text, got 7"),
        ("", Path, "key is empty: give a path"),
        (None, Path, "key must be a path, got null"),
        ([1], tuple[float, float], "a list of 2"),
        ([1, "a"], tuple[float, float], r"key\[1\] must be a number"),
        ("three", Literal["one", "two"], "one of one, two"),
        ({"a": []}, dict[str, float], r"key\.a must be a number"),
        ([], dict[str, Plain], "a mapping, got"),
        (3, Inner, "a mapping of settings, got 3"),
    ],
)
def test_what_is_of_another_type_is_refused_by_name(value: Any, hint: Any, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        as_declared(value, hint, "key")


def test_nested_and_dotted_settings_make_the_same() -> None:
    dotted = {"inner.size": 3, "inner.ratio": 2, "rows.x": {"size": 1}}
    nested = {"inner": {"size": 3, "ratio": 2}, "rows": {"x": {"size": 1}}}
    assert constructed(Outer, dotted) == constructed(Outer, nested)
    assert constructed(Outer, dotted).rows == {"x": Inner(size=1)}


def test_a_mapping_is_laid_over_the_one_that_holds_by_default() -> None:
    assert constructed(Outer, {"inner.size": 1, "free.c": 2}).free == {"a.b": 1, "c": 2}


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({}, r"required, and not given: inner\.size"),
        ({"inner": {"siz": 1}}, r"unknown key inner\.siz; did you mean 'size'"),
        ({"inner": None}, "inner must be a mapping of settings, got null"),
        ({"inner.size": 1, "rows": {"x": {}}}, r"not given: rows\.x\.size"),
    ],
)
def test_settings_that_make_nothing_are_refused_by_key(settings: dict, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        constructed(Outer, settings)


@pytest.mark.parametrize(
    ("text", "hint", "value"),
    [
        ("24", str, "24"),
        ("null", Path | None, None),
        ("null", str, "null"),
        ("24", dict, 24),
        ("{a: 1}", dict, {"a": 1}),
        ("{a", dict, "{a"),
        ("", int, None),
        ("off", Literal["off", "on"] | None, "off"),
        ("null", Literal["off", "on"] | None, None),
        ("1", int | str | None, 1),
        ("SCI", int | str | None, "SCI"),
        ("1", str | int, "1"),
    ],
)
def test_a_word_is_text_where_text_is_wanted_and_else_yaml(
    text: str, hint: Any, value: Any
) -> None:
    assert read_word(text, hint, "key") == value


@pytest.mark.parametrize("text", ["!!python/name:os.system", "{class_path: a}", "&a [*a]", "*a"])
def test_a_word_that_is_more_than_plain_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="--key"):
        read_word(text, dict, "key")
