"""Histograms of the truth of a dataset, class by class."""

import math
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from lenspinn.data.contact_sheet import BACKGROUND, DOTS_PER_INCH, FOREGROUND
from lenspinn.data.store import ImageStore
from lenspinn.data.style import class_colors
from lenspinn.errors import DataError

COLUMNS = 6
BINS = 24
LOGARITHMIC_RANGE = 30
"""Ratio of largest to smallest value from which an axis is logarithmic."""


def truth_histograms(store_path: Path, out_png: Path) -> Path:
    """Draw a histogram of every truth value that varies, one line a class.

    Values with several places an image, as the masses of its subhalos, are counted place by place;
    empty places (0) and values a class does not have (NaN) are left out.

    Parameters
    ----------
    store_path : Path
    out_png : Path
        Picture to write.

    Returns
    -------
    Path
        ``out_png``.

    Raises
    ------
    StoreError
        If the store cannot be read.
    DataError
        If no truth value varies, as in a dataset imported without truth.
    """
    store = ImageStore.open(store_path)
    varied = {name: values for name, values in store.truth.items() if _varies(values)}
    if not varied:
        raise DataError(f"{store_path} holds no truth that varies from image to image")
    rows = math.ceil(len(varied) / COLUMNS)
    figure = Figure(figsize=(2.3 * COLUMNS, 1.7 * rows + 0.8), layout="constrained")
    figure.set_facecolor(BACKGROUND)
    panels = figure.subplots(rows, COLUMNS, squeeze=False).ravel()
    for panel in panels[len(varied) :]:
        panel.set_axis_off()
    for panel, (name, values) in zip(panels, varied.items(), strict=False):
        _draw(panel, name, values, store)
    handles, labels = panels[0].get_legend_handles_labels()
    figure.legend(
        handles, labels, loc="outside lower center", ncols=6, frameon=False, labelcolor=FOREGROUND
    )
    info = store.info
    figure.suptitle(f"{info.recipe}: truth of {info.num_images:,} images", color=FOREGROUND)
    out_png.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(out_png, format="png", dpi=DOTS_PER_INCH, metadata={"Software": None})
    return out_png


def _present(values: np.ndarray) -> np.ndarray:
    """Return the finite values, without the empty places of wide fields."""
    flat = values[np.isfinite(values)]
    return flat[flat != 0] if values.ndim > 1 else flat


def _varies(values: np.ndarray) -> bool:
    present = _present(values)
    return len(present) > 1 and bool(np.ptp(present) > 1e-12 * np.abs(present).max())


def _draw(panel: Axes, name: str, values: np.ndarray, store: ImageStore) -> None:
    present = _present(values)
    low, high = present.min(), present.max()
    logarithmic = low > 0 and high / low > LOGARITHMIC_RANGE
    edges = np.geomspace(low, high, BINS) if logarithmic else np.linspace(low, high, BINS)
    for label, (class_name, color) in enumerate(class_colors(store.info.classes).items()):
        of_class = _present(values[store.labels == label])
        counts, _ = np.histogram(of_class, edges)
        panel.stairs(counts, edges, color=color, label=class_name, linewidth=1.1)
    if logarithmic:
        panel.set_xscale("log")
    if values.ndim > 1 and logarithmic:
        panel.set_yscale("log")  # a mass function spans as much in number as in mass
    panel.set_title(name, color=FOREGROUND, fontsize=8)
    panel.set_facecolor(BACKGROUND)
    panel.tick_params(colors=FOREGROUND, labelsize=6, which="both")
    for axis in (panel.xaxis, panel.yaxis):
        axis.get_offset_text().set(color=FOREGROUND, fontsize=6)
        if axis.get_scale() == "linear":
            whole = axis is panel.yaxis  # images are counted
            axis.set_major_locator(MaxNLocator(4, steps=[1, 2, 5, 10], integer=whole))
    for spine in panel.spines.values():
        spine.set_color(FOREGROUND)
        spine.set_alpha(0.3)
