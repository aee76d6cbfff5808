"""How often something was found beside how often it was said that it would be.

Intervals are of lenses, drawn again with replacement: what one lens has wrong it has wrong in all
of its rows.
"""

import itertools
import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
from scipy.stats import norm

EDGES = (0.0, 0.1, 0.3, 0.5, 0.7, 0.9, 1.0)
"""Of the bins of the probability that was said."""
RESAMPLES = 2000
INTERVAL = (0.025, 0.975)


class Row(NamedTuple):
    """One that was put in."""

    lens: str
    said: float
    """Probability that it is found."""
    found: bool


def probability(expected_height: float, offset: float, slope: float) -> float:
    """Return the probability that a mass is found, by the curve of its `Completeness`."""
    return float(norm.cdf(offset + slope * math.log(expected_height)))


def is_there(
    peaks: Sequence[Sequence[float]], place: tuple[float, float], threshold: float, within: float
) -> bool:
    """Whether one of the peaks, each x, y and height, is high enough and near enough to a place."""
    return any(
        height >= threshold and math.hypot(x - place[0], y - place[1]) <= within
        for x, y, height, *_ in peaks
    )


def share_and_interval(
    rows: Sequence[Row], value: Callable[[Row], float]
) -> tuple[float, list[float]]:
    """Return the mean over rows, and its 95 % interval over lenses."""
    lenses = sorted({row.lens for row in rows})
    sums = np.array([sum(value(row) for row in rows if row.lens == lens) for lens in lenses])
    counts = np.array([sum(row.lens == lens for row in rows) for lens in lenses])
    drawn = np.random.default_rng(0).integers(len(lenses), size=(RESAMPLES, len(lenses)))
    again = sums[drawn].sum(axis=1) / counts[drawn].sum(axis=1)
    return float(sums.sum() / counts.sum()), np.quantile(again, INTERVAL).tolist()


def compared(rows: Sequence[Row]) -> dict[str, Any]:
    """Return what was said and found of all rows, and the difference."""
    if not rows:
        return {"num": 0}
    found, interval = share_and_interval(rows, lambda row: row.found)
    more, more_interval = share_and_interval(rows, lambda row: row.found - row.said)
    return {
        "num": len(rows),
        "lenses": len({row.lens for row in rows}),
        "said": float(np.mean([row.said for row in rows])),
        "found": found,
        "found_interval": interval,
        "found_less_said": more,
        "found_less_said_interval": more_interval,
    }


def in_bins(rows: Sequence[Row]) -> list[dict[str, Any]]:
    """Return the same for rows of about one probability each; the last bin has its upper edge."""
    places = np.digitize([row.said for row in rows], EDGES[1:-1])
    return [
        {"from": low, "to": high}
        | compared([row for row, place in zip(rows, places, strict=True) if place == at])
        for at, (low, high) in enumerate(itertools.pairwise(EDGES))
    ]
