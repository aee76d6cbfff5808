"""Scenes: one draw of lens, source and substructure for each image, in numbers that act in it."""

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from lenspinn.lensing import sersic_total_flux
from lenspinn.simulate.instrument import flux_from_magnitude
from lenspinn.simulate.populations import MainLens, Substructure
from lenspinn.simulate.recipes import Recipe

__all__ = ["Scene", "Truth", "draw_scene", "draw_scenes", "noise_generator", "truth_fields"]

Truth = dict[str, np.ndarray]
"""Truth by field, each (B, *shape) float64; NaN where a field does not apply to a class."""

# Separates the noise of an image from its scene, so that neither depends on how much of the other
# is drawn.
_NOISE_STREAM = 1


@dataclass(frozen=True, kw_only=True)
class Scene:
    """A batch of scenes: float64 arrays, in arcsec, e-/s and lenstronomy's definitions.

    Faulty or not, these are the values that act in the image; whatever a fault scales is scaled.
    """

    theta_E: np.ndarray
    """(B,): singular isothermal ellipsoid, this and the next four."""
    e1: np.ndarray
    e2: np.ndarray
    center_x: np.ndarray
    center_y: np.ndarray
    gamma1: np.ndarray
    """(B,): external shear, zero at the image centre."""
    gamma2: np.ndarray
    point_x: np.ndarray
    """(B, n): point masses; images with fewer have theta_E = 0 in the rest."""
    point_y: np.ndarray
    point_theta_E: np.ndarray
    R_sersic: np.ndarray
    """(B,): source, this and the next six."""
    n_sersic: np.ndarray
    source_e1: np.ndarray
    source_e2: np.ndarray
    source_x: np.ndarray
    source_y: np.ndarray
    source_flux: np.ndarray
    """(B,): of the unlensed source, integrated to infinity, e-/s."""

    def __len__(self) -> int:
        return len(self.theta_E)

    def take(self, rows: Sequence[int] | np.ndarray) -> "Scene":
        """Return some of the scenes, in any order and as often as asked."""
        fields = dataclasses.fields(self)
        return Scene(**{field.name: getattr(self, field.name)[rows] for field in fields})


def draw_scene(recipe: Recipe, seed: int, index: int) -> tuple[Scene, Truth]:
    """Draw the scene of one image.

    It depends on these arguments alone. The image's class is ``classes[index % len(classes)]``.

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
        With as many columns of point masses as the richest of these images needs.
    truth : dict of (B, *shape) arrays
        The fields of `truth_fields`: the scene, and what it was made from.
    """
    rows = [_draw_row(recipe, seed, int(index)) for index in indices]
    lens, source, exposure_time, substructure = (list(column) for column in zip(*rows, strict=True))
    scaling, unit = recipe.lens_plane.scaling, recipe.lens_plane.theta_E_unit
    theta_E, e1, e2, center_x, center_y, gamma1, gamma2 = np.array(lens).T
    magnitude, *light = np.array(source).T
    width = max(len(item.x) for item in substructure)
    scene = Scene(
        theta_E=theta_E * scaling,
        e1=e1,
        e2=e2,
        center_x=center_x,
        center_y=center_y,
        gamma1=gamma1 * scaling,
        gamma2=gamma2 * scaling,
        point_x=_padded([item.x for item in substructure], width),
        point_y=_padded([item.y for item in substructure], width),
        point_theta_E=_padded([item.theta_E for item in substructure], width),
        **dict(zip(_SOURCE_FIELDS, light, strict=True)),
    )
    masses = [item.mass for item in substructure]
    main_mass = (theta_E / unit) ** 2
    in_substructure = np.array([mass.sum() for mass in masses])
    truth = _wide_scene(recipe, scene) | {
        "theta_E_physical": theta_E,
        "gamma1_physical": gamma1,
        "gamma2_physical": gamma2,
        "main_mass": main_mass,
        "exposure_time": np.array(exposure_time),
        "point_mass": _padded(masses, _max_points(recipe)),
        "substructure_mass": in_substructure,
        "substructure_fraction": in_substructure / main_mass,
    }
    if recipe.source.magnitude is not None:
        truth["source_magnitude"] = magnitude
    return scene, truth | _population_truth(recipe, [item.truth for item in substructure])


def truth_fields(recipe: Recipe) -> dict[str, tuple[int, ...]]:
    """Return the name and shape, for one image, of each truth value of a recipe.

    Those of `Scene` (its point masses padded to the most an image of the recipe can hold), and:

    ``theta_E_physical``, ``gamma1_physical``, ``gamma2_physical``
        Before `Faults.z_source_convention` scaled them.
    ``main_mass``
        Of the smooth lens inside its Einstein radius, solar masses.
    ``source_magnitude``
        AB, unlensed; absent where the recipe states the source's amplitude.
    ``exposure_time``
        Total, s.
    ``point_mass``, ``substructure_mass``, ``substructure_fraction``
        Mass of each point and their sum, solar masses, and its ratio to ``main_mass``.
    the `Population.truth_fields` of each class
        For the paper's: ``num_subhalos``, ``axion_mass_eV``, ``vortex_mass`` (solar masses),
        ``vortex_length`` (arcsec), ``vortex_ends`` (x0, y0, x1, y1 in arcsec).
    """
    points = (_max_points(recipe),)
    fields: dict[str, tuple[int, ...]] = {
        field.name: points if field.name.startswith("point_") else ()
        for field in dataclasses.fields(Scene)
    }
    fields |= dict.fromkeys(_EXTRA_TRUTH, ()) | {"point_mass": points}
    if recipe.source.magnitude is not None:
        fields["source_magnitude"] = ()
    for population in recipe.populations.values():
        fields |= population.truth_fields
    return fields


