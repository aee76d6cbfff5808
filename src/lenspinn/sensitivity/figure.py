"""The curves of sensitivity as a picture."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import NullFormatter

from lenspinn.data.style import CLASS_COLORS, COLORS, INK, class_colors, clean_axes
from lenspinn.sensitivity.curves import FALSE_POSITIVES
from lenspinn.sensitivity.ideal import IDEAL

__all__ = ["sensitivity_figure"]

IDEAL_STYLE: dict[str, Any] = {"ls": (0, (4, 2)), "lw": 1.3, "marker": "o", "ms": 3.5, "mfc": "w"}
NETWORK_STYLE: dict[str, Any] = {"ls": "-", "lw": 1.8, "marker": "s", "ms": 4}
MAGNITUDE_COLORS = COLORS[len(CLASS_COLORS) :] + COLORS[: len(CLASS_COLORS)]
"""Colours of the magnitudes; those that no class has come first."""
_MASS_LABELS = {
    "subhalo_mass": r"mass of the most massive subhalo ($M_\odot$)",
    "vortex_mass": r"mass of the vortex ($M_\odot$)",
}

Records = Sequence[Mapping[str, Any]]


def sensitivity_figure(
    records: Records,
    *,
    recipe: str,
    instrument: str,
    network: Mapping[str, Any] | None,
) -> Figure:
    """Draw rates of detection against each class's mass, and of all classes against magnitude.

    Parameters
    ----------
    records
        Records of `measure_sensitivity`.
    recipe, instrument
        Names of the recipe and the instrument.
    network
        ``model`` and ``trained_on`` of the network; None: the figure says that none was run.
    """
    against_mass = [r for r in records if r["sweep"] == "mass"]
    against_magnitude = [r for r in records if r["sweep"] == "magnitude"]
    quantities = sorted({(r["quantity"], r["class"]) for r in against_mass})
    figure = Figure(figsize=(4.2 * (len(quantities) + 1), 4.0), layout="constrained")
    panels = figure.subplots(1, len(quantities) + 1, sharey=True, squeeze=False)[0]
    magnitudes = sorted({r["magnitude"] for r in against_mass})
    for axes, (quantity, name) in zip(panels, quantities, strict=False):
        groups = {
            f"{m:g} mag": [r for r in against_mass if (r["class"], r["magnitude"]) == (name, m)]
            for m in magnitudes
        }
        _draw(axes, groups, "mass_median")
        edges = [
            r[k] for group in groups.values() for r in group for k in ("mass_low", "mass_high")
        ]
        axes.set(xlabel=_MASS_LABELS[quantity], xscale="log", xlim=(min(edges), max(edges)))
        axes.xaxis.set_minor_formatter(NullFormatter())  # 2 x 10^9 and 3 x 10^9 would overlap
        axes.set_title(name, fontsize=10)
        _legend(axes, list(groups), loc="lower right", title="unlensed source (AB)")
    classes = sorted({r["class"] for r in against_magnitude})
    groups = {name: [r for r in against_magnitude if r["class"] == name] for name in classes}
    colors = list(class_colors(classes).values())
    _draw(panels[-1], groups, "magnitude", colors)
    panels[-1].set(xlabel="magnitude of the unlensed source (AB)")
    panels[-1].set_title("masses as in the recipe", fontsize=10)
    panels[0].set(ylabel=f"detected, at {FALSE_POSITIVES:.0%} false positives", ylim=(0, 1.02))
    _legend(panels[-1], classes, colors, loc="lower left")
    _observers(figure, network)
    figure.suptitle(f"{recipe} · {instrument}", fontsize=10, color=INK)
    return figure


def _draw(
    axes: Axes, groups: Mapping[str, Records], key: str, colors: Sequence[str] = MAGNITUDE_COLORS
) -> None:
    axes.axhline(FALSE_POSITIVES, color="0.6", lw=0.8, ls=":")
    for index, group in enumerate(groups.values()):
        color = colors[index % len(colors)]
        for ideal in (True, False):
            points = sorted(
                (r for r in group if (r["observer"] == IDEAL) == ideal), key=lambda r: r[key]
            )
            if not points:
                continue
            x, rate, low, high = (
                [r[k] for r in points] for k in (key, "rate", "rate_low", "rate_high")
            )
            style = IDEAL_STYLE if ideal else NETWORK_STYLE
            axes.fill_between(x, low, high, color=color, alpha=0.1 if ideal else 0.25, lw=0)
            axes.plot(x, rate, color=color, **style)
    clean_axes(axes)


def _legend(
    axes: Axes, labels: Iterable[str], colors: Sequence[str] = MAGNITUDE_COLORS, **place: Any
) -> None:
    handles = [
        Line2D([], [], color=colors[index % len(colors)], lw=3, label=label)
        for index, label in enumerate(labels)
    ]
    axes.legend(handles=handles, fontsize=8, title_fontsize=8, frameon=False, **place)


def _observers(figure: Figure, network: Mapping[str, Any] | None) -> None:
    """Draw the legend of the observers' lines below the panels."""
    ideal = Line2D(
        [], [], color=INK, label="ideal: told what to look for, and where", **IDEAL_STYLE
    )
    seen = Line2D([], [], color=INK, label="network: not run", **NETWORK_STYLE)
    if network is None:
        seen.set(linestyle="none", marker="none")
    else:
        seen.set_label(f"{network['model']}, trained on {network['trained_on']}")
    chance = Line2D([], [], color="0.6", lw=0.8, ls=":", label="false positives")
    figure.legend(
        handles=[ideal, seen, chance],
        loc="outside lower center",
        ncols=3,
        handlelength=3.5,
        fontsize=8,
        frameon=False,
    )
