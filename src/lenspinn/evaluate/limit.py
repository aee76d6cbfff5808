"""The limit that `lenspinn limit` measured, to be held beside what a network reaches."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lenspinn.data.info import DatasetInfo
from lenspinn.errors import DataError

__all__ = ["IDEAL_KEYS", "IdealCurve", "read_ideal_curve"]

SCHEMA_VERSION = 1
IDEAL_KEYS = ("ideal_accuracy", "ideal_accuracy_low", "ideal_accuracy_high")
"""Of a record: the ideal accuracy, and its 95 % interval."""


@dataclass(frozen=True)
class IdealCurve:
    """Accuracy of the ideal classifier against the magnitude of the source."""

    magnitudes: tuple[float, ...]
    accuracy: tuple[float, ...]
    low: tuple[float, ...]
    """95 % interval, this and the next."""
    high: tuple[float, ...]
    at: float
    """The magnitude of the dataset, one of `magnitudes`."""

    @property
    def here(self) -> tuple[float, float, float]:
        """Accuracy at the dataset's magnitude, and its interval."""
        index = self.magnitudes.index(self.at)
        return self.accuracy[index], self.low[index], self.high[index]


def read_ideal_curve(path: Path, info: DatasetInfo) -> IdealCurve:
    """Read the accuracy of the ideal classifier on images like those of a dataset.

    Parameters
    ----------
    path
        ``limit.json`` of `lenspinn limit`.
    info
        The dataset; its recipe must be the limit's, but for the magnitude of the source.

    Raises
    ------
    DataError
        If the file is no limit, or not that of this dataset's recipe and magnitude.
    """
    try:
        result = json.loads(path.read_text())
        schema, recipe = result["schema"], result["config"]["recipe_config"]
        points = {r["magnitude"]: tuple(r[key] for key in IDEAL_KEYS) for r in result["records"]}
    except OSError as error:
        raise DataError(f"cannot read the limit {path}: {error.strerror}") from None
    except (ValueError, KeyError, TypeError):
        raise DataError(f"{path} is not a limit.json of lenspinn limit") from None
    if schema != SCHEMA_VERSION:
        raise DataError(f"{path} has schema {schema}, this lenspinn reads {SCHEMA_VERSION}")
    if _sky(recipe) != _sky(info.recipe_config):
        raise DataError(
            f"{path} is the limit of {recipe.get('name')}, not of this dataset's {info.recipe}: "
            "measure one with the recipe and overrides of the dataset"
        )
    magnitude = info.recipe_config.get("source", {}).get("magnitude")
    if not isinstance(magnitude, int | float) or magnitude not in points:
        raise DataError(
            f"{path} has magnitudes {', '.join(f'{m:g}' for m in sorted(points))}, but the sources "
            f"of this dataset have {magnitude}"
        )
    magnitudes = sorted(points)
    value, low, high = zip(*(points[m] for m in magnitudes), strict=True)
    return IdealCurve(tuple(magnitudes), value, low, high, at=float(magnitude))


def _sky(recipe_config: dict[str, Any]) -> dict[str, Any]:
    """Return what the limit depends on: not the renderer, nor the magnitude it varies itself."""
    not_sky = {"engine", "galaxies_digest"}
    content = {key: value for key, value in recipe_config.items() if key not in not_sky}
    source = {k: v for k, v in content.get("source", {}).items() if k != "magnitude"}
    return content | {"source": source}
