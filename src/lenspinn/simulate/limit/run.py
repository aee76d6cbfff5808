"""Run of `lenspinn limit`: the limit of a recipe against source magnitude, on disk."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from lenspinn.config import command_line, to_dict
from lenspinn.data.limit import ENDS, SCHEMA_VERSION, accuracies
from lenspinn.data.provenance import portable, portable_command, provenance
from lenspinn.errors import ConfigError
from lenspinn.files import read_json, write_whole
from lenspinn.simulate.catalogue import configured_recipe
from lenspinn.simulate.limit.classifier import mean_interval
from lenspinn.simulate.limit.config import FIGURE, RESULT, LimitConfig
from lenspinn.simulate.limit.figure import limit_figure
from lenspinn.simulate.limit.lenses import Visibility, draw_lenses, together, visibility
from lenspinn.simulate.limit.search import subhalo_prior
from lenspinn.simulate.recipes import Recipe

__all__ = ["LimitConfig", "detection_limit"]

BATCH = 16
"""Number of lenses fitted together: more do not fit into a core's cache."""

Record = dict[str, Any]


def detection_limit(config: LimitConfig, progress: bool = True) -> Path:
    """Measure how far each class stands out of the noise, and what an ideal classifier would do.

    Parameters
    ----------
    config
    progress
        Show a progress bar on stderr.

    Returns
    -------
    Path
        ``limit.json`` in ``config.out``, with ``limit.png`` beside it. It holds a record for each
        magnitude and class:

        ``significance_median``, ``significance_p10``, ``significance_p90``
            Median, 10th and 90th percentile over lenses of the significance sqrt(delta chi^2)
            against the best smooth model.
        ``linear_median``
            Median significance if images were linear in the smooth parameters.
        ``above_3_sigma``, ``above_5_sigma``, ``converged``
            Shares of the lenses that are more significant, and whose fit converged.
        ``taken_for``
            Share of images of this class that the ideal classifier takes for each class.
        ``ideal_accuracy``, ``ideal_accuracy_low``, ``ideal_accuracy_high``
            Accuracy of the ideal classifier over all classes, with the 95 % interval from the
            choice of lenses.
        ``searching_accuracy``, ``searching_accuracy_low``, ``searching_accuracy_high``
            Accuracy, with its interval, of a classifier that must search for the subhalos of the
            recipe's one class of `PointSubhalos`; absent where a recipe has none or several.

    Raises
    ------
    ConfigError
        If the recipe cannot be used, or ``config.out`` holds the limit of something else.
    """
    recipe = configured_recipe(config.recipe, config.overrides)
    path = config.out / RESULT
    records = _finished(path, config, recipe)
    known = {record["magnitude"] for record in records}
    pending = sorted(set(map(float, config.magnitudes)) - known)
    total = config.num * (len(pending) + 1 if pending else 0)
    with tqdm(total=total, unit=" lenses", disable=not progress) as bar, torch.no_grad():
        for magnitude, seen in _measured(config, recipe, pending, bar):
            records += _records(config, recipe, magnitude, seen)
            records.sort(key=lambda record: (record["magnitude"], record["class"]))
            _write(path, config, recipe, records)
    limit_figure(records, num_classes=len(recipe.classes)).savefig(config.out / FIGURE, dpi=150)
    return path


def _measured(
    config: LimitConfig, recipe: Recipe, magnitudes: list[float], bar: tqdm
) -> Iterator[tuple[float, Visibility]]:
    """Measure one magnitude after the other, all of the same lenses."""
    batches = []
    for start in range(0, config.num if magnitudes else 0, BATCH):
        indices = range(start, min(start + BATCH, config.num))
        batches.append(draw_lenses(recipe, config.seed, indices, config.known))
        bar.update(len(indices))
    config.out.mkdir(parents=True, exist_ok=True)  # after all refusals, before the long part
    prior = subhalo_prior(recipe) if magnitudes else None
    for magnitude in magnitudes:
        parts = []
        for lenses in batches:
            parts.append(visibility(lenses, magnitude, config.seed, prior))
            bar.update(len(lenses))
        yield magnitude, together(parts)


def _records(
    config: LimitConfig, recipe: Recipe, magnitude: float, seen: Visibility
) -> list[Record]:
    over_all = _accuracy("ideal", seen.confusion, config.seed)
    if seen.searching is not None:
        over_all |= _accuracy("searching", seen.searching, config.seed)
    confusion = seen.confusion.mean(dim=0)
    records = []
    for row, name in enumerate(recipe.classes):
        significance = seen.significance[:, row].numpy()
        p10, median, p90 = np.quantile(significance, [0.1, 0.5, 0.9])
        numbers = {
            "significance_median": median,
            "significance_p10": p10,
            "significance_p90": p90,
            "linear_median": np.median(seen.linear[:, row].numpy()),
            "above_3_sigma": np.mean(significance > 3),
            "above_5_sigma": np.mean(significance > 5),
            "converged": seen.converged[:, row].double().mean(),
            **over_all,
        }
        facts = {
            "recipe": recipe.name,
            "instrument": recipe.instrument.name,
            "magnitude": magnitude,
            "class": name,
            "n": config.num,
            "seed": config.seed,
        }
        shares = zip(recipe.classes, confusion[row].tolist(), strict=True)
        records.append(
            facts
            | {key: _rounded(value) for key, value in numbers.items()}
            | {"taken_for": {other: _rounded(share) for other, share in shares}}
        )
    return records


def _accuracy(classifier: str, confusion: Tensor, seed: int) -> dict[str, float]:
    right = confusion.diagonal(dim1=1, dim2=2).mean(dim=1).numpy()
    names = (f"{classifier}_accuracy{end}" for end in ENDS)
    return dict(zip(names, mean_interval(right, seed), strict=True))


def _rounded(value: Any) -> float:
    """Keep six digits: the rest depends on the machine and the number of threads."""
    return float(f"{float(value):.6g}")


def _identity(config: LimitConfig, recipe: Recipe) -> dict[str, Any]:
    """Return the settings that the records depend on, except the magnitudes."""
    plain = to_dict(config)
    content = {key: plain[key] for key in ("num", "seed", "known")}
    # As JSON returns it, so that it can be compared with what was written.
    return dict(json.loads(json.dumps(content | {"recipe_config": recipe.to_dict()})))


def _finished(path: Path, config: LimitConfig, recipe: Recipe) -> list[Record]:
    """Return the records that the file already holds."""
    if not path.exists():
        return []
    try:
        result = read_json(path, ConfigError)
        there, schema, records = dict(result["config"]), result["schema"], list(result["records"])
        for record in records:
            _ = accuracies(record), float(record["magnitude"]), str(record["class"])
    except (LookupError, OverflowError, TypeError, ValueError):
        raise ConfigError(f"{path} is not a limit of lenspinn; choose another out") from None
    if schema != SCHEMA_VERSION:
        raise ConfigError(f"{path} has schema {schema}, this lenspinn writes {SCHEMA_VERSION}")
    for key, value in _identity(config, recipe).items():
        if there.get(key) != value:
            raise ConfigError(f"{path} was measured with another {key}; choose another out")
    return records


def _write(path: Path, config: LimitConfig, recipe: Recipe, records: list[Record]) -> None:
    """Replace the result as a whole, so that it is valid whenever the run ends."""
    result = {
        "schema": SCHEMA_VERSION,
        "command": portable_command(command_line("limit", config)),
        "config": portable(to_dict(config)) | _identity(config, recipe),
        **provenance(),
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "records": records,
    }
    write_whole(path, (json.dumps(result, indent=2) + "\n").encode())
