import os
from pathlib import Path

import pytest

from lenspinn.errors import ConfigError
from lenspinn.plain_yaml import (
    DEEPEST,
    MOST_BYTES,
    MOST_VALUES,
    check_plain,
    parse_yaml,
    read_yaml,
    shown,
)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("null", None),
        ("", None),
        ("yes", True),
        ("-12", -12),
        ("1e-3", 1e-3),
        (".5", 0.5),
        ("1:30", "1:30"),
        ("2026-01-01", "2026-01-01"),
        ("0x10", "0x10"),
        ("=", "="),
        ("[1, a, {b: 2.0}]", [1, "a", {"b": 2.0}]),
        ("a: &x {b: 1}\nc: {<<: *x, d: 2}", {"a": {"b": 1}, "c": {"b": 1, "d": 2}}),
    ],
)
def test_plain_values_are_read_as_people_write_them(text, value):
    read = parse_yaml(text, "here")
    assert (read, type(read)) == (value, type(value))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a: [1, 2", "here is not valid YAML"),
        ("\x00", "here is not valid YAML"),
        ("a: 1\na: 2", "the key 'a' is there twice"),
        ("1: a", "a key must be text"),
        ("[a]: 1", "a key must be text"),
        ("a: !!python/object/apply:os.system [ls]", "the tag '!!python/object/apply:os.system'"),
        ("a: !!python/name:os.system", "tag"),
        ("!!binary aGk=", "tag '!!binary'"),
        ("!own a", "tag '!own'"),
        ("a: &a {b: *a}", "contains itself"),
        ("a: &a [*a]", "contains itself"),
        ("a: " + "[" * 10_000, f"nested more than {DEEPEST} deep"),
        ("a: " + "{b: " * 10_000, f"nested more than {DEEPEST} deep"),
        ("a.b" * 100 + ": 1", f"nested more than {DEEPEST} deep"),
        ("- 1\n" * (MOST_VALUES + 1), f"more than {MOST_VALUES} values"),
        ("9" * 5_000, "a number of 5000 digits"),
        ("1" + "0" * 30, "more than 63 bits"),
        ("1e999", "holds inf: give a finite number"),
        (".nan", "holds nan"),
        ('"\\0"', r"holds the character '\\x00'"),
        ("{class_path: os.system}", "'class_path', which names code to run"),
        ("{a: [{init_args: 1}]}", "'init_args', which names code to run"),
        ("{a.class_path: 1}", "which names code to run"),
        ("x" * (MOST_BYTES + 1), "characters, at most"),
    ],
)
def test_what_no_configuration_may_hold_is_refused_in_a_sentence(text, said):
    with pytest.raises(ConfigError, match=said) as caught:
        parse_yaml(text, "here")
    assert "\n" not in str(caught.value)


def test_what_is_repeated_by_aliases_counts_each_time():
    lines = ["a0: &a0 [1, 2, 3, 4, 5, 6, 7, 8, 9]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 12)]
    with pytest.raises(ConfigError, match=f"more than {MOST_VALUES} values"):
        parse_yaml("\n".join(lines), "here")


@pytest.mark.parametrize("value", [print, {1: 2}, {"a": object()}, [{"b": lambda: 0}], 2**63])
def test_values_of_python_that_are_not_plain_are_refused(value):
    with pytest.raises(ConfigError, match=r"^options "):
        check_plain(value, "options")


def test_a_file_must_be_a_regular_one_of_a_mapping(tmp_path: Path):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "large").write_text("#" * (MOST_BYTES + 1))
    (tmp_path / "latin1").write_bytes(b"a: \xe9")
    (tmp_path / "null").write_text("null")
    (tmp_path / "list").write_text("[1]")
    for name, said in {
        "pipe": "no regular file",
        ".": "no regular file",
        "/dev/zero": "no regular file",
        "large": f"bytes, and at most {MOST_BYTES} are read",
        "latin1": "no UTF-8 text",
        "null": "must hold 'key: value' lines, got nothing",
        "list": "must hold 'key: value' lines, got list",
        "missing": "cannot be read as a configuration: No such file",
        "a\0b": "character",
    }.items():
        with pytest.raises(ConfigError, match=said):
            read_yaml(tmp_path / name)


def test_values_are_shown_in_a_short_line():
    assert shown("a\nb") == "'a\\nb'"
    assert shown(None) == "null"
    assert len(shown("x" * 1000)) < 100
