"""The picture of a search for dark clumps: data, residual, candidates, and mass limits."""

import math
import textwrap

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, NullLocator, ScalarFormatter
from scipy.stats import norm

from lenspinn.data.map_panels import draw_map, draw_residual, stretch
from lenspinn.data.style import BAD, COLORS, GOOD, INK, clean_axes
from lenspinn.detect.detection import Detection, FoundClump
from lenspinn.detect.robustness import SAME_MASS, SURVIVES

__all__ = ["clump_figure", "detection_figure"]

SIZE = (13.0, 8.8)
"""Size of the picture of a search, inches."""
CLUMP_SIZE = (6.5, 3.2)
"""Size of the picture of a candidate, inches."""
LINE_LENGTH = 150
"""Characters in a line of the heading."""
TITLE_SIZE = 9
"""Size of the titles of panels, points."""
BINS = 15
"""Number of bins of the histogram of mocks."""
HEIGHTS = (0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 50.0)
"""Expected heights that are marked on the axis."""
CURVE_BINS = 4
"""Number of bins of injected clumps, each with about equally many."""


def detection_figure(detection: Detection, name: str) -> Figure:
    """Draw a search: six panels and its verdict.

    Parameters
    ----------
    detection
        Result of `lenspinn.detect_substructure`.
    name
        Name of the lens.
    """
    figure = Figure(figsize=SIZE, layout="constrained")
    data, residual, height, limit, chance, curve = figure.subplots(2, 3).flat
    lens, scale = detection.lens, detection.lens.pixel_scale
    seen = lens.image[0].double().numpy()
    draw_map(data, stretch(seen + lens.lens_light_image), scale)
    data.set_title("data")
    used = np.isfinite(lens.sigma[0].numpy())
    left = detection.solution.residual[0].double().numpy()
    draw_residual(residual, np.where(used, left, np.nan), scale)
    residual.set_title("without clumps: residual in sigma of the noise map")
    _draw_heights(height, detection)
    _draw_limit(limit, detection)
    _draw_mocks(chance, detection)
    _draw_found(curve, detection)
    for axes in figure.get_axes():
        axes.title.set_fontsize(TITLE_SIZE)
    for axes in (data, residual, height, limit):
        _mark(axes, detection)
    if detection.clumps:
        height.legend(loc="upper right", fontsize=7)
    color = BAD if not detection.trusted else GOOD if detection.claimed else INK
    text = textwrap.fill(f"{name}: {detection.verdict}", LINE_LENGTH)
    figure.suptitle(text, color=color, weight="bold", fontsize=10)
    return figure


def clump_figure(clump: FoundClump) -> Figure:
    """Draw peak height and mass of a candidate in other models.

    Parameters
    ----------
    clump
        Candidate, one of `Detection.clumps`.
    """
    figure = Figure(figsize=CLUMP_SIZE, layout="constrained")
    axes = figure.add_subplot()
    clean_axes(axes)
    rows = np.arange(len(clump.looks))
    for name, marker, color in (("height", "o", COLORS[1]), ("mass", "s", COLORS[0])):
        values = [getattr(look, name) for look in clump.looks]
        axes.plot(values, rows, marker, ls="none", color=color, label=name)
    axes.axvline(1, color=INK, lw=0.8)
    axes.axvline(SURVIVES, color=COLORS[1], ls=":", label="height that it must keep")
    for bound in (1 / SAME_MASS, SAME_MASS):
        axes.axvline(bound, color=COLORS[0], ls="--", lw=0.8)
    axes.set_yticks(rows, [look.model for look in clump.looks], fontsize=8)
    axes.set(ylim=(len(rows) - 0.5, -0.5), xlabel="over that of the first model; dashed: mass kept")
    c = clump.candidate
    robust = "robust" if clump.robust else f"not with {', '.join(clump.lost_with)}"
    axes.set_title(f'candidate at ({c.x:.2f}", {c.y:.2f}"): {robust}', fontsize=TITLE_SIZE)
    axes.legend(fontsize=7)
    return figure


def _mark(axes: Axes, detection: Detection) -> None:
    """Draw a circle around each candidate."""
    for at, clump in enumerate(detection.clumps):
        c = clump.candidate
        chance = "not measured" if clump.chance is None else f"{clump.chance:.1%}"
        label = f"{at + 1}: chance {chance}{'' if clump.robust else ', not robust'}"
        axes.plot(c.x, c.y, "o", ms=13, mfc="none", mec=COLORS[at % len(COLORS)], label=label)
        axes.annotate(str(at + 1), (c.x, c.y), color=COLORS[at % len(COLORS)], fontsize=8)


