"""A dataset at a glance: images by class, with the truth behind them."""

from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import AsinhNorm
from matplotlib.figure import Figure

from lenspinn.data.info import DatasetInfo
from lenspinn.data.store import ImageStore
from lenspinn.errors import DataError

COLORMAP = "inferno"  # perceptually uniform
BACKGROUND, FOREGROUND, MARKS = "#101014", "#e8e6e3", "#7fe0d4"

PANEL_INCHES = 1.75
DOTS_PER_INCH = 150

FAINT_FRACTION = 0.02
"""Least brightness, as a share of the peak, at which the stretch turns from linear to
logarithmic."""

BAR_TICKS = (0, 0.02, 0.05, 0.1, 0.2, 0.5, 1)

Truth = dict[str, np.ndarray]


def contact_sheet(store_path: Path, out_png: Path | None = None, *, per_class: int = 6) -> Path:
    """Draw the first images of each class of a store, with their truth.

    A row is a class. Every image is shown relative to its own peak, on one asinh scale. Point
    masses are marked by circles (area proportional to mass), vortices by their line.

    Parameters
    ----------
    store_path : Path
    out_png : Path
        Picture to write; by default named as the store, beside it.
    per_class : int
        Images in a row.

    Returns
    -------
    Path
        ``out_png``.

    Raises
    ------
    StoreError
        If the store cannot be read.
    DataError
        If no image is asked for.
    """
    if per_class < 1:
        raise DataError(f"A contact sheet needs at least 1 image a class, not {per_class}")
    figure = _draw_sheet(ImageStore.open(store_path), per_class)
    out_png = store_path.with_suffix(".png") if out_png is None else out_png
    out_png.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(out_png, format="png", dpi=DOTS_PER_INCH, metadata={"Software": None})
    return out_png


def _draw_sheet(store: ImageStore, per_class: int) -> Figure:
    rows_of_class = [
        np.flatnonzero(store.labels == label)[:per_class].tolist()
        for label in range(len(store.info.classes))
    ]
    num_columns = max(map(len, rows_of_class))
    size = np.array([num_columns + 0.9, 1.22 * len(rows_of_class) + 0.45]) * PANEL_INCHES
    figure = Figure(figsize=tuple(size), layout="constrained", facecolor=BACKGROUND)
    panels = figure.subplots(
        len(rows_of_class), num_columns, sharex=True, sharey=True, squeeze=False
    )
    shown = [row for rows in rows_of_class for row in rows]
    norm = _stretch(store, shown)
    heaviest = max((_places(store.truth, row)[2].max(initial=0.0) for row in shown), default=0.0)
    for row_of_panels, rows, name in zip(panels, rows_of_class, store.info.classes, strict=True):
        for panel in row_of_panels[len(rows) :]:
            panel.set_axis_off()
        for panel, row in zip(row_of_panels, rows, strict=False):
            _draw_image(panel, store.images([row])[0, 0], store.info, norm)
            _draw_substructure(panel, store.truth, row, heaviest)
            panel.set_title(_caption(store.truth, row), color=FOREGROUND, fontsize=7)
        row_of_panels[0].set_ylabel(f"{name}\n", color=FOREGROUND, fontsize=13, fontweight="bold")
    _draw_frame(figure, store, panels, norm)
    return figure


def _stretch(store: ImageStore, rows: list[int]) -> AsinhNorm:
    """Return one brightness scale for all images, in units of each image's peak."""
    images = store.images(rows)
    peak = float(np.median(abs(images).max(axis=(1, 2, 3)))) or 1.0
    noise = store.info.noise_sigma / peak
    lowest = min(0.0, max(-2 * noise, images.min() / peak))
    return AsinhNorm(linear_width=max(FAINT_FRACTION, 2 * noise), vmin=lowest, vmax=1)


def _draw_image(panel: Axes, image: np.ndarray, info: DatasetInfo, norm: AsinhNorm) -> None:
    half = info.num_pix * info.pixel_scale / 2
    panel.imshow(
        image / (abs(image).max() or 1),
        origin="lower",
        extent=(-half, half, -half, half),
        cmap=COLORMAP,
        norm=norm,
        interpolation="nearest",
    )
    panel.tick_params(colors=FOREGROUND, labelsize=7, length=2.5, direction="in")
    panel.locator_params(nbins=5)
    for spine in panel.spines.values():
        spine.set_color(FOREGROUND)
        spine.set_alpha(0.3)


