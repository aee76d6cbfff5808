"""The recipes as pictures: an image of each class, and the command that simulates such images."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.colors import AsinhNorm
from matplotlib.figure import Figure

from lenspinn.data.figure_html import figure_png
from lenspinn.simulate import Recipe, draw_scene, get_recipe, list_recipes, render
from lenspinn.simulate.draw import noise_generator
from lenspinn.simulate.names import SUMMARIES
from lenspinn.simulate.noise import observe
from lenspinn.simulate.render import render_subtracted

__all__ = ["GalleryEntry", "draw_recipe_image", "recipe_gallery"]

NEEDS_FILES = "survey/hst_cosmos"
"""Recipe of real galaxies, which do not come with lenspinn."""
SEED = 4
FAINT = 3.0
"""Brightness at which the stretch turns from linear to logarithmic, in units of the noise."""
SIZE = (6.0, 2.25)
"""Size of a picture, inches."""


@dataclass(frozen=True, kw_only=True)
class GalleryEntry:
    """Recipe with its picture."""

    name: str
    summary: str
    command: str
    picture: bytes | None
    """Picture as PNG; None for a recipe that needs files."""


def recipe_gallery() -> list[GalleryEntry]:
    """Return every recipe with an image of each class, drawn now."""
    return [
        GalleryEntry(
            name=name,
            summary=SUMMARIES[name],
            command=_command(name),
            picture=None if name == NEEDS_FILES else _picture(get_recipe(name)),
        )
        for name in list_recipes()
    ]


def draw_recipe_image(axes: Axes, recipe: Recipe, image: Float[np.ndarray, "y x"]) -> None:
    """Draw an image of a recipe, stretched by its noise, with arcsec on its axes."""
    half = recipe.num_pix * recipe.instrument.pixel_scale / 2
    sigma = recipe.noise_sigma or image.max() / 300
    axes.imshow(
        image,
        origin="lower",
        extent=(-half, half, -half, half),
        cmap="inferno",
        norm=AsinhNorm(FAINT * sigma, vmin=-2 * sigma, vmax=np.quantile(image, 0.9995)),
    )


def _command(name: str) -> str:
    more = " --overrides.source.galaxies FOLDER" if name == NEEDS_FILES else ""
    return f"lenspinn simulate --recipe {name} --num 300 --out data.zarr{more}"


def _picture(recipe: Recipe) -> bytes:
    figure = Figure(figsize=SIZE)
    figure.subplots_adjust(left=0.05, right=0.99, bottom=0.17, top=0.89)  # laid out at once
    panels = figure.subplots(1, len(recipe.classes), squeeze=False).flat
    for label, (axes, of_class) in enumerate(zip(panels, recipe.classes, strict=True)):
        draw_recipe_image(axes, recipe, _image(recipe, label))
        axes.set_title(of_class, fontsize=9)
        axes.tick_params(labelsize=7)
        axes.set_xlabel("arcsec", fontsize=7, labelpad=1)
    return figure_png(figure, resolution=80)


def _image(recipe: Recipe, label: int) -> Float[np.ndarray, "y x"]:
    """Return an image of a class: what `lenspinn simulate` makes, but for rounding."""
    scene, truth = draw_scene(recipe, SEED, label)
    subtracted = render_subtracted(scene, recipe.camera)
    return observe(
        render(scene, recipe.camera)[0].numpy(),
        recipe.instrument,
        recipe.faults,
        noise_generator(SEED, label),
        exposure_time=float(truth["exposure_time"][0]),
        subtracted=None if subtracted is None else subtracted[0].numpy(),
    )
