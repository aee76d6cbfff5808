"""Text where functions and configurations take paths."""

import dataclasses
import functools
import inspect
import typing
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

__all__ = ["make_paths", "takes_paths"]

Result = TypeVar("Result")


def takes_paths(function: Callable[..., Result]) -> Callable[..., Result]:
    """Make a function take text for a path too, and one path for a list of paths.

    Parameters
    ----------
    function
        Function whose parameters are annotated as ``Path``, ``Path | None`` or ``list[Path]``. A
        parameter that is annotated as text too is left as it is given.
    """
    names = list(inspect.signature(function).parameters)

    @functools.wraps(function)
    def call(*arguments: Any, **options: Any) -> Result:
        hints = typing.get_type_hints(function)  # not before: its types may need heavy imports
        given = dict(zip(names, arguments, strict=False))
        positions = [_as_path(value, hints.get(name)) for name, value in given.items()]
        left = arguments[len(names) :]  # Python itself says that these are too many
        named = {name: _as_path(value, hints.get(name)) for name, value in options.items()}
        return function(*positions, *left, **named)

    return call


def make_paths(config: Any) -> None:
    """Make paths of the texts in the fields of a frozen dataclass, from its ``__post_init__``."""
    hints: Mapping[str, Any] = typing.get_type_hints(type(config))
    for field in dataclasses.fields(config):
        value = getattr(config, field.name)
        made = _as_path(value, hints[field.name])
        if made is not value:
            object.__setattr__(config, field.name, made)


def _as_path(value: Any, hint: Any) -> Any:
    if typing.get_origin(hint) is list and typing.get_args(hint) == (Path,):
        several = [value] if isinstance(value, str | Path) else value
        return [Path(item) if isinstance(item, str) else item for item in several]
    kinds = typing.get_args(hint) or (hint,)
    is_text = isinstance(value, str) and Path in kinds and str not in kinds
    return Path(value) if is_text else value
