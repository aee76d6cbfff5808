"""Models by name: `@register_model` on a factory, then `create_model(name, **options)`."""

import dataclasses
import functools
import importlib
import inspect
import json
import math
import types
import typing
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, TypeVar

from lenspinn.errors import ModelError
from lenspinn.models import names
from lenspinn.models.classifier import Classifier
from lenspinn.models.names import list_models
from lenspinn.nearest_name import nearest_name

M = TypeVar("M", bound=Classifier)

LARGEST = {"num_pix": 512, "supersampling": 16, "steps": 1000}
"""Largest value of each option that memory or time grows with, far beyond what lenses need."""


def register_model(factory: Callable[..., M]) -> Callable[..., M]:
    """Make a factory known under its own name, and note in each model how it was made.

    The factory takes options that JSON can hold; a parameter whose type is a dataclass, such as
    `ImageOptions`, stands for an option for each of its fields. The function that is registered and
    returned takes all of these by name. Its model gets the attribute `config`, with every option
    resolved, from which `create_model` builds the same model again.

    Raises
    ------
    ModelError
        The name is taken, or the factory takes no `ImageOptions`, nor ``num_pix`` itself; by the
        factory, if an option has a wrong kind or is too large, or no classifier comes out.
    """
    name = factory.__name__
    if name in names.FACTORIES or names.MODULES.get(name, factory.__module__) != factory.__module__:
        raise ModelError(f"a model named '{name}' is already registered")
    groups: dict[str, Any] = {
        parameter: hint
        for parameter, hint in typing.get_type_hints(factory).items()
        if parameter != "return" and dataclasses.is_dataclass(hint)
    }
    signature, hints = _flattened(factory, groups)
    if "num_pix" not in signature.parameters:
        raise ModelError(
            f"model '{name}' is not told what images it gets: begin its parameters with "
            "`images: ImageOptions` (from lenspinn.models)"
        )

    @functools.wraps(factory)
    def build(**options: Any) -> M:
        bound = signature.bind(**options)
        bound.apply_defaults()
        _check_options(name, bound.arguments, hints)
        given = dict(bound.arguments)
        for parameter, group in groups.items():
            fields = [field.name for field in dataclasses.fields(group)]
            given[parameter] = group(**{field: given.pop(field) for field in fields})
        model = factory(**given)
        if not isinstance(model, Classifier):
            raise ModelError(
                f"'{name}' makes a {type(model).__name__}, no classifier: let it return "
                "lenspinn.wrap(your network, images)"
            )
        # Through JSON, so that a config is the same before and after it was on disk.
        model.config = {"name": name, "options": json.loads(json.dumps(bound.arguments))}
        return model

    build.__signature__ = signature  # type: ignore[attr-defined]
    names.FACTORIES[name] = build
    return build


def _flattened(
    factory: Callable[..., Any], groups: Mapping[str, Any]
) -> tuple[inspect.Signature, dict[str, Any]]:
    """Return signature and types of a factory, its groups replaced by their fields."""
    hints = typing.get_type_hints(factory)
    parameters: list[inspect.Parameter] = []
    for name, parameter in inspect.signature(factory).parameters.items():
        if name in groups:
            hints |= typing.get_type_hints(groups[name])
            parameters += inspect.signature(groups[name]).parameters.values()
        else:
            parameters.append(parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY))
    return inspect.Signature(parameters), hints


def list_options(name: str) -> list[str]:
    """Names of the options of a model.

    Raises
    ------
    ModelError
        The name is unknown (the nearest known ones are given).
    """
    return list(inspect.signature(_factory(name)).parameters)


def create_model(name: str, **options: Any) -> Classifier:
    """Build a model by name.

    Parameters
    ----------
    name : one of `list_models()`.
    options : keyword arguments of the model's factory, such as `num_pix` and `pixel_scale`.

    Returns
    -------
    Classifier
        The model, in training mode, with random weights unless the options say otherwise.

    Raises
    ------
    ModelError
        The name or an option is unknown (the nearest known ones are given), or a value is not
        allowed.
    """
    known = list_options(name)
    for option in options:
        if option not in known:
            raise ModelError(
                f"model '{name}' has no option '{option}'; {nearest_name(option, known)}"
            )
    model: Classifier = _factory(name)(**options)
    return model


def _factory(name: str) -> Callable[..., Any]:
    """Return a factory by name; its module is imported first if needed."""
    if name not in names.FACTORIES and name in names.MODULES:
        importlib.import_module(names.MODULES[name])
    if name not in names.FACTORIES:
        raise ModelError(
            f"there is no model '{name}'; {nearest_name(name, list_models())}; if it is your own, "
            "name the file that registers it: --import FILE.py"
        )
    return names.FACTORIES[name]


def _check_options(name: str, options: Mapping[str, Any], hints: Mapping[str, Any]) -> None:
    """Refuse options of a wrong type or size before they are used."""
    for option, value in options.items():
        hint = hints.get(option, Any)
        if not _fits(value, hint):
            kind, given = getattr(hint, "__name__", hint), repr(str(value)[:80])
            if isinstance(value, float):
                kind, given = (kind if _is_finite(value) else "a finite number"), str(value)
            raise ModelError(f"{option} of '{name}' is {given}; it takes {kind}")
        if option in LARGEST and value > LARGEST[option]:
            raise ModelError(f"{option} of '{name}' is {value}; it is at most {LARGEST[option]}")


def _fits(value: Any, hint: Any) -> bool:
    """Return whether a value has the type of a factory's annotation, and is finite."""
    origin, inner = typing.get_origin(hint), typing.get_args(hint)
    if origin in (typing.Union, types.UnionType):
        return any(_fits(value, each) for each in inner)
    if origin is Literal:
        return any(value == each for each in inner)
    if origin is not None and issubclass(origin, Sequence):
        return isinstance(value, list | tuple) and all(_fits(each, inner[0]) for each in value)
    if hint in (int, float):
        kinds = int if hint is int else int | float
        return isinstance(value, kinds) and not isinstance(value, bool) and _is_finite(value)
    return hint is Any or not isinstance(hint, type) or isinstance(value, hint)


def _is_finite(value: float | int) -> bool:
    try:
        return math.isfinite(value)
    except OverflowError:  # an integer beyond all floats
        return False