def noise_generator(seed: int, index: int) -> np.random.Generator:
    """Return the random numbers for the noise of one image."""
    sequence = np.random.SeedSequence([seed, index], spawn_key=(_NOISE_STREAM,))
    return np.random.Generator(np.random.PCG64(sequence))


_SOURCE_FIELDS = (
    "source_flux",
    "R_sersic",
    "n_sersic",
    "source_e1",
    "source_e2",
    "source_x",
    "source_y",
)
_EXTRA_TRUTH = (
    "theta_E_physical",
    "gamma1_physical",
    "gamma2_physical",
    "main_mass",
    "exposure_time",
    "substructure_mass",
    "substructure_fraction",
)

Row = tuple[tuple[float, ...], tuple[float, ...], float, Substructure]


def _draw_row(recipe: Recipe, seed: int, index: int) -> Row:
    """Draw one image: lens, source, exposure time and substructure, in this order."""
    rng = np.random.Generator(np.random.PCG64(np.random.SeedSequence([seed, index])))
    lens = _draw_lens(recipe, rng)
    source = _draw_source(recipe, rng)
    exposure_time = recipe.instrument.total_exposure
    if recipe.exposure_time is not None:
        exposure_time = recipe.exposure_time.draw(rng)
    plane = recipe.lens_plane
    main = MainLens(
        center_x=lens[3],
        center_y=lens[4],
        # A deflection scaled by s is that of a mass scaled by s.
        theta_E_unit=plane.theta_E_unit * plane.scaling**0.5,
        faults=recipe.faults,
    )
    classes = recipe.classes
    population = recipe.populations[classes[index % len(classes)]]
    return lens, source, exposure_time, population.draw(rng, main)


def _draw_lens(recipe: Recipe, rng: np.random.Generator) -> tuple[float, ...]:
    """Draw theta_E, e1, e2, center_x, center_y, gamma1, gamma2, before any scaling."""
    prior = recipe.lens
    if prior.theta_E is not None:
        theta_E = prior.theta_E.draw(rng)
    else:
        assert prior.mass is not None  # LensPrior has one of the two
        theta_E = recipe.lens_plane.theta_E_unit * prior.mass.draw(rng) ** 0.5
    others = (prior.e1, prior.e2, prior.center_x, prior.center_y, prior.gamma1, prior.gamma2)
    return (theta_E, *(distribution.draw(rng) for distribution in others))


def _draw_source(recipe: Recipe, rng: np.random.Generator) -> tuple[float, ...]:
    """Draw magnitude (NaN where it is not what is drawn), then `_SOURCE_FIELDS`."""
    prior = recipe.source
    brightness = prior.amplitude if prior.magnitude is None else prior.magnitude
    assert brightness is not None  # SourcePrior has one of the two
    value = brightness.draw(rng)
    R_sersic, n_sersic = prior.R_sersic.draw(rng), prior.n_sersic.draw(rng)
    zero_point = recipe.instrument.zero_point
    if prior.magnitude is None:
        magnitude, flux = np.nan, float(sersic_total_flux(R_sersic, n_sersic, value))
    else:
        assert zero_point is not None  # Recipe has refused magnitudes without it
        magnitude, flux = value, flux_from_magnitude(value, zero_point)
    shape = (prior.e1, prior.e2, prior.center_x, prior.center_y)
    return (magnitude, flux, R_sersic, n_sersic, *(item.draw(rng) for item in shape))


def _padded(rows: Sequence[np.ndarray] | np.ndarray, width: int) -> np.ndarray:
    table = np.zeros((len(rows), width))
    for target, row in zip(table, rows, strict=True):
        target[: len(row)] = row
    return table


def _max_points(recipe: Recipe) -> int:
    return max(population.max_points for population in recipe.populations.values())


def _wide_scene(recipe: Recipe, scene: Scene) -> Truth:
    """Return the scene's arrays, with points for the richest image the recipe can make."""
    return {
        name: _padded(values, _max_points(recipe)) if values.ndim == 2 else values
        for name, values in vars(scene).items()
    }


def _population_truth(recipe: Recipe, drawn: Sequence[dict[str, Any]]) -> Truth:
    truth: Truth = {}
    for population in recipe.populations.values():
        for name, shape in population.truth_fields.items():
            absent = np.full(shape, np.nan)
            truth[name] = np.array([row.get(name, absent) for row in drawn], dtype=np.float64)
    return truth
