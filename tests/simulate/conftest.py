"""Scenes and images that the authors' simulator made, read from the reference data."""

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest

from lenspinn.lensing import sersic_total_flux
from lenspinn.simulate import Recipe, Scene, flux_from_magnitude, get_recipe
from lenspinn.simulate.populations import PointMasses
from lenspinn.simulate.scene import Clumps, SersicLight, SmoothLens

RECIPES = (
    "deeplense/model_1",
    "deeplense/model_2",
    "deeplense/model_3",
    "survey/hst",
    "survey/hst_clumpy",
    "survey/hst_complex",
    "survey/hst_lenslight",
    "survey/hst_multipoles",
    "survey/hst_tnfw",
    "survey/euclid",
)
"""Of every kind; the others differ from these in numbers, or need files."""


class Reference(NamedTuple):
    """Images of the authors' simulator with the scenes that its truth states."""

    recipe: Recipe
    scene: Scene
    images: np.ndarray


LENS = dict(theta_E=1.0, e1=0.1, e2=0.0, center_x=0.0, center_y=0.0, gamma1=0.05, gamma2=0.0)
SOURCE = dict(flux=1.0, R_sersic=0.25, n_sersic=1.0, e1=-0.1, e2=0.1, center_x=0.1, center_y=0.0)


def plain_scene(num: int = 1, points: np.ndarray | None = None, **changes) -> Scene:
    """Return the DeepLense lens and source, theta_E 1 arcsec and flux 1, but for ``changes``.

    ``points`` is (3, num, n): x, y, theta_E. Changes to the source begin with ``source_``.
    """
    lens = {name: np.full(num, value) for name, value in LENS.items()}
    source = {name: np.full(num, value) for name, value in SOURCE.items()}
    for name, values in changes.items():
        target, key = (source, name[7:]) if name.startswith("source_") else (lens, name)
        target[key] = np.asarray(values)
    places = None if points is None else PointMasses(*points, mass=points[2] ** 2)
    return Scene(lens=SmoothLens(**lens), points=places, source=SersicLight(**source))


def with_clumps(scene: Scene, **values: np.ndarray) -> Scene:
    """Return a scene whose source has clumps, each value (num, n)."""
    source = dataclasses.replace(scene.source, clumps=Clumps(**values))
    return dataclasses.replace(scene, source=source)


def _points(truth: dict) -> np.ndarray:
    """(n, 3): theta_E, x, y."""
    if truth["vortex"]:
        vortex = truth["vortex"]
        line = np.linspace(vortex["end0"], vortex["end1"], vortex["n"])
        return np.column_stack([np.full(vortex["n"], vortex["vortex_theta_E_each"]), line])
    return np.reshape(truth["cdm_point_masses_thetaE_x_y"] or [], (-1, 3))


def _scene(truths: list[dict], recipe: Recipe) -> Scene:
    points = [_points(truth) for truth in truths]
    table = np.zeros((3, len(truths), max(map(len, points))))
    for row, values in enumerate(points):
        table[:, row, : len(values)] = values.T
    if recipe.source.magnitude is None:
        flux = sersic_total_flux(0.25, 1.0, 20.0)
    else:
        flux = flux_from_magnitude(20.0, recipe.instrument.zero_point)
    drawn = {name: name for name in ("theta_E", "e1", "e2", "gamma1", "gamma2")}
    drawn |= {"source_center_x": "source_x", "source_center_y": "source_y"}
    return plain_scene(
        len(truths),
        table[[1, 2, 0]],
        source_flux=np.full(len(truths), flux),
        **{key: np.array([float(truth[name]) for truth in truths]) for key, name in drawn.items()},
    )


@pytest.fixture(scope="session")
def deeplensesim(shared_data: Path) -> Callable[[str, str], Reference]:
    """Read the images of a model ("I", "II", "III"): noise-free ones, Model I; all, II and III."""

    def read(model: str, suffix: str) -> Reference:
        folder = shared_data / "deeplensesim"
        truths = json.loads((folder / f"model_{model}{suffix}_truth.json").read_text())
        arrays = np.load(folder / f"model_{model}{suffix}.npz")
        recipe = get_recipe(f"deeplense/model_{len(model)}")
        if model == "I":
            truths = [truths[i] for i in arrays["noise_free_index"]]
            return Reference(recipe, _scene(truths, recipe), arrays["noise_free"])
        return Reference(recipe, _scene(truths, recipe), arrays["images"])

    return read
