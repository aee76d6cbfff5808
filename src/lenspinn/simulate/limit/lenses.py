"""Lenses with the substructure that each class would give them, seen at any magnitude."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from lenspinn.data.instrument import flux_from_magnitude
from lenspinn.errors import ConfigError
from lenspinn.lensing.grid import pixel_grid
from lenspinn.nearest_name import nearest_name
from lenspinn.simulate.draw import Truth, draw_scenes
from lenspinn.simulate.limit.classifier import ideal_confusion
from lenspinn.simulate.limit.fit import (
    Columns,
    Model,
    Parameters,
    fit_smooth,
    jacobian,
    unexplained,
)
from lenspinn.simulate.limit.search import SubhaloPrior, Templates, searching_confusion
from lenspinn.simulate.limit.smooth import check_smooth, smooth_model
from lenspinn.simulate.noise import noise_sigma
from lenspinn.simulate.recipes import Recipe
from lenspinn.simulate.render import render, render_subtracted
from lenspinn.simulate.scene import Scene
from lenspinn.simulate.tensors import scene_tensors

__all__ = ["Lenses", "Visibility", "draw_lenses", "together", "visibility"]

REFERENCE_MAGNITUDE = 22.0
"""AB magnitude of the source for whose best smooth model the fits at all magnitudes begin."""

_FLUXES = ("source.amplitude", "source.flux")
_KINDS = ("points", "halos", "rods")
_PLACE = ("source.center_x", "source.center_y")

Image = Float[Tensor, "batch y x"]


@dataclass(frozen=True, kw_only=True)
class Lenses:
    """A batch of lenses, each with one draw of every class's substructure."""

    recipe: Recipe
    smooth: Scene
    """Scenes without substructure; the flux of the source is 1 e-/s."""
    sources: dict[str, Image | None]
    """Image of the lensed source for a flux of 1 e-/s, by class; None without substructure, where
    it is the smooth image."""
    light: Image
    """Image of the lens light, less the subtracted model of it, e-/s."""
    subtracted: Image | None
    """Image of the subtracted model of the lens light, e-/s."""
    truth: dict[str, Truth]
    """Truth by class, as `draw_scenes` returns it."""
    indices: tuple[int, ...]
    """Numbers of the lenses."""
    known: tuple[str, ...]
    """Names of the parameters that are not fitted."""
    fitted: dict[str, Parameters] = field(default_factory=dict)
    """Best smooth model at `REFERENCE_MAGNITUDE`, for a flux of 1 e-/s, by class that has
    substructure."""

    def __len__(self) -> int:
        return len(self.smooth)


class Visibility(NamedTuple):
    """Visibility of the substructure of each lens and class above the noise."""

    significance: Float[Tensor, "batch classes"]
    """Significance sqrt(delta chi^2) against the best smooth model."""
    linear: Float[Tensor, "batch classes"]
    """Significance if images were linear in the smooth parameters."""
    converged: Bool[Tensor, "batch classes"]
    confusion: Float[Tensor, "batch classes classes"]
    """Confusion matrix of the ideal classifier; see `ideal_confusion`."""
    searching: Float[Tensor, "batch classes classes"] | None
    """Confusion matrix of the classifier that must search for subhalos; None without a prior."""


def draw_lenses(
    recipe: Recipe, seed: int, indices: Sequence[int], known: Sequence[str] = ()
) -> Lenses:
    """Draw lenses, and for each lens what every class of the recipe would add to it.

    Parameters
    ----------
    recipe
        Recipe; the magnitude of its source and the effect of its faults on noise play no part.
    seed, indices
        Lens i depends on the recipe, the seed and i alone.
    known
        Parameters of the smooth model that are not fitted, because the observer knows them.

    Raises
    ------
    ConfigError
        If the instrument has no zero point, sources have clumps, or the smooth model has no such
        parameter.
    """
    check_smooth(recipe)
    if recipe.instrument.zero_point is None:
        raise ConfigError(
            f"magnitudes need an instrument with a zero_point, which {recipe.instrument.name} of "
            f"{recipe.name} has not: override instrument"
        )
    scenes, truth = {}, {}
    for name in recipe.classes:
        # A recipe of one class: an index then is the same lens and source for every class.
        single = replace(recipe, populations={name: recipe.populations[name]})
        scenes[name], truth[name] = draw_scenes(single, seed, indices)
    smooth = _with_flux(scenes[recipe.classes[0]].smooth(), 1.0)
    bare = replace(smooth, lens_light=None, subtracted_light=None)
    sources: dict[str, Image | None] = {}
    for name, scene in scenes.items():
        places = {kind: getattr(scene, kind) for kind in _KINDS}
        empty = all(kind is None for kind in places.values())
        sources[name] = None if empty else _rendered(replace(bare, **places), recipe)
    lenses = Lenses(
        recipe=recipe,
        smooth=smooth,
        sources=sources,
        light=_rendered(_with_flux(smooth, 0.0), recipe),
        subtracted=render_subtracted(smooth, recipe.camera, dtype=torch.float64),
        truth=truth,
        indices=tuple(map(int, indices)),
        known=tuple(known),
    )
    _check_known(lenses)
    return replace(lenses, fitted=_reference_fits(lenses))


