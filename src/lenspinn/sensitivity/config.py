"""What `lenspinn sensitivity` is asked for."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

__all__ = ["SensitivityConfig"]


@dataclass(frozen=True, kw_only=True)
class SensitivityConfig:
    """Whose sensitivity to measure, and how well."""

    recipe: str
    """Name of a recipe; those of survey/* are meant."""
    out: Path
    """Folder for the results; what it already holds of this measurement is kept."""
    run: Path | None = None
    """Run folder of a network trained for the recipe's instrument; without one, or until one is
    given, the curves are those of the ideal observer alone."""
    magnitudes: list[float] = field(default_factory=lambda: [20.0, 21.0, 22.0, 23.0, 24.0, 25.0])
    """AB magnitudes of the unlensed source, for the curves against magnitude."""
    mass_magnitudes: list[float] = field(default_factory=lambda: [20.0, 22.0, 24.0])
    """The same for the curves against mass, one curve each."""
    num: int = 3000
    """Images that the network sees for each magnitude of each of the two; the classes in turn."""
    num_lenses: int = 128
    """Lenses of the ideal observer, the same at every magnitude; more may be asked for later."""
    seed: int = 1
    """Another seed gives other lenses; not that of the images the network was trained on."""
    overrides: dict[str, Any] = field(default_factory=dict)
    """Changes to the recipe by dotted key, such as instrument.exposure_time: 2700."""
    mass_overrides: dict[str, Any] = field(
        default_factory=lambda: {
            "populations.cdm.mean_number": 1.0,
            "populations.cdm.mass": {"log_uniform": [1e7, 1e10]},
            "faults.fixed_subhalo_count": True,
            "populations.axion.mass": {"log_uniform": [1e8, 1e11]},
        }
    )
    """Further changes for the curves against mass: one subhalo, and masses of every size."""

    def __post_init__(self) -> None:
        from lenspinn.sensitivity.sweep import check_settings  # brings torch

        check_settings(self)
