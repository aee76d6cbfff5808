"""Pictures of a dataset: its images, what substructure does to them, and its truth."""

from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from lenspinn.data.contact_sheet import (
    BACKGROUND,
    DOTS_PER_INCH,
    FOREGROUND,
    PANEL_INCHES,
    contact_sheet,
)
from lenspinn.data.histograms import truth_histograms
from lenspinn.data.store import ImageStore
from lenspinn.errors import ConfigError
from lenspinn.simulate.catalogue import get_recipe, list_recipes
from lenspinn.simulate.draw import draw_scenes
from lenspinn.simulate.noise import noise_sigma
from lenspinn.simulate.recipes import Recipe
from lenspinn.simulate.render import render, render_subtracted

__all__ = ["inspect_dataset", "stored_recipe"]

LARGEST_RESIDUAL = 5.0
"""Standard deviations at which the colours end."""


def inspect_dataset(
    store_path: Path, out_png: Path | None = None, *, per_class: int = 6
) -> list[Path]:
    """Draw the first images of each class, their residuals, and histograms of the truth.

    Parameters
    ----------
    store_path : Path
        Dataset.
    out_png : Path
        Picture of the images; by default named as the dataset, beside it. The others are named
        after it: ``X_residuals.png``, what is left when the same scene without substructure is
        subtracted, in units of the noise; ``X_truth.png``, histograms of the truth by class. An
        imported dataset, of which no recipe is known, has the images alone.
    per_class : int
        Images in a row.

    Returns
    -------
    list of Path
        The pictures.

    Raises
    ------
    StoreError
        If the dataset cannot be read.
    DataError
        If no image is asked for.
    """
    images = contact_sheet(store_path, out_png, per_class=per_class)
    store = ImageStore.open(store_path)
    recipe = stored_recipe(store)
    if recipe is None:
        return [images]
    residuals = images.with_name(f"{images.stem}_residuals.png")
    _draw_residuals(store, recipe, per_class).savefig(
        residuals, format="png", dpi=DOTS_PER_INCH, metadata={"Software": None}
    )
    truth = images.with_name(f"{images.stem}_truth.png")
    return [images, residuals, truth_histograms(store_path, truth)]


def stored_recipe(store: ImageStore) -> Recipe | None:
    """Return the recipe that a dataset was simulated from, or None if it was imported."""
    content = dict(store.info.recipe_config)
    if store.info.recipe not in list_recipes() or content.get("name") != store.info.recipe:
        return None
    for key in ("engine", "galaxies_digest"):  # of the dataset, not of the recipe
        content.pop(key, None)
    try:
        return get_recipe(**content)
    except ConfigError:
        return None  # of another version of lenspinn


def _draw_residuals(store: ImageStore, recipe: Recipe, per_class: int) -> Figure:
    rows = [
        np.flatnonzero(store.labels == label)[:per_class] for label in range(len(recipe.classes))
    ]
    columns = max(map(len, rows))
    size = np.array([columns + 0.9, 1.16 * len(rows) + 0.45]) * PANEL_INCHES
    figure = Figure(figsize=tuple(size), layout="constrained", facecolor=BACKGROUND)
    panels = figure.subplots(len(rows), columns, sharex=True, sharey=True, squeeze=False)
    half = recipe.num_pix * recipe.instrument.pixel_scale / 2
    for of_class, numbers, name in zip(panels, rows, recipe.classes, strict=True):
        residuals, significance = _residuals(store, recipe, numbers)
        for panel in of_class[len(numbers) :]:
            panel.set_axis_off()
        for panel, residual, total in zip(of_class, residuals, significance, strict=False):
            shown = panel.imshow(
                residual,
                origin="lower",
                extent=(-half, half, -half, half),
                cmap="RdBu_r",
                vmin=-LARGEST_RESIDUAL,
                vmax=LARGEST_RESIDUAL,
            )
            panel.set_title(rf"${total:.1f}\,\sigma$", color=FOREGROUND, fontsize=8)
            panel.tick_params(colors=FOREGROUND, labelsize=7, length=2.5, direction="in")
        of_class[0].set_ylabel(f"{name}\n", color=FOREGROUND, fontsize=13, fontweight="bold")
    figure.suptitle(
        f"{recipe.name}: image minus the same scene without substructure, in units of the noise\n"
        + _noise_in_words(recipe)
        + "; number: all pixels together, no lens refitted",
        color=FOREGROUND,
        fontsize=10,
    )
    figure.supxlabel("arcsec", color=FOREGROUND, fontsize=9)
    bar = figure.colorbar(shown, ax=panels, aspect=40, pad=0.01, fraction=0.03)
    bar.ax.tick_params(colors=FOREGROUND, labelsize=7)
    return figure


def _noise_in_words(recipe: Recipe) -> str:
    if recipe.faults.noise_left_out:
        return f"the images have none; it is what {recipe.instrument.name} would have"
    return f"of {recipe.instrument.name}"


def _residuals(
    store: ImageStore, recipe: Recipe, numbers: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return residuals (n, y, x) in standard deviations, and the substructure's share, (n,)."""
    scene, truth = draw_scenes(recipe, store.info.seed or 0, numbers)
    exposure_time = truth["exposure_time"][:, None, None]
    with_it, without = (render(part, recipe.camera).numpy() for part in (scene, scene.smooth()))
    subtracted = render_subtracted(scene, recipe.camera)
    sigma = noise_sigma(
        without,
        recipe.instrument,
        exposure_time,
        subtracted=None if subtracted is None else subtracted.numpy(),
    )
    # What the stored pixels are, in units of the noise-free image.
    gain = (2 if recipe.faults.image_doubled else 1) * (
        exposure_time if recipe.faults.counts else 1
    )
    images = store.images(numbers)[:, 0]
    significance = np.sqrt((((with_it - without) / sigma) ** 2).sum(axis=(1, 2)))
    return (images / gain - without) / sigma, significance