def _has_substructure(truth: Truth) -> bool:
    return "point_x" in truth or "halo_x" in truth or "rod_x0" in truth


def _places(truth: Truth, row: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return x, y and strength (arcsec^2, proportional to mass) of point masses and halos."""
    places = [np.empty((3, 0))]
    if {"point_x", "point_y", "point_theta_E"} <= truth.keys():
        x, y, theta_E = (truth[f"point_{name}"][row] for name in ("x", "y", "theta_E"))
        places.append(np.stack([x, y, theta_E**2]))
    if "halo_x" in truth:
        x, y, alpha_Rs, Rs = (truth[f"halo_{name}"][row] for name in ("x", "y", "alpha_Rs", "Rs"))
        places.append(np.stack([x, y, alpha_Rs * Rs]))
    x, y, strength = np.concatenate(places, axis=1)
    real = strength > 0  # the others fill up the array
    return x[real], y[real], strength[real]


def _draw_substructure(panel: Axes, truth: Truth, row: int, heaviest: float) -> None:
    limits = panel.get_xlim(), panel.get_ylim()
    ends = truth["vortex_ends"][row] if "vortex_ends" in truth else np.array([np.nan])
    if "rod_x0" in truth and truth["rod_theta_E"][row].any():
        for x0, y0, x1, y1 in np.stack(
            [truth[f"rod_{n}"][row] for n in ("x0", "y0", "x1", "y1")]
        ).T:
            panel.plot([x0, x1], [y0, y1], color=MARKS, linewidth=0.8, alpha=0.8)
    elif np.isfinite(ends).all():
        panel.plot(ends[::2], ends[1::2], color=MARKS, linewidth=0.8, alpha=0.8)
    else:
        x, y, strength = _places(truth, row)
        area = 2 + 80 * strength / (heaviest or 1)  # the lightest still get a dot
        panel.scatter(x, y, s=area, facecolors="none", edgecolors=MARKS, linewidths=0.6, alpha=0.9)
    panel.set(xlim=limits[0], ylim=limits[1])


def _caption(truth: Truth, row: int) -> str:
    """Return the truth of an image in two short lines, as far as the store has it."""
    value = {name: float(truth[name][row]) for name in truth if truth[name].ndim == 1}
    known = {name: number for name, number in value.items() if np.isfinite(number)}
    lens = []
    if "theta_E" in known:
        lens.append(rf"$\theta_E$ {known['theta_E']:.2f}$''$")
    if "source_magnitude" in known:
        lens.append(f"source {known['source_magnitude']:.1f} mag")
    content = ""
    if "axion_mass_eV" in known:
        content = f"axion {_scientific(known['axion_mass_eV'])} eV"
    elif known.get("num_subhalos", 0) > 0:
        content = f"{known['num_subhalos']:.0f} subhalos"
    elif "num_subhalos" in known:
        content = "smooth"
    return "\n".join(["   ".join(lens), content]).strip("\n")


def _scientific(number: float) -> str:
    mantissa, exponent = f"{number:.1e}".split("e")
    return rf"${mantissa}\times10^{{{int(exponent)}}}$"


def _draw_frame(figure: Figure, store: ImageStore, panels: np.ndarray, norm: AsinhNorm) -> None:
    info = store.info
    facts = (
        f"{info.num_images:,} images",
        f"{info.num_pix} x {info.num_pix} pixels of {info.pixel_scale:g}″",
        info.instrument,
        f"noise {info.noise_sigma:.3g} {info.unit}" if info.noise_sigma > 0 else "noise-free",
    )
    figure.suptitle(f"{info.recipe}\n{'  ·  '.join(facts)}", color=FOREGROUND, fontsize=11)
    marks = "   (circles: subhalos, area by mass; lines: vortices)"
    figure.supxlabel(
        f"arcsec{marks if _has_substructure(store.truth) else ''}", color=FOREGROUND, fontsize=9
    )
    bar = figure.colorbar(
        ScalarMappable(norm, COLORMAP), ax=panels, aspect=40, pad=0.01, fraction=0.03
    )
    lowest, _ = bar.ax.get_ylim()
    bar.set_ticks([tick for tick in BAR_TICKS if tick >= lowest])
    bar.ax.yaxis.set_major_formatter("{x:g}")
    bar.set_label("brightness / peak", color=FOREGROUND, fontsize=9)
    bar.ax.tick_params(colors=FOREGROUND, labelsize=7)
    bar.minorticks_off()
    bar.outline.set_visible(False)
