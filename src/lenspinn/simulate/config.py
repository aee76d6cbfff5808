"""Configuration of `lenspinn simulate`."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, get_args

from lenspinn.errors import ConfigError
from lenspinn.path_arguments import make_paths
from lenspinn.places import check_output
from lenspinn.plain_yaml import Plain

__all__ = ["BLOCK", "Engine", "SimulateConfig"]

BLOCK = 64
"""Number of images of one class that are rendered together."""

MOST_WORKERS = 1024
"""Largest number of threads."""

Engine = Literal["torch", "compiled", "eager", "lenstronomy"]


@dataclass(frozen=True, kw_only=True)
class SimulateConfig:
    """Recipe and number of the images to simulate, and the folder to write them to."""

    recipe: str
    """Name of a recipe, such as deeplense/model_3 or survey/hst; `lenspinn recipes` lists them."""
    num: int
    """Number of images; the classes take turns."""
    out: Path
    """Folder of the dataset, by custom X.zarr; the rest of an unfinished one is simulated."""
    seed: int = 0
    """Seed of the random numbers: another seed gives other images, the same seed the same bytes."""
    engine: Engine = "torch"
    """Renderer. torch: compiled where there is a C++ compiler, else eager with a warning; either
    can be asked for by name. lenstronomy: the slow reference. Pixels differ by rounding, 1e-5 of
    the peak."""
    batch_size: int = BLOCK
    """Number of images rendered at once, in whole blocks of 64; changes memory, not images."""
    num_workers: int = 0
    """Number of threads; 0 is one for each core. Changes speed, not images."""
    overrides: dict[str, Plain] = field(default_factory=dict)
    """Changes to the recipe by dotted key, such as source.magnitude: 23."""

    def __post_init__(self) -> None:
        make_paths(self)
        check_output(self.out, "out")
        for key, least in (("num", 1), ("seed", 0), ("batch_size", 1), ("num_workers", 0)):
            if getattr(self, key) < least:
                raise ConfigError(f"{key} must be at least {least}, got {getattr(self, key)}")
        if self.num_workers > MOST_WORKERS:
            raise ConfigError(f"num_workers must be at most {MOST_WORKERS}, got {self.num_workers}")
        if self.engine not in get_args(Engine):
            known = ", ".join(get_args(Engine))
            raise ConfigError(f"engine must be one of {known}, got {self.engine!r}")
        from lenspinn.simulate.catalogue import configured_recipe  # brings torch

        configured_recipe(self.recipe, self.overrides)
