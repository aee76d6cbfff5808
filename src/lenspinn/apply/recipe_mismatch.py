"""Differences of a simulated dataset from that of training, field by field of the recipe."""

from collections.abc import Iterator, Mapping
from typing import Any

from lenspinn.apply.answer import Mismatch
from lenspinn.data.info import DatasetInfo

__all__ = ["recipe_mismatches"]

NO_PIXELS = frozenset({"name", "summary", "engine", "instrument.name", "instrument.source"})
"""Fields of a recipe that change no pixel, or only by rounding."""
CHECKED_ELSEWHERE = frozenset({"instrument.pixel_scale", "num_pix"})
"""Fields that other checks compare, because images are resampled and cut."""
DRAWN = ("lens.", "source.", "lens_light.", "exposure_time")
"""Fields whose distribution may lie within that of training. Dark matter fields are not among them:
fewer or smaller subhalos would count as within, yet cannot be seen."""
MOST_NAMED = 6
"""Largest number of differences that are named one by one."""
BETWEEN = ("uniform", "log_uniform", "power_law")
"""Distributions that lie between their first two parameters."""
WIDEST = 2.0
"""Half width, in standard deviations, of the range of a normal distribution."""


def recipe_mismatches(here: DatasetInfo, trained: DatasetInfo) -> tuple[Mismatch, ...]:
    """Compare a dataset with that of training: classes, and all that its images are drawn from.

    Parameters
    ----------
    here
        Description of the dataset.
    trained
        Description of the training data that the run recorded.

    Returns
    -------
    tuple of Mismatch
        Mismatches, at most one on classes and one on the recipe. The latter is serious unless each
        difference is a lens or source drawn from a part of the distribution of training.
    """
    found = (_classes(here, trained), _recipe(here, trained))
    return tuple(mismatch for mismatch in found if mismatch is not None)


def _classes(here: DatasetInfo, trained: DatasetInfo) -> Mismatch | None:
    if here.classes == trained.classes:
        return None
    unknown = [name for name in here.classes if name not in trained.classes]
    message = f"{', '.join(here.classes)}; the network knows {', '.join(trained.classes)}"
    if unknown:
        message += f", and calls {' and '.join(unknown)} one of these"
    return Mismatch("classes", message, serious=bool(unknown))


def _recipe(here: DatasetInfo, trained: DatasetInfo) -> Mismatch | None:
    if not (_is_simulated(here) and _is_simulated(trained)):
        if here.recipe == trained.recipe:
            return None
        message = f"{here.recipe}; the training images are {trained.recipe}"
        return Mismatch("recipe", message, serious=True)
    differences = list(_differences(here, trained))
    if not differences:
        return None
    differences.sort(key=lambda one: one[3])
    named = [
        f"{key} {_short(value)} (in training {_short(known)})"
        for key, value, known, _ in differences[:MOST_NAMED]
    ]
    more = len(differences) - len(named)
    rest = f" and {more} more" if more else ""
    within = all(inside for *_, inside in differences)
    message = (
        f"{here.recipe} {'draws a part of' if within else 'differs from'} the training images "
        f"({trained.recipe}) in {', '.join(named)}{rest}"
    )
    return Mismatch("recipe", message, serious=not within)


def _is_simulated(info: DatasetInfo) -> bool:
    return isinstance(info.recipe_config.get("instrument"), dict)


def _differences(here: DatasetInfo, trained: DatasetInfo) -> Iterator[tuple[str, Any, Any, bool]]:
    """Yield key, value, value in training, and whether the first lies within the second."""
    values, known = (dict(_leaves(info.recipe_config, "")) for info in (here, trained))
    common = set(here.classes) & set(trained.classes)
    for key in sorted(values.keys() | known.keys()):
        population = key.split(".")[1] if key.startswith("populations.") else None
        if key in NO_PIXELS | CHECKED_ELSEWHERE or (population and population not in common):
            continue
        value, there = values.get(key), known.get(key)
        if value != there:
            yield key, value, there, key.startswith(DRAWN) and _lies_within(value, there)


def _leaves(node: Any, prefix: str) -> Iterator[tuple[str, Any]]:
    """Yield numbers, words and distributions by dotted key; None and False are left out."""
    if isinstance(node, Mapping) and _reach(node) is None:
        for key, value in node.items():
            yield from _leaves(value, f"{prefix}{key}.")
    elif node is not None and node is not False:
        yield prefix.removesuffix("."), node


def _lies_within(value: Any, known: Any) -> bool:
    part, whole = _reach(value), _reach(known)
    if part is None or whole is None:
        return False
    return whole[0] <= part[0] and part[1] <= whole[1]


def _reach(value: Any) -> tuple[float, float] | None:
    """Return the range of a number or of a distribution in its plain form; else None."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        return float(value), float(value)
    if not (isinstance(value, Mapping) and len(value) == 1):
        return None
    ((name, numbers),) = value.items()
    if name == "normal":
        mean, sigma = numbers
        return mean - WIDEST * sigma, mean + WIDEST * sigma
    return (numbers[0], numbers[1]) if name in BETWEEN else None


def _short(value: Any) -> str:
    """Write a value in a few characters."""
    if value is None:
        return "none"
    if isinstance(value, Mapping) and len(value) == 1:
        ((name, numbers),) = value.items()
        return f"{name} {_short(numbers)}"
    if isinstance(value, list):
        listed = ", ".join(map(_short, value[:4]))
        return f"[{listed}{', …' if len(value) > 4 else ''}]"
    return f"{value:g}" if isinstance(value, float) else str(value)
