"""Picture of `detect_injections.py`: what was said and found, and how that goes with mass."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import NullLocator

from lenspinn.data.style import COLORS, INK, clean_axes

MASS_EDGES = np.geomspace(0.002, 0.12, 9)
"""Of the bins of squared Einstein radii, arcsec^2."""
MASS_TICKS = (0.003, 0.01, 0.03, 0.1)
LEAST = 10
"""Clumps of a bin that is drawn."""


def picture(
    bins: Mapping[str, list[dict[str, Any]]],
    by_mass: Mapping[str, tuple[np.ndarray, np.ndarray]],
) -> Figure:
    """Draw shares that were found against those that were said, and against mass.

    Parameters
    ----------
    bins
        As of `found_shares.in_bins`, for real pixels and for mocks.
    by_mass
        Squared Einstein radii, and whether each was found, by a name.
    """
    figure = Figure(figsize=(10, 4), layout="constrained")
    said, masses = figure.subplots(1, 2)
    labels = {"real": "real pixels", "mock": "mocks, same places"}
    for color, (name, parts) in zip(COLORS, bins.items(), strict=False):
        drawn = [part for part in parts if part["num"] >= LEAST]
        found = np.array([part["found"] for part in drawn])
        low, high = np.array([part["found_interval"] for part in drawn]).T
        error = [(found - low).clip(min=0), (high - found).clip(min=0)]
        x = [part["said"] for part in drawn]
        said.errorbar(x, found, error, fmt="o-", color=color, capsize=3, label=labels[name])
    said.plot([0, 1], [0, 1], color=INK, lw=0.8)
    said.set(xlabel="probability of being found that mocks say", ylabel="share found")
    for color, (name, (mass, found)) in zip((INK, *COLORS), by_mass.items(), strict=False):
        places = np.digitize(mass, MASS_EDGES)
        shown = [at for at in range(1, len(MASS_EDGES)) if (places == at).sum() >= LEAST]
        x = [np.exp(np.log(mass[places == at]).mean()) for at in shown]
        share = [found[places == at].mean() for at in shown]
        masses.plot(x, share, "o-", color=color, label=name)
    masses.set(xscale="log", xlabel="squared Einstein radius, arcsec$^2$")
    masses.set_xticks(MASS_TICKS, [f"{mass:g}" for mass in MASS_TICKS])
    masses.xaxis.set_minor_locator(NullLocator())
    for axes in (said, masses):
        clean_axes(axes)
        axes.set_ylim(-0.03, 1.03)
        axes.legend()
    return figure
