"""A recipe and a seed in; images of lensed galaxies and the truth behind them out."""

from typing import TYPE_CHECKING

from lenspinn.lazy import lazy_package

if TYPE_CHECKING:
    from lenspinn.data.instrument import INSTRUMENTS, Instrument, flux_from_magnitude
    from lenspinn.simulate.catalogue import get_recipe
    from lenspinn.simulate.config import SimulateConfig
    from lenspinn.simulate.dataset import simulate, simulate_images
    from lenspinn.simulate.distributions import (
        Distribution,
        Fixed,
        LogUniform,
        Normal,
        PowerLaw,
        Uniform,
    )
    from lenspinn.simulate.draw import draw_batch, draw_scene, draw_scenes, truth_fields
    from lenspinn.simulate.faults import Faults
    from lenspinn.simulate.galaxies import GalaxyPrior, load_galaxies
    from lenspinn.simulate.names import list_recipes
    from lenspinn.simulate.noise import add_noise, background_sigma, noise_sigma
    from lenspinn.simulate.populations import (
        POPULATIONS,
        Population,
        Substructure,
        register_population,
    )
    from lenspinn.simulate.recipes import Recipe
    from lenspinn.simulate.render import Camera, model_image, render
    from lenspinn.simulate.scene import Scene
    from lenspinn.simulate.stream import SceneStream
    from lenspinn.simulate.tensors import SceneTensors, scene_tensors

__all__ = [
    "INSTRUMENTS",
    "POPULATIONS",
    "Camera",
    "Distribution",
    "Faults",
    "Fixed",
    "GalaxyPrior",
    "Instrument",
    "LogUniform",
    "Normal",
    "Population",
    "PowerLaw",
    "Recipe",
    "Scene",
    "SceneStream",
    "SceneTensors",
    "SimulateConfig",
    "Substructure",
    "Uniform",
    "add_noise",
    "background_sigma",
    "draw_batch",
    "draw_scene",
    "draw_scenes",
    "flux_from_magnitude",
    "get_recipe",
    "list_recipes",
    "load_galaxies",
    "model_image",
    "noise_sigma",
    "register_population",
    "render",
    "scene_tensors",
    "simulate",
    "simulate_images",
    "truth_fields",
]

lazy_package(__name__)
