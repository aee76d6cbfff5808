"""What `lenspinn simulate` is asked for."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, get_args

from lenspinn.errors import ConfigError
from lenspinn.path_arguments import make_paths
from lenspinn.places import check_output
from lenspinn.plain_yaml import Plain

__all__ = ["BLOCK", "Engine", "SimulateConfig"]

BLOCK = 64
"""Images of one class rendered together."""

MOST_WORKERS = 1024
"""Threads."""

Engine = Literal["torch", "compiled", "eager", "lenstronomy"]


@dataclass(frozen=True, kw_only=True)
class SimulateConfig:
    """What to simulate, and where to."""

    recipe: str
    """Name of a recipe, such as deeplense/model_3 or survey/hst; `lenspinn recipes` lists them."""
    num: int
    """Number of images; the classes take turns."""
    out: Path
    """Folder of the dataset, by custom X.zarr; if it is unfinished, the rest is simulated."""
    seed: int = 0
    """Another seed gives other images; the same one the same bytes."""
    engine: Engine = "torch"
    """torch: compiled where there is a C++ compiler, else eager, and says so; either can be asked
    for by name; lenstronomy is the slow reference. Pixels differ by rounding, 1e-5 of the peak."""
    batch_size: int = BLOCK
    """Images rendered at once, rounded up to whole blocks of 64; changes memory, not images."""
    num_workers: int = 0
    """Threads; 0 is one for each core. Changes speed, not images."""
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
