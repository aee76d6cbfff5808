"""Realisations of pyHalo: subhalos and halos along the line of sight."""

import threading
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from lenspinn.errors import ConfigError
from lenspinn.simulate.populations.base import Halos, MainLens, Substructure

_FIELDS = ("center_x", "center_y", "alpha_Rs", "Rs", "r_trunc")

# pyHalo draws from numpy's global generator, which has one state for all threads.
_one_at_a_time = threading.Lock()


@dataclass(frozen=True, kw_only=True)
class PyHaloSubhalos:
    """Cold or warm dark matter as pyHalo has it, line of sight included, in one plane.

    Notes
    -----
    Every halo, wherever along the line of sight, deflects in the lens plane with the reduced
    deflection that pyHalo states for it (lenstronomy's ``TNFW``). Left out are the coupling of
    planes, that is the bending of rays between them, and pyHalo's negative sheets of mass, whose
    constant convergence only rescales the image. Takes about a second an image.

    References
    ----------
    Gilman et al. (2020), arXiv:1908.06983; https://github.com/dangilman/pyHalo.
    """

    preset: str = "CDM"
    """Name of pyHalo's model, CDM or WDM."""
    log10_half_mode_mass: float = 8.0
    """Base-10 logarithm of the half-mode mass of WDM, solar masses."""
    log10_mass_low: float = 7.0
    """Base-10 logarithm of the least mass drawn, solar masses; `log10_mass_high` of the largest."""
    log10_mass_high: float = 10.0
    diameter: float = 5.0
    """Diameter of the field that is filled with halos, arcsec."""
    max_halos: int = 2000
    """Largest number of halos in an image; of more halos the heaviest are kept."""

    truth_fields: ClassVar[Mapping[str, tuple[int, ...]]] = {"num_subhalos": ()}

    def __post_init__(self) -> None:
        if self.preset not in ("CDM", "WDM"):
            raise ConfigError(f"preset must be CDM or WDM, got {self.preset!r}")
        masses = (self.log10_mass_low, self.log10_mass_high, self.log10_half_mode_mass)
        if not (0 <= min(masses) <= max(masses) <= 18 and masses[0] < masses[1]):
            raise ConfigError(
                "log10_mass_low, log10_mass_high and log10_half_mode_mass must lie between 0 and "
                f"18, the first below the second, got {masses}"
            )
        for key, most in (("diameter", 100.0), ("max_halos", 100_000)):
            if getattr(self, key) > most:
                raise ConfigError(f"{key} must be at most {most:g}, got {getattr(self, key)}")
        for key in ("diameter", "max_halos"):
            if not getattr(self, key) > 0:
                raise ConfigError(f"{key} must be above 0, got {getattr(self, key)}")

    @property
    def capacity(self) -> dict[str, int]:
        """Largest number of halos in an image, `max_halos`."""
        return {"halos": self.max_halos}

    def draw(self, rng: np.random.Generator, lens: MainLens) -> Substructure:
        """Draw a realisation for each lens, one after the other."""
        seeds = rng.integers(2**32, size=len(lens.center_x))
        drawn = [self._realisation(lens, int(seed)) for seed in seeds]
        table = np.zeros((6, len(drawn), max(1, *(rows.shape[1] for rows in drawn))))
        table[3:5] = 1.0  # unused halos need a size all the same
        for row, values in enumerate(drawn):
            table[:, row, : values.shape[1]] = values
        table[0] = np.where(table[5] > 0, table[0] + lens.center_x[:, None], 0.0)
        table[1] = np.where(table[5] > 0, table[1] + lens.center_y[:, None], 0.0)
        table[2] *= lens.plane.scaling
        return Substructure(
            halos=Halos(*table), truth={"num_subhalos": (table[5] > 0).sum(axis=1).astype(float)}
        )

    def _realisation(self, lens: MainLens, seed: int) -> np.ndarray:
        """Draw one realisation: x, y, alpha_Rs, Rs, r_trunc, mass; (6, n), heaviest first."""
        model, plane = _preset(self.preset), lens.plane
        warm = {"log_mc": self.log10_half_mode_mass} if self.preset == "WDM" else {}
        with _global_generator(seed):
            realisation = model(
                plane.z_lens,
                plane.z_source,
                log_mlow=self.log10_mass_low,
                log_mhigh=self.log10_mass_high,
                cone_opening_angle_arcsec=self.diameter,
                **warm,
            )
            names, _, values, _ = realisation.lensing_quantities(add_mass_sheet_correction=False)
        other = set(names) - {"TNFW"}
        if other:
            raise ConfigError(f"preset {self.preset} of this pyHalo has profiles {sorted(other)}")
        mass = [halo.mass for halo in realisation.halos]
        rows = [[halo[name] for name in _FIELDS] for halo in values]
        table = np.column_stack([np.array(rows, dtype=np.float64).reshape(-1, 5), mass]).T
        return table[:, np.argsort(-table[5])][:, : self.max_halos]


@contextmanager
def _global_generator(seed: int) -> Iterator[None]:
    """Seed numpy's global generator for pyHalo, and leave it as it was."""
    with _one_at_a_time, warnings.catch_warnings():
        # pyHalo calls a method of astropy by its old name.
        warnings.filterwarnings("ignore", message="Use ``angular_diameter_distance")
        state = np.random.get_state()  # noqa: NPY002 - what pyHalo draws from
        try:
            np.random.seed(seed)  # noqa: NPY002
            yield
        finally:
            np.random.set_state(state)  # noqa: NPY002


def _preset(name: str) -> Any:
    try:
        from pyHalo.preset_models import preset_model_from_name
    except ImportError as error:
        raise ConfigError(
            f"this population needs pyHalo, which cannot be imported here ({error}): "
            "pip install 'lenspinn[pyhalo]'"
        ) from None
    return preset_model_from_name(name)
