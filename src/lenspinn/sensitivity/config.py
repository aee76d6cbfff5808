"""Configuration of `lenspinn sensitivity`."""

from dataclasses import dataclass, field
from pathlib import Path

from lenspinn.errors import ConfigError
from lenspinn.path_arguments import make_paths
from lenspinn.places import check_output, check_own
from lenspinn.plain_yaml import Plain

__all__ = ["FIGURE", "ONE_SUBHALO", "RESULT", "TABLE", "SensitivityConfig"]

RESULT, TABLE, FIGURE = "sensitivity.json", "sensitivity.csv", "sensitivity.png"
"""Names of the files in the folder of a measurement."""
MOST_OF = {"num": 10_000_000, "num_lenses": 1_000_000}
"""Largest number of images and of lenses of a measurement, by field."""

ONE_SUBHALO: dict[str, Plain] = {
    "populations.cdm.mean_number": 1.0,
    "populations.cdm.mass": {"log_uniform": [1e7, 1e10]},
    "faults.fixed_subhalo_count": True,
    "populations.axion.mass": {"log_uniform": [1e8, 1e11]},
}
"""Changes to a recipe by which each lens has one mass of substructure, drawn over a wide range."""


@dataclass(frozen=True, kw_only=True)
class SensitivityConfig:
    """Recipe and network whose sensitivity is measured, and the images to measure it with."""

    recipe: str
    """Name of a recipe, as a rule one of ``survey/*``."""
    out: Path
    """Folder for the results; results of this measurement that it already holds are kept."""
    run: Path | None = None
    """Run folder of a network trained for the recipe's instrument; without a run, or until one is
    given, the curves are those of the ideal observer alone."""
    magnitudes: list[float] = field(default_factory=lambda: [20.0, 21.0, 22.0, 23.0, 24.0, 25.0])
    """AB magnitudes of the unlensed source, for the curves against magnitude."""
    mass_magnitudes: list[float] = field(default_factory=lambda: [20.0, 22.0, 24.0])
    """AB magnitudes of the unlensed source for the curves against mass, one curve each."""
    num: int = 3000
    """Number of images that the network sees for each magnitude of each kind of curve; the classes
    take turns."""
    num_lenses: int = 128
    """Number of lenses of the ideal observer, the same at every magnitude; may be raised later."""
    seed: int = 1
    """Seed of the lenses; it must differ from that of the images the network was trained on."""
    overrides: dict[str, Plain] = field(default_factory=dict)
    """Changes to the recipe by dotted key, such as instrument.exposure_time: 2700."""
    mass_overrides: dict[str, Plain] = field(default_factory=lambda: dict(ONE_SUBHALO))
    """Further changes for the curves against mass, laid over `overrides`: by default one subhalo,
    with a mass drawn over a wide range."""

    def __post_init__(self) -> None:
        make_paths(self)
        check_output(self.out, "out")
        check_own(self.out, "out", mark=RESULT, replaced=[TABLE, FIGURE])
        for key, value in MOST_OF.items():
            if getattr(self, key) > value:
                raise ConfigError(f"{key} must be at most {value}, got {getattr(self, key)}")
        from lenspinn.sensitivity.sweep import check_settings  # brings torch

        check_settings(self)