def visibility(
    lenses: Lenses, magnitude: float, seed: int, prior: SubhaloPrior | None = None
) -> Visibility:
    """Measure how visible substructure is for sources of one magnitude.

    Parameters
    ----------
    magnitude
        AB magnitude of the unlensed source.
    seed
        Seed of the noise that classifiers see.
    prior
        Prior of subhalos, for a classifier that must search for them.

    Notes
    -----
    The noise is that of the image with substructure, the data that would be fitted.
    """
    flux = _flux(lenses, magnitude)
    model, true = _smooth_model(lenses, flux)
    free, smooth = _free(lenses, true), model(true)
    linear, fits, templates = [], [], []
    for name in lenses.recipe.classes:
        image, sigma = _observed(lenses, name, flux, smooth)
        start = _times(lenses.fitted[name], flux) if name in lenses.fitted else free
        fit = fit_smooth(model, start, image, sigma)
        fits.append(fit)
        linear.append(unexplained(model, free, image - smooth, sigma))
        if prior is not None:
            templates.append(_templates(lenses, model, true | fit.parameters, sigma, fit.basis))
    signals = torch.stack([fit.residual for fit in fits], dim=1)
    searching = None
    if prior is not None:
        column = lenses.recipe.classes.index(prior.name)
        seeds = [(seed, index) for index in lenses.indices]
        searching = searching_confusion(signals, templates, column, prior, seeds)
    return Visibility(
        significance=signals.norm(dim=2),
        linear=torch.stack(linear, dim=1).norm(dim=2),
        converged=torch.stack([fit.converged for fit in fits], dim=1),
        confusion=ideal_confusion(signals, seed),
        searching=searching,
    )


def together(parts: Sequence[Visibility]) -> Visibility:
    """Join the visibilities of several batches of lenses."""
    significance, linear, converged, confusion, searching = zip(*parts, strict=True)
    return Visibility(
        significance=torch.cat(significance),
        linear=torch.cat(linear),
        converged=torch.cat(converged),
        confusion=torch.cat(confusion),
        searching=None if searching[0] is None else torch.cat(searching),
    )


def _reference_fits(lenses: Lenses) -> dict[str, Parameters]:
    flux = _flux(lenses, REFERENCE_MAGNITUDE)
    model, true = _smooth_model(lenses, flux)
    free, smooth = _free(lenses, true), model(true)
    fitted = {}
    for name, source in lenses.sources.items():
        if source is not None:
            fit = fit_smooth(model, free, *_observed(lenses, name, flux, smooth))
            fitted[name] = _times(fit.parameters, 1 / flux)
    return fitted


def _templates(
    lenses: Lenses, model: Model, at: Parameters, sigma: Image, basis: Columns
) -> Templates:
    """Return the templates of a search in images around given parameters of a model."""
    camera = lenses.recipe.camera
    columns = jacobian(model, at) / sigma.flatten(1)[..., None]
    by_source = columns[..., [list(at).index(name) for name in _PLACE]]
    theta_x, theta_y = pixel_grid(camera.num_pix, camera.pixel_scale, dtype=torch.float64)
    return Templates(
        by_source=by_source.mT.unflatten(2, sigma.shape[1:]),
        basis=basis.mT.unflatten(2, sigma.shape[1:]),
        radius=torch.hypot(theta_x - at["lens.center_x"], theta_y - at["lens.center_y"]),
        pixel_scale=camera.pixel_scale,
    )


def _times(parameters: Parameters, flux: float) -> Parameters:
    """Return the parameters of an image that is brighter by a factor."""
    return {name: value * (flux if name in _FLUXES else 1) for name, value in parameters.items()}


def _smooth_model(lenses: Lenses, flux: float) -> tuple[Model, Parameters]:
    """Return the smooth model and the true values of all its parameters."""
    camera = lenses.recipe.camera
    scene = scene_tensors(
        _with_flux(lenses.smooth, flux), source_core=camera.source_core, dtype=torch.float64
    )
    return smooth_model(scene, camera)


def _free(lenses: Lenses, true: Parameters) -> Parameters:
    return {name: value for name, value in true.items() if name not in lenses.known}


def _check_known(lenses: Lenses) -> None:
    _, true = _smooth_model(lenses, 1.0)
    for name in lenses.known:
        if name not in true:
            raise ConfigError(f"known: there is no parameter {name!r}; {nearest_name(name, true)}")


def _observed(lenses: Lenses, name: str, flux: float, smooth: Image) -> tuple[Image, Image]:
    """Return image and noise of one class's lenses for a source of some flux.

    ``smooth`` is the image without substructure.
    """
    source = lenses.sources[name]
    image = smooth if source is None else flux * source + lenses.light
    bright = image if lenses.subtracted is None else image + lenses.subtracted
    times = lenses.truth[name]["exposure_time"].tolist()
    rows = zip(bright, times, strict=True)
    sigma = [noise_sigma(row, lenses.recipe.instrument, time) for row, time in rows]
    return image, torch.stack(sigma)


def _flux(lenses: Lenses, magnitude: float) -> float:
    zero_point = lenses.recipe.instrument.zero_point
    assert zero_point is not None  # draw_lenses has seen to it
    return float(flux_from_magnitude(magnitude, zero_point))


def _with_flux(scene: Scene, flux: float) -> Scene:
    return replace(scene, source=replace(scene.source, flux=np.full(len(scene), flux)))


def _rendered(scene: Scene, recipe: Recipe) -> Image:
    return render(scene, recipe.camera, dtype=torch.float64)
