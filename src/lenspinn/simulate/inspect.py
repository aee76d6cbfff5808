"""Pictures of a dataset: its images, what substructure does to them, and its truth."""

from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
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
from lenspinn.path_arguments import takes_paths
from lenspinn.simulate.catalogue import get_recipe
from lenspinn.simulate.draw import draw_scenes
from lenspinn.simulate.limit.fit import fit_smooth
from lenspinn.simulate.limit.smooth import smooth_model
from lenspinn.simulate.names import list_recipes
from lenspinn.simulate.noise import noise_sigma
from lenspinn.simulate.recipes import Recipe
from lenspinn.simulate.render import render, render_subtracted
from lenspinn.simulate.tensors import scene_tensors

__all__ = ["inspect_dataset", "stored_recipe"]

LARGEST_RESIDUAL = 5.0
"""Residual at which the colours end, standard deviations of the noise."""


class _Residuals(NamedTuple):
    """Residuals of images from the smooth lens and source that fit best."""

    maps: np.ndarray
    """Residual maps, (n, y, x), in standard deviations of the noise."""
    significance: np.ndarray
    """Significance of the substructure against the best smooth model, (n,)."""
    unfitted: np.ndarray
    """Significance against the smooth model that the image was made with, (n,)."""
    converged: np.ndarray
    """Whether each fit converged, (n,); if not, the significance could still be lower."""


@takes_paths
def inspect_dataset(
    store_path: Path, out_png: Path | None = None, *, per_class: int = 6
) -> list[Path]:
    """Draw the first images of each class, their residuals, and histograms of the truth.

    The smooth model of a residual is the best one of `lenspinn.simulate.limit`: all numbers of
    lens, source and lens light are free, so only substructure explains the residual. The model is
    fitted to the image without noise, so that its parameters do not follow the noise.

    Parameters
    ----------
    store_path : Path
        Dataset.
    out_png : Path
        Picture of the images; by default named as the dataset, beside it. The others are named
        after it: ``X_residuals.png``, residuals from the best-fitting smooth lens and source, in
        units of the noise; ``X_truth.png``, histograms of the truth by class. An imported dataset,
        whose recipe is unknown, has the picture of the images alone; a dataset with clumps on its
        sources, which the smooth model lacks, has no residuals.
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
    pictures = [images]
    if not recipe.has_clumps:
        pictures.append(images.with_name(f"{images.stem}_residuals.png"))
        _draw_residuals(store, recipe, per_class).savefig(
            pictures[-1], format="png", dpi=DOTS_PER_INCH, metadata={"Software": None}
        )
    truth = images.with_name(f"{images.stem}_truth.png")
    return [*pictures, truth_histograms(store_path, truth)]


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
        residuals = _residuals(store, recipe, numbers)
        for panel in of_class[len(numbers) :]:
            panel.set_axis_off()
        for panel, image, *numbers_of in zip(of_class, *residuals, strict=False):
            shown = panel.imshow(
                image,
                origin="lower",
                extent=(-half, half, -half, half),
                cmap="RdBu_r",
                vmin=-LARGEST_RESIDUAL,
                vmax=LARGEST_RESIDUAL,
            )
            caption = _caption(*(number.item() for number in numbers_of))
            panel.set_title(caption, color=FOREGROUND, fontsize=8)
            panel.tick_params(colors=FOREGROUND, labelsize=7, length=2.5, direction="in")
        of_class[0].set_ylabel(f"{name}\n", color=FOREGROUND, fontsize=13, fontweight="bold")
    figure.suptitle(
        f"{recipe.name}: image minus the best-fitting smooth lens and source, in units of the noise"
        f"\n{_noise_in_words(recipe)}; numbers: substructure in all pixels together, "
        "(before the fit) and after it",
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
    if recipe.faults.second_poisson:
        return f"of {recipe.instrument.name}; the images have more, and nothing below 0"
    return f"of {recipe.instrument.name}"


def _caption(significance: float, unfitted: float, converged: bool) -> str:
    bound = "" if converged else "<"
    return rf"({unfitted:.1f})   {bound}${significance:.1f}\,\sigma$"


def _residuals(store: ImageStore, recipe: Recipe, numbers: np.ndarray) -> _Residuals:
    camera = recipe.camera
    scene, truth = draw_scenes(recipe, store.info.seed or 0, numbers)
    exposure_time = truth["exposure_time"][:, None, None]
    noise_free = render(scene, camera, dtype=torch.float64)
    subtracted = render_subtracted(scene, camera, dtype=torch.float64)
    sigma = noise_sigma(
        noise_free, recipe.instrument, torch.from_numpy(exposure_time), subtracted=subtracted
    )
    tensors = scene_tensors(scene, source_core=camera.source_core, dtype=torch.float64)
    model, true = smooth_model(tensors, camera)
    with torch.no_grad():
        fit = fit_smooth(model, true, noise_free, sigma)
        unfitted = ((noise_free - model(true)) / sigma).flatten(1).norm(dim=1)
    # Factor from the noise-free image, e-/s, to the stored pixels.
    gain = (2 if recipe.faults.image_doubled else 1) * (
        exposure_time if recipe.faults.counts else 1
    )
    noise = (store.images(numbers)[:, 0] / gain - noise_free.numpy()) / sigma.numpy()
    return _Residuals(
        maps=noise + fit.residual.unflatten(1, noise_free.shape[1:]).numpy(),
        significance=fit.significance.numpy(),
        unfitted=unfitted.numpy(),
        converged=fit.converged.numpy(),
    )