def _draw_heights(axes: Axes, detection: Detection) -> None:
    height = detection.height
    values = detection.significance if height is None else height
    shown = np.where(detection.region, values, np.nan)
    draw_map(axes, shown, detection.lens.pixel_scale, colors="RdBu_r")
    most = float(np.nanmax(np.abs(shown)))
    axes.images[0].set_clim(-most, most)
    axes.set_facecolor("0.7")
    axes.figure.colorbar(axes.images[0], ax=axes, shrink=0.8)
    unit = "sigma of the noise map" if height is None else "its spread in mocks"
    axes.set_title(f"a mass there is better by, in {unit}")


def _draw_limit(axes: Axes, detection: Detection) -> None:
    limit = detection.mass_limit
    values = detection.mass_at_5_sigma if limit is None else limit
    per_mass = 1.0 if detection.masses is None else detection.masses.per_square_arcsec
    shown = np.where(detection.region, np.log10(values * per_mass), np.nan)
    draw_map(axes, shown, detection.lens.pixel_scale, colors="viridis_r")
    known = shown[np.isfinite(shown)]
    if len(known):
        axes.images[0].set_clim(*np.quantile(known, [0.02, 0.98]))
    axes.set_facecolor("0.7")
    axes.figure.colorbar(axes.images[0], ax=axes, shrink=0.8)
    what = "5 sigma of the noise map" if limit is None else "found with 90 %"
    axes.set_title(f"log10 of the point mass {what}, {_unit(detection)}")


def _draw_mocks(axes: Axes, detection: Detection) -> None:
    axes.set_title("highest peak: mocks without clumps, and here")
    if detection.chance is None or detection.height is None:
        _say(axes, "chance not measured: no mocks")
        return
    clean_axes(axes)
    axes.hist(detection.chance.highest, BINS, color="0.7", label="mocks")
    axes.axvline(detection.chance.threshold, color=INK, ls=":", label="5 % of the mocks are above")
    for at, clump in enumerate(detection.clumps):
        height = clump.candidate.peak.height
        axes.axvline(height, color=COLORS[at % len(COLORS)], label=f"candidate {at + 1}")
    axes.set(xlabel="height", ylabel="mocks")
    axes.legend(fontsize=7)


def _draw_found(axes: Axes, detection: Detection) -> None:
    axes.set_title("point masses put into mocks: how many are found")
    completeness = None if detection.chance is None else detection.chance.completeness
    if completeness is None:
        _say(axes, "completeness not measured: none were put in")
        return
    clean_axes(axes)
    expected, found = completeness.expected, completeness.found
    for part in np.array_split(np.argsort(expected), CURVE_BINS):
        if len(part):
            mean = found[part].mean()
            error = math.sqrt(max(mean * (1 - mean), 1 / len(part) / 4) / len(part))
            axes.errorbar(
                np.exp(np.log(expected[part]).mean()), mean, error, fmt="o", color=COLORS[1], ms=4
            )
    x = np.geomspace(expected.min() / 1.5, expected.max() * 1.5, 100)
    if 0 < found.mean() < 1:
        offset, slope = completeness.probit()
        axes.plot(x, norm.cdf(offset + slope * np.log(x)), color=INK, lw=1, label="best curve")
    if math.isfinite(completeness.height_limit):
        axes.axvline(completeness.height_limit, color=INK, ls=":", label="found with 90 %")
    axes.set(xscale="log", ylim=(-0.05, 1.05), xlabel="expected height of the mass at its place")
    axes.xaxis.set_major_locator(FixedLocator(HEIGHTS))
    axes.xaxis.set_major_formatter(ScalarFormatter())
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set_ylabel("found as the highest peak")
    if axes.get_legend_handles_labels()[1]:
        axes.legend(fontsize=7, loc="upper left")


def _say(axes: Axes, text: str) -> None:
    axes.set_axis_off()
    axes.text(0.5, 0.5, text, ha="center", va="center", transform=axes.transAxes, color=INK)


def _unit(detection: Detection) -> str:
    return "arcsec^2" if detection.masses is None else "M_sun"
