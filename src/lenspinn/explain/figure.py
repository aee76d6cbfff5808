"""The picture of `lenspinn explain`: where a trained network looks, class by class."""

import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Int
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from lenspinn.data.store import ImageStore
from lenspinn.errors import DataError
from lenspinn.evaluate.files import save_figure
from lenspinn.explain.panels import (
    BARS_WIDTH,
    draw_cam,
    draw_image,
    draw_preprocessed,
    draw_probabilities,
    draw_source,
)
from lenspinn.explain.view import View, view_images
from lenspinn.files import write_whole
from lenspinn.path_arguments import takes_paths
from lenspinn.train import Run, load_run

PANEL = 2.0
"""Inches a side of one panel."""
COLUMNS = (
    "image",
    "preprocessed",
    "Grad-CAM over image",
    "over preprocessed",
    "reconstructed source",
    "probability",
)
UNTAUGHT = "source, if $\\theta_E$ were so\n(it was not taught)"
"""Title of the reconstructed source of a network that was trained on classes alone."""
PICTURE, ARRAYS = "explanation.png", "explanation.npz"


@takes_paths
def explain_run(
    run: Path | str,
    *,
    data: Path | None = None,
    out: Path | None = None,
    num_per_class: int = 2,
    seed: int = 0,
) -> Path:
    """Show where a trained network looks: Fig. 3 of the LensPINN paper, and more.

    Each row is one image: the image with the predicted critical curve, what the network's transform
    makes of it, Grad-CAM of the most probable class over both, the reconstructed source and the
    class probabilities.

    Parameters
    ----------
    run
        Folder of a finished training run, or name of a trained network; see
        `lenspinn.load_run`.
    data
        Dataset to take images from; by default the run's own test images.
    out
        Folder for ``explanation.png``, and ``explanation.npz`` with its maps and the numbers of
        its images; by default ``explanation`` in the run folder, and ``explanation_<dataset>``
        for another dataset. Of a network given by its name, where you work.
    num_per_class
        Images of each class.
    seed
        Chooses the images.

    Returns
    -------
    Path
        The picture.

    Raises
    ------
    LenspinnError
        The run is missing or unfinished, the dataset cannot be read or does not fit the model, or
        it has too few images of a class.
    """
    trained = load_run(run)
    store, candidates = _candidates(trained, data)
    rows = _choose(store, candidates, num_per_class, seed)
    views = view_images(trained.model, store.images(rows))
    labels = [store.info.classes[label] for label in store.labels[rows]]
    if out is None:
        out = trained.results / ("explanation" if data is None else f"explanation_{data.stem}")
    out.mkdir(parents=True, exist_ok=True)
    write_whole(out / ARRAYS, _arrays(views, labels, rows))
    return save_figure(explanation_figure(views, labels), out / PICTURE)


def explanation_figure(views: Sequence[View], labels: Sequence[str]) -> Figure:
    """Draw one row of panels for each image.

    Parameters
    ----------
    views
        At least one, all of one model.
    labels
        The true class of each.
    """
    physics = views[0].source is not None
    columns = [name for name in COLUMNS if physics or name != "reconstructed source"]
    figure = Figure(
        figsize=(PANEL * (len(columns) + 0.4), PANEL * len(views) + 0.6), layout="constrained"
    )
    widths = [1.0] * (len(columns) - 1) + [BARS_WIDTH]
    grid = figure.subplots(len(views), len(columns), squeeze=False, width_ratios=widths)
    for axes, name in zip(grid[0], columns, strict=True):
        untaught = name == "reconstructed source" and not views[0].measures_theta_E
        axes.set_title(UNTAUGHT if untaught else name, fontsize=10)
    for row, view, label in zip(grid, views, labels, strict=True):
        _draw_row(dict(zip(columns, row, strict=True)), view, label)
    # All maps of the image plane have the same axes: label the outer ones.
    for axes in grid[:-1, :4].flat:
        axes.tick_params(labelbottom=False)
    for axes in grid[:, 1:4].flat:
        axes.tick_params(labelleft=False)
    for axes in grid[-1, :-1]:
        axes.set_xlabel("arcsec", fontsize=8)
    return figure


def _draw_row(panels: dict[str, Axes], view: View, label: str) -> None:
    draw_image(panels["image"], view)
    draw_preprocessed(panels["preprocessed"], view)
    draw_cam(panels["Grad-CAM over image"], view)
    draw_cam(panels["over preprocessed"], view, preprocessed=True)
    if "reconstructed source" in panels:
        draw_source(panels["reconstructed source"], view)
    draw_probabilities(panels["probability"], view, label)
    panels["image"].set_ylabel(label, fontsize=11, fontweight="bold")


def _candidates(run: Run, data: Path | None) -> tuple[ImageStore, Int[np.ndarray, " n"]]:
    """Return a dataset that fits the run's model, and the images of it that may be shown."""
    store = ImageStore.open(run.data if data is None else data)
    here, there = run.data_info, store.info
    if data is None and there != here:
        raise DataError(
            f"{store.path} is not the dataset the run in {run.folder} was trained on any more: "
            "name the dataset to take images from"
        )
    if (there.num_pix, there.pixel_scale) != (here.num_pix, here.pixel_scale):
        raise DataError(
            f"{store.path} has {there.num_pix} pixels of {there.pixel_scale:g} arcsec a side, the "
            f"run in {run.folder} takes {here.num_pix} of {here.pixel_scale:g}; "
            "`lenspinn apply` resamples images"
        )
    return store, run.split["test"] if data is None else np.arange(len(store))


def _choose(
    store: ImageStore, candidates: Int[np.ndarray, " n"], num_per_class: int, seed: int
) -> Int[np.ndarray, " chosen"]:
    """Row numbers of `num_per_class` images of each class, class by class."""
    if num_per_class < 1:
        raise DataError(f"num_per_class is {num_per_class}; it must be at least 1")
    generator = np.random.default_rng(seed)
    chosen = []
    for label, name in enumerate(store.info.classes):
        of_class = candidates[store.labels[candidates] == label]
        if len(of_class) < num_per_class:
            raise DataError(
                f"{num_per_class} images of '{name}' are wanted; {store.path} has {len(of_class)} "
                "to choose from"
            )
        chosen.append(np.sort(generator.choice(of_class, num_per_class, replace=False)))
    return np.concatenate(chosen)


def _arrays(views: Sequence[View], labels: Sequence[str], rows: Int[np.ndarray, " n"]) -> bytes:
    """All maps of the picture as one .npz file."""
    names = ("image", "preprocessed", "cam", "probabilities", "theta_E", "source", "coverage")
    content: dict[str, Any] = {
        name: np.stack([getattr(view, name) for view in views])
        for name in names
        if getattr(views[0], name) is not None
    }
    buffer = io.BytesIO()
    np.savez_compressed(
        buffer,
        rows=rows,
        labels=np.array(labels),
        classes=np.array(views[0].classes),
        pixel_scale=np.array(views[0].pixel_scale),
        **content,
    )
    return buffer.getvalue()
