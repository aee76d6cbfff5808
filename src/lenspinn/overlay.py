"""Nested settings from several places, one laid over the other: the later wins key by key."""

from collections.abc import Mapping
from typing import Any

__all__ = ["FORMS_OF_VALUES", "nested", "overlaid"]

FORMS_OF_VALUES = ("fixed", "uniform", "log_uniform", "normal", "power_law")
"""Names of the distributions of `lenspinn.simulate.distributions`. A mapping with one of them as
its only key, as ``{uniform: [0.6, 1.5]}``, is one value: it replaces another as a whole."""


def overlaid(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    """Lay settings over others: keys of only one of them stay, else the value of ``above`` counts.

    Keys may be nested, dotted or both, ``{"a.b": 1}`` is ``{"a": {"b": 1}}``, and stay as they were
    written first.

    Returns
    -------
    dict
        The merged settings; neither argument is changed.
    """
    result = dict(below)
    for key, value in above.items():
        _put(result, key, value)
    return result


def nested(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Turn dotted keys into nested ones, at every level."""
    tree: dict[str, Any] = {}
    for key, value in settings.items():
        first, _, rest = key.partition(".")
        value = {rest: value} if rest else value
        value = value if _is_value(value) else nested(value)
        tree[first] = _laid_over(tree.get(first), value)
    return tree


def _put(settings: dict[str, Any], key: str, value: Any) -> None:
    """Lay one setting over others, in place; nested mappings are copied."""
    parts = key.split(".")
    for length in range(1, len(parts)):  # an outer mapping that is there takes it in
        outer = ".".join(parts[:length])
        if not _is_value(settings.get(outer)):
            settings[outer] = overlaid(settings[outer], {".".join(parts[length:]): value})
            return
    inner = [known for known in settings if known.startswith(f"{key}.")]
    taken_in = {known.removeprefix(f"{key}."): settings.pop(known) for known in inner}
    if taken_in and not _is_value(value):
        value = overlaid(taken_in, value)
    settings[key] = _laid_over(settings.pop(key, None), value)  # taken out, so that it comes last


def _laid_over(below: Any, above: Any) -> Any:
    return above if _is_value(below) or _is_value(above) else overlaid(below, above)


def _is_value(value: Any) -> bool:
    """Return whether a value is replaced as a whole, as all values but mappings of settings are."""
    if not isinstance(value, Mapping):
        return True
    return len(value) == 1 and next(iter(value)) in FORMS_OF_VALUES
