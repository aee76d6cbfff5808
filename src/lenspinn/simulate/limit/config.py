"""Configuration of `lenspinn limit`."""

from dataclasses import dataclass, field
from pathlib import Path

from lenspinn.errors import ConfigError
from lenspinn.path_arguments import make_paths
from lenspinn.places import check_output, check_own
from lenspinn.plain_yaml import Plain

__all__ = ["FIGURE", "RESULT", "LimitConfig"]

RESULT, FIGURE = "limit.json", "limit.png"
"""Names of the files in the folder of a measurement."""
MOST_LENSES = 1_000_000
"""Largest number of lenses, which are all in memory together."""


@dataclass(frozen=True, kw_only=True)
class LimitConfig:
    """Recipe whose limit is measured, and the lenses and magnitudes to measure it with."""

    recipe: str
    """Name of a recipe, as a rule one of survey/*."""
    out: Path
    """Folder for limit.json and limit.png; magnitudes already measured there are kept."""
    magnitudes: list[float] = field(default_factory=lambda: [20.0, 21.0, 22.0, 23.0, 24.0, 25.0])
    """AB magnitudes of the unlensed source, in the place of the recipe's."""
    num: int = 512
    """Number of lenses, the same at every magnitude."""
    seed: int = 0
    """Seed of the lenses; another seed gives other lenses."""
    known: list[str] = field(default_factory=list)
    """Parameters of the smooth model that are not fitted, such as lens.center_x."""
    overrides: dict[str, Plain] = field(default_factory=dict)
    """Changes to the recipe by dotted key, such as instrument: euclid_vis."""

    def __post_init__(self) -> None:
        make_paths(self)
        if not self.magnitudes:
            raise ConfigError("magnitudes must name at least one")
        for magnitude in self.magnitudes:
            if not 0 <= magnitude <= 40:
                raise ConfigError(f"magnitudes must lie between 0 and 40, got {magnitude}")
        check_output(self.out, "out")
        check_own(self.out, "out", mark=RESULT, replaced=[FIGURE])
        if self.num > MOST_LENSES:
            raise ConfigError(f"num must be at most {MOST_LENSES}, got {self.num}")
        for key, least in (("num", 2), ("seed", 0)):
            if getattr(self, key) < least:
                raise ConfigError(f"{key} must be at least {least}, got {getattr(self, key)}")
        from lenspinn.simulate.catalogue import configured_recipe  # these bring torch
        from lenspinn.simulate.limit.smooth import check_smooth

        recipe = configured_recipe(self.recipe, self.overrides)
        check_smooth(recipe)
        recipe.check_files()
