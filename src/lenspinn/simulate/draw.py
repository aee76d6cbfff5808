"""Drawing of scenes from a recipe and random numbers, with the truth behind them."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from lenspinn.simulate.populations import Halos, MainLens, PointMasses, Rods
from lenspinn.simulate.recipes import Recipe
from lenspinn.simulate.scene import Scene, joined, padded

__all__ = ["Truth", "draw_batch", "draw_scene", "draw_scenes", "noise_generator", "truth_fields"]

Truth = dict[str, np.ndarray]
"""Truth by field, each (B, *shape) float64; NaN where a field does not apply to a class."""

# Separates the noise of an image from its scene, so that neither depends on how much of the other
# is drawn.
_NOISE_STREAM = 1

# Names in the truth of the fields of a source.
_SOURCE_NAMES = {
    "flux": "source_flux",
    "R_sersic": "R_sersic",
    "n_sersic": "n_sersic",
    "e1": "source_e1",
    "e2": "source_e2",
    "center_x": "source_x",
    "center_y": "source_y",
    "angle": "source_angle",
    "size": "source_size",
}
_SUBSTRUCTURE = (
    ("point_", "points", PointMasses),
    ("halo_", "halos", Halos),
    ("rod_", "rods", Rods),
)


def draw_scene(recipe: Recipe, seed: int, index: int) -> tuple[Scene, Truth]:
    """Draw the scene of one image.

    The scene depends on these arguments alone; its class is ``classes[index % len(classes)]``.

    Returns
    -------
    scene, truth
        Both of batch size 1; see `draw_scenes`.
    """
    return draw_scenes(recipe, seed, [index])


def draw_scenes(
    recipe: Recipe, seed: int, indices: Sequence[int] | np.ndarray
) -> tuple[Scene, Truth]:
    """Draw the scenes of several images, each as `draw_scene` draws it.

    Returns
    -------
    scene : Scene
        Scenes with as many places for substructure as the richest of these images needs.
    truth : dict of (B, *shape) arrays
        The fields of `truth_fields`: values of the scene, and those it was made from.
    """
    drawn = []
    for index in map(int, indices):
        rng = np.random.Generator(np.random.PCG64(np.random.SeedSequence([seed, index])))
        drawn.append(_draw(recipe, np.array([index % len(recipe.classes)]), rng))
    return _together(recipe, drawn)


def draw_batch(recipe: Recipe, labels: np.ndarray, rng: np.random.Generator) -> tuple[Scene, Truth]:
    """Draw a batch at once, faster than one by one and from one source of random numbers.

    Parameters
    ----------
    labels : (B,) integers
        Class of each scene, sorted.
    rng
        Source of random numbers: the scenes are a function of its state, `recipe` and `labels`.

    Returns
    -------
    scene, truth
        See `draw_scenes`.
    """
    return _together(recipe, [_draw(recipe, labels, rng)])


def truth_fields(recipe: Recipe) -> dict[str, tuple[int, ...]]:
    """Return the name and shape, for one image, of each truth value of a recipe.

    They are the fields of `SmoothLens`, of the substructure (``point_x``, ``halo_x``, ``rod_x0``,
    ..., with as many places as an image of the recipe can need), of the source (``source_flux``,
    ``R_sersic``, ``n_sersic``, ``source_e1``, ``source_x``, ...), of the lens light (``light_*``)
    and its subtracted model (``subtracted_light_*``), and:

    ``theta_E_physical``, ``gamma1_physical``, ``gamma2_physical``
        Einstein radius, arcsec, and shear before `Faults.z_source_convention` scaled them.
    ``main_mass``
        Mass of the smooth lens inside its Einstein radius, solar masses.
    ``source_magnitude``
        AB magnitude of the unlensed source; absent where the recipe states its amplitude.
    ``clump_flux``, ``clump_x``, ``clump_y``, ``clump_sigma``
        Flux (e-/s before lensing), position and standard deviation (arcsec in the source plane) of
        each clump of the source, and ``clump_share``, the share of ``source_flux`` in all clumps;
        absent without clumps.
    ``source_galaxy``
        Number of the galaxy in its folder, where sources are images.
    ``exposure_time``
        Total exposure time, s.
    ``substructure_mass``, ``substructure_fraction``
        Sum of all masses of substructure, solar masses, and its ratio to ``main_mass``.
    the `Population.truth_fields` of each class
        For the paper's: ``num_subhalos``, ``axion_mass_eV``, ``vortex_mass`` (solar masses),
        ``vortex_length`` (arcsec), ``vortex_ends`` (x0, y0, x1, y1 in arcsec).

    Raises
    ------
    ConfigError
        If something the recipe needs, as a folder of galaxies, is not there.
    """
    _, truth = draw_scene(recipe, 0, 0)
    return {name: values.shape[1:] for name, values in truth.items()}


def noise_generator(seed: int, index: int) -> np.random.Generator:
    """Return the generator of random numbers for the noise of one image."""
    sequence = np.random.SeedSequence([seed, index], spawn_key=(_NOISE_STREAM,))
    return np.random.Generator(np.random.PCG64(sequence))


Drawn = tuple[Scene, Truth]
"""Scene, and the truth that cannot be read off the scene."""


def _draw(recipe: Recipe, labels: np.ndarray, rng: np.random.Generator) -> Drawn:
    """Draw lens, source, exposure time, substructure, and what only some recipes have.

    They are drawn in this order, so that a recipe with additions to another one has the same lenses
    and sources.
    """
    num, plane = len(labels), recipe.lens_plane
    lens = recipe.lens.draw(rng, plane, num)
    source, truth = recipe.source.draw(rng, recipe.instrument, num)
    truth |= {
        "theta_E_physical": lens.theta_E,
        "gamma1_physical": lens.gamma1,
        "gamma2_physical": lens.gamma2,
        "main_mass": (lens.theta_E / plane.theta_E_unit) ** 2,
        "exposure_time": recipe.draw_exposure_time(rng, num),
    }
    main = MainLens(lens.center_x, lens.center_y, lens.theta_E, plane, recipe.faults)
    substructure = []
    for label in np.unique(labels):
        rows = np.flatnonzero(labels == label)
        of_class = main.take(rows)
        substructure.append((rows, recipe.populations[recipe.classes[label]].draw(rng, of_class)))
    acting = dataclasses.replace(
        lens,
        theta_E=lens.theta_E * plane.scaling,
        gamma1=lens.gamma1 * plane.scaling,
        gamma2=lens.gamma2 * plane.scaling,
        **recipe.lens.draw_shape(rng, num),
    )
    lens_light, subtracted = recipe.draw_lens_light(rng, lens)
    source, of_clumps = recipe.draw_clumps(rng, source)
    smooth = Scene(lens=acting, source=source, lens_light=lens_light, subtracted_light=subtracted)
    scenes = [
        dataclasses.replace(
            smooth.take(rows), points=drawn.points, halos=drawn.halos, rods=drawn.rods
        )
        for rows, drawn in substructure
    ]
    parts = [_population_truth(recipe, drawn.truth, len(rows)) for rows, drawn in substructure]
    return joined(scenes), truth | of_clumps | {
        name: np.concatenate([p[name] for p in parts]) for name in parts[0]
    }


def _population_truth(recipe: Recipe, drawn: Mapping[str, np.ndarray], num: int) -> Truth:
    """Return the truth of a population, with NaN in the fields that only other classes have."""
    fields = {
        name: shape
        for population in recipe.populations.values()
        for name, shape in population.truth_fields.items()
    }
    absent = {name: np.full((num, *shape), np.nan) for name, shape in fields.items()}
    return absent | {name: np.asarray(values, dtype=np.float64) for name, values in drawn.items()}


def _together(recipe: Recipe, drawn: Sequence[Drawn]) -> tuple[Scene, Truth]:
    scene = joined([part for part, _ in drawn])
    extra = {name: np.concatenate([truth[name] for _, truth in drawn]) for name in drawn[0][1]}
    mass = np.zeros(len(scene))
    for kind in (scene.points, scene.halos, scene.rods):
        for of_place in kind.mass.T if kind else ():
            mass = mass + of_place  # one by one: unused places must not change the rounding
    return scene, _scene_truth(recipe, scene) | extra | {
        "substructure_mass": mass,
        "substructure_fraction": mass / extra["main_mass"],
    }


def _scene_truth(recipe: Recipe, scene: Scene) -> Truth:
    """Return the scene's arrays, with places for the richest image the recipe can make."""
    capacity = recipe.capacity
    truth = _named("", vars(scene.lens))
    truth |= {
        name: getattr(scene.source, field)
        for field, name in _SOURCE_NAMES.items()
        if hasattr(scene.source, field)
    }
    clumps = getattr(scene.source, "clumps", None)
    truth |= _named("clump_", vars(clumps)) if clumps else {}
    for prefix, kind, type_ in _SUBSTRUCTURE:
        if capacity.get(kind, 0):
            drawn = getattr(scene, kind)
            values = (
                drawn._asdict()
                if drawn
                else dict.fromkeys(type_._fields, np.empty((len(scene), 0)))
            )
            truth |= {
                prefix + field: padded(field, column, capacity[kind])
                for field, column in values.items()
            }
    for prefix, light in (
        ("light_", scene.lens_light),
        ("subtracted_light_", scene.subtracted_light),
    ):
        truth |= _named(prefix, vars(light)) if light else {}
    return truth


def _named(prefix: str, values: dict[str, Any]) -> Truth:
    return {prefix + field: array for field, array in values.items() if array is not None}
