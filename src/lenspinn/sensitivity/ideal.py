"""The ideal observer: how far substructure stands out of each lens, and how often it is seen."""

import csv
import io
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch

from lenspinn.errors import ConfigError
from lenspinn.files import write_whole
from lenspinn.sensitivity.curves import curve_points, ideal_rate, mean_rate
from lenspinn.sensitivity.sweep import Sweep, mass_of, quantity_of
from lenspinn.simulate.limit.lenses import draw_lenses, visibility

__all__ = ["SeenLens", "ideal_records", "read_lenses", "see_lenses", "write_lenses"]

IDEAL = "ideal"
"""Name of the ideal observer in records."""


class SeenLens(NamedTuple):
    """The substructure of one class in one lens, at one magnitude."""

    sweep: str
    lens: int
    class_name: str
    mass: float
    """Mass of the substructure, solar masses; see `mass_of`."""
    magnitude: float
    significance: float
    """Significance sqrt(delta chi^2) against the best smooth model."""
    converged: bool
    """Whether the fit of the smooth model converged."""


def see_lenses(sweep: Sweep, seed: int, indices: Sequence[int]) -> list[SeenLens]:
    """Measure lenses at every magnitude of a sweep; masses and significances have six digits.

    Raises
    ------
    ConfigError
        As `lenspinn.simulate.limit.lenses.draw_lenses`.
    """
    recipe = sweep.recipe
    with torch.no_grad():
        lenses = draw_lenses(recipe, seed, indices)
        seen = [(m, visibility(lenses, m, seed)) for m in sweep.magnitudes]
    rows = []
    for name in sweep.detected:
        column = recipe.classes.index(name)
        mass = _rounded(mass_of(lenses.truth[name], quantity_of(recipe, name)))
        for magnitude, visible in seen:
            significance = _rounded(visible.significance[:, column].numpy())
            converged = visible.converged[:, column].tolist()
            for lens, *values in zip(indices, mass, significance, converged, strict=True):
                rows.append(SeenLens(sweep.name, lens, name, values[0], magnitude, *values[1:]))
    return rows


def ideal_records(sweep: Sweep, lenses: Sequence[SeenLens]) -> list[dict[str, Any]]:
    """Return the curves of the ideal observer: the points of each class and magnitude.

    Fields beside those of `curve_points`: ``observer``, ``sweep``, ``class``, ``quantity`` (of
    `quantity_of`), ``magnitude``, and ``converged``, the share of the fits of that class and
    magnitude that converged.
    """
    records = []
    for name in sweep.detected:
        for magnitude in sweep.magnitudes:
            here = [
                seen
                for seen in lenses
                if (seen.sweep, seen.class_name, seen.magnitude) == (sweep.name, name, magnitude)
            ]
            if not here:
                continue
            rates = ideal_rate(np.array([seen.significance for seen in here]))
            mass = np.array([seen.mass for seen in here]) if sweep.name == "mass" else None
            facts = {
                "observer": IDEAL,
                "sweep": sweep.name,
                "class": name,
                "quantity": quantity_of(sweep.recipe, name),
                "magnitude": magnitude,
                "converged": float(f"{np.mean([seen.converged for seen in here]):.6g}"),
            }
            records += [facts | point for point in curve_points(rates, mean_rate, mass)]
    return records


def write_lenses(path: Path, lenses: Iterable[SeenLens]) -> Path:
    """Write the measured lenses as CSV, a line each."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(SeenLens._fields)
    writer.writerows((*seen[:-1], int(seen.converged)) for seen in lenses)
    return write_whole(path, text.getvalue().encode())


def read_lenses(path: Path) -> list[SeenLens]:
    """Read the table of `write_lenses`; an empty list if there is no file.

    Raises
    ------
    ConfigError
        If the file is something else.
    """
    if not path.exists():
        return []
    try:
        with path.open(newline="") as file:
            return [
                SeenLens(
                    sweep=row["sweep"],
                    lens=int(row["lens"]),
                    class_name=row["class_name"],
                    mass=float(row["mass"]),
                    magnitude=float(row["magnitude"]),
                    significance=float(row["significance"]),
                    converged=row["converged"] == "1",
                )
                for row in csv.DictReader(file)
            ]
    except (KeyError, TypeError, ValueError):
        raise ConfigError(f"{path} is not a table of lenses of lenspinn sensitivity") from None


def _rounded(values: np.ndarray) -> list[float]:
    """Keep six digits: the rest depends on the machine and the number of threads."""
    return [float(f"{value:.6g}") for value in values]
