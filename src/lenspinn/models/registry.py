"""Models by name: `@register_model` on a factory, then `create_model(name, **options)`."""

import functools
import inspect
import json
from collections.abc import Callable
from difflib import get_close_matches
from typing import Any, ParamSpec, TypeVar

from lenspinn.errors import ModelError
from lenspinn.models.classifier import Classifier

P = ParamSpec("P")
M = TypeVar("M", bound=Classifier)

_FACTORIES: dict[str, Callable[..., Classifier]] = {}


def register_model(factory: Callable[P, M]) -> Callable[P, M]:
    """Make a factory known under its own name, and note in each model how it was made.

    The factory takes keyword options that JSON can hold. The model it returns gets the attribute
    `config`, with every option resolved, from which `create_model` builds the same model again.

    Raises
    ------
    ModelError
        The name is taken.
    """
    name = factory.__name__
    if name in _FACTORIES:
        raise ModelError(f"a model named '{name}' is already registered")
    signature = inspect.signature(factory)

    @functools.wraps(factory)
    def build(*args: P.args, **options: P.kwargs) -> M:
        model = factory(*args, **options)
        bound = signature.bind(*args, **options)
        bound.apply_defaults()
        # Through JSON, so that a config is the same before and after it was on disk.
        model.config = {"name": name, "options": json.loads(json.dumps(bound.arguments))}
        return model

    _FACTORIES[name] = build
    return build


def list_models() -> list[str]:
    """Names of all registered models, sorted."""
    return sorted(_FACTORIES)


def list_options(name: str) -> list[str]:
    """Names of the options of a model.

    Raises
    ------
    ModelError
        The name is unknown (the nearest known ones are given).
    """
    if name not in _FACTORIES:
        raise ModelError(f"there is no model '{name}'; {_nearest(name, list_models())}")
    return list(inspect.signature(_FACTORIES[name]).parameters)


def create_model(name: str, **options: Any) -> Classifier:
    """Build a model by name.

    Parameters
    ----------
    name : one of `list_models()`.
    options : keyword arguments of the model's factory, such as `num_pix` and `pixel_scale`.

    Returns
    -------
    Classifier
        In training mode, with fresh weights unless the options say otherwise.

    Raises
    ------
    ModelError
        The name or an option is unknown (the nearest known ones are given), or a value is not
        allowed.
    """
    known = list_options(name)
    for option in options:
        if option not in known:
            raise ModelError(f"model '{name}' has no option '{option}'; {_nearest(option, known)}")
    return _FACTORIES[name](**options)


def _nearest(word: str, known: list[str]) -> str:
    close = get_close_matches(word, known)
    return f"did you mean {' or '.join(close)}?" if close else f"known are {', '.join(known)}"
