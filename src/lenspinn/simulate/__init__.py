"""A recipe and a seed in; images of lensed galaxies and the truth behind them out."""

from lenspinn.simulate.dataset import SimulateConfig, simulate, simulate_images
from lenspinn.simulate.distributions import (
    Distribution,
    Fixed,
    LogUniform,
    Normal,
    PowerLaw,
    Uniform,
)
from lenspinn.simulate.faults import Faults
from lenspinn.simulate.instrument import (
    INSTRUMENTS,
    Instrument,
    add_noise,
    background_sigma,
    flux_from_magnitude,
    noise_sigma,
)
from lenspinn.simulate.populations import POPULATIONS, Population, Substructure
from lenspinn.simulate.recipes import Recipe, get_recipe, list_recipes
from lenspinn.simulate.render import render
from lenspinn.simulate.scene import Scene, draw_scene, draw_scenes, truth_fields

__all__ = [
    "INSTRUMENTS",
    "POPULATIONS",
    "Distribution",
    "Faults",
    "Fixed",
    "Instrument",
    "LogUniform",
    "Normal",
    "Population",
    "PowerLaw",
    "Recipe",
    "Scene",
    "SimulateConfig",
    "Substructure",
    "Uniform",
    "add_noise",
    "background_sigma",
    "draw_scene",
    "draw_scenes",
    "flux_from_magnitude",
    "get_recipe",
    "list_recipes",
    "noise_sigma",
    "render",
    "simulate",
    "simulate_images",
    "truth_fields",
]
