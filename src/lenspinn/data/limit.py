"""Accuracy of the best classifiers: the numbers in a ``limit.json`` of `lenspinn limit`."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes

from lenspinn.data.info import DatasetInfo
from lenspinn.data.style import COLORS, INK, draw_band
from lenspinn.errors import DataError
from lenspinn.files import read_json
from lenspinn.plain_yaml import shown

__all__ = [
    "CLASSIFIERS",
    "ENDS",
    "SCHEMA_VERSION",
    "Limit",
    "accuracies",
    "draw_accuracies",
    "read_limit",
]

SCHEMA_VERSION = 2
CLASSIFIERS = {
    "ideal_accuracy": ("ideal classifier, told the substructure", INK),
    "searching_accuracy": ("the same, but must search for subhalos", COLORS[2]),
}
"""Label and color in pictures of the classifiers whose accuracy a record may hold, the second only
where subhalos are point masses."""
ENDS = ("", "_low", "_high")
"""Endings of the name of a number: its value, and the ends of its 95 % interval."""

Accuracies = Mapping[str, tuple[float, ...]]
"""Accuracy and its 95 % interval of each of the `CLASSIFIERS` that was measured."""


@dataclass(frozen=True)
class Limit:
    """Accuracy of the best classifiers against the magnitude of the source."""

    accuracy: dict[float, Accuracies]
    """Accuracies by magnitude, from bright to faint."""
    at: float
    """Magnitude of the dataset, one of the keys of `accuracy`."""

    @property
    def here(self) -> dict[str, float]:
        """Accuracies at the dataset's magnitude, with ``_low`` and ``_high``, as in a record."""
        return {
            f"{name}{end}": number
            for name, interval in self.accuracy[self.at].items()
            for end, number in zip(ENDS, interval, strict=True)
        }


def read_limit(path: Path, info: DatasetInfo) -> Limit:
    """Read the accuracies of the best classifiers on images like those of a dataset.

    Parameters
    ----------
    path
        ``limit.json`` of `lenspinn limit`.
    info
        The dataset; its recipe must be the limit's, except for the magnitude of the source.

    Raises
    ------
    DataError
        If the file is no limit, or not that of this dataset's recipe and magnitude.
    """
    result = read_json(path)
    try:
        schema, recipe = result["schema"], result["config"]["recipe_config"]
        points = {_finite(r["magnitude"]): accuracies(r) for r in result["records"]}
        same_sky = _sky(recipe) == _sky(info.recipe_config)
    except (AttributeError, LookupError, OverflowError, TypeError, ValueError):
        raise DataError(
            f"{path} is not a limit.json of lenspinn limit: give one, or measure it anew"
        ) from None
    if schema != SCHEMA_VERSION:
        raise DataError(
            f"{path} has schema {shown(schema)}, this lenspinn reads {SCHEMA_VERSION}: measure the "
            "limit anew"
        )
    if not same_sky:
        raise DataError(
            f"{path} is the limit of {recipe.get('name')}, not of this dataset's "
            f"{info.recipe}: measure one with the recipe and overrides of the dataset"
        )
    magnitude = info.of_recipe("source").get("magnitude")
    if not isinstance(magnitude, int | float) or magnitude not in points:
        raise DataError(
            f"{path} has magnitudes {', '.join(f'{m:g}' for m in sorted(points))}, but the sources "
            f"of this dataset have {magnitude}: measure a limit at that magnitude"
        )
    return Limit({m: points[m] for m in sorted(points)}, at=float(magnitude))


def accuracies(record: Mapping[str, Any]) -> Accuracies:
    """Take the accuracies out of a record of a limit.

    Raises
    ------
    KeyError
        If the accuracy of the ideal classifier is missing, which is in every limit.
    """
    measured = [name for name in CLASSIFIERS if name in record or name == "ideal_accuracy"]
    return {name: tuple(_finite(record[f"{name}{end}"]) for end in ENDS) for name in measured}


def _finite(number: Any) -> float:
    value = float(number)
    if not math.isfinite(value):
        raise ValueError(f"{value} is no number")
    return value


def draw_accuracies(axes: Axes, accuracy: Mapping[float, Accuracies]) -> None:
    """Draw the accuracies of the best classifiers against magnitude, with their intervals."""
    for name in next(iter(accuracy.values())):
        label, color = CLASSIFIERS[name]
        curve = [of_magnitude[name] for of_magnitude in accuracy.values()]
        draw_band(axes, list(accuracy), *zip(*curve, strict=True), label=label, color=color)


def _sky(recipe_config: dict[str, Any]) -> dict[str, Any]:
    """Return the part of a recipe on which a limit depends: not the renderer, nor the magnitude."""
    not_sky = {"engine", "galaxies_digest"}
    content = {key: value for key, value in recipe_config.items() if key not in not_sky}
    source = {k: v for k, v in content.get("source", {}).items() if k != "magnitude"}
    return content | {"source": source}
