"""Recipes: everything that decides what a simulated dataset is, but for its seed and size.

``deeplense/*`` make what the authors' simulator makes, its faults included and named;
``survey/*`` are correct and varied. The two are never mixed silently.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Any

from lenspinn.errors import ConfigError
from lenspinn.lensing import (
    angular_diameter_distances,
    deeplense_distances,
    deflection_scaling,
    theta_E_point_mass,
)
from lenspinn.lensing.light import SERSIC_CORE
from lenspinn.simulate.distributions import (
    Distribution,
    Fixed,
    LogUniform,
    Normal,
    Uniform,
    require_positive,
)
from lenspinn.simulate.faults import Faults
from lenspinn.simulate.instrument import INSTRUMENTS, Instrument, background_sigma
from lenspinn.simulate.overrides import nearest, to_plain, with_overrides
from lenspinn.simulate.populations import POPULATIONS, Population

__all__ = [
    "Geometry",
    "LensPrior",
    "Recipe",
    "SourcePrior",
    "get_recipe",
    "list_recipes",
]


@dataclass(frozen=True, kw_only=True)
class Geometry:
    """Where lens and source are, in a flat Lambda-CDM universe."""

    z_lens: float = 0.5
    z_source: float = 1.0
    H0: float = 70.0
    """km/s/Mpc."""
    Om0: float = 0.3


@dataclass(frozen=True, kw_only=True)
class LensPrior:
    """The smooth lens: a singular isothermal ellipsoid and external shear."""

    theta_E: Distribution | None = None
    """Einstein radius, arcsec."""
    mass: Distribution | None = None
    """In its place: mass inside the Einstein radius, solar masses."""
    e1: Distribution
    e2: Distribution
    center_x: Distribution
    center_y: Distribution
    """Arcsec."""
    gamma1: Distribution
    gamma2: Distribution

    def __post_init__(self) -> None:
        _require_one_of(self, "theta_E", "mass")
        require_positive(self, "theta_E", "mass")


@dataclass(frozen=True, kw_only=True)
class SourcePrior:
    """The source: one elliptical Sersic profile, lenstronomy's ``SERSIC_ELLIPSE``."""

    magnitude: Distribution | None = None
    """AB magnitude of the unlensed source."""
    amplitude: Distribution | None = None
    """In its place: surface brightness at R_sersic, e-/s per square arcsec."""
    R_sersic: Distribution
    """Half-light radius, arcsec."""
    n_sersic: Distribution
    e1: Distribution
    e2: Distribution
    center_x: Distribution
    center_y: Distribution
    """Arcsec, in the source plane."""

    def __post_init__(self) -> None:
        _require_one_of(self, "magnitude", "amplitude")
        require_positive(self, "amplitude", "R_sersic", "n_sersic")


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """What an image is drawn from. Change one through `get_recipe`."""

    name: str
    summary: str
    instrument: Instrument
    lens: LensPrior
    source: SourcePrior
    num_pix: int = 64
    """Pixels along a side."""
    exposure_time: Distribution | None = None
    """Total exposure time of each image, s; None: the instrument's."""
    geometry: Geometry = field(default_factory=Geometry)
    populations: Mapping[str, Population]
    """Dark matter of each class. A label is the place of a class in alphabetical order."""
    faults: Faults = field(default_factory=Faults)

    def __post_init__(self) -> None:
        require_positive(self, "exposure_time")
        if self.num_pix < 1:
            raise ConfigError(f"num_pix must be at least 1, got {self.num_pix}")
        side = self.num_pix * self.instrument.pixel_scale
        if self.instrument.psf_fwhm > side:
            raise ConfigError(
                f"instrument.psf_fwhm of {self.instrument.psf_fwhm} arcsec is larger than the "
                f"image, {self.num_pix} pixels or {side:g} arcsec wide"
            )
        if self.source.magnitude is not None and self.instrument.zero_point is None:
            raise ConfigError(
                f"source.magnitude cannot be used with {self.instrument.name}, which has no "
                "zero_point: give source.amplitude"
            )
        _ = self.lens_plane  # refuses a source in front of the lens

    @property
    def classes(self) -> tuple[str, ...]:
        """Class names in the order of their labels."""
        return tuple(sorted(self.populations))

    @property
    def unit(self) -> str:
        """Unit of the stored pixels."""
        return "counts" if self.faults.counts else "e-/s"

    @property
    def camera(self) -> dict[str, Any]:
        """Arguments of `render` that do not depend on the scene."""
        core = self.faults.source_core
        return {
            "num_pix": self.num_pix,
            "pixel_scale": self.instrument.pixel_scale,
            "psf_fwhm": self.instrument.psf_fwhm,
            "psf_truncation": self.instrument.psf_truncation,
            "source_core": SERSIC_CORE if core is None else core,
        }

    @property
    def noise_sigma(self) -> float:
        """Background standard deviation of one stored pixel, in `unit`; 0 without noise."""
        if self.faults.noise_left_out:
            return 0.0
        exposure_time = self.instrument.total_exposure if self.faults.counts else 1.0
        return background_sigma(self.instrument) * exposure_time

    @property
    def lens_plane(self) -> "LensPlane":
        """How masses and deflections act."""
        return _lens_plane(self.geometry, self.faults)

    def to_dict(self) -> dict[str, Any]:
        """Return the resolved recipe as JSON and YAML can hold it.

        ``get_recipe(**recipe.to_dict())`` gives an equal recipe.
        """
        content: dict[str, Any] = to_plain(self)
        return content


@dataclass(frozen=True)
class LensPlane:
    """What follows from redshifts and cosmology, with the faults of a recipe."""

    theta_E_unit: float
    """Einstein radius of one solar mass before scaling, arcsec."""
    scaling: float
    """Factor on all deflections."""


@lru_cache
def _lens_plane(geometry: Geometry, faults: Faults) -> LensPlane:
    distances_of = angular_diameter_distances
    if faults.luminosity_distances:
        distances_of = deeplense_distances
    redshifts = (geometry.z_lens, geometry.z_source)
    scaling = 1.0
    try:
        distances = distances_of(*redshifts, H0=geometry.H0, Om0=geometry.Om0)
        if faults.z_source_convention is not None:
            matter = geometry.Om0 if faults.convention_Om0 is None else faults.convention_Om0
            scaling = deflection_scaling(
                *redshifts, faults.z_source_convention, H0=geometry.H0, Om0=matter
            )
    except ValueError as error:
        raise ConfigError(f"geometry: {error}") from None
    theta_E_unit = float(theta_E_point_mass(1.0, distances))
    if faults.rounded_arcsec:
        theta_E_unit *= 206265 / math.degrees(3600)
    return LensPlane(theta_E_unit, scaling)


def get_recipe(name: str, **overrides: Any) -> Recipe:
    """Return a recipe, changed where asked.

    Parameters
    ----------
    name
        One of `list_recipes`.
    **overrides
        By key, nested or dotted: ``{"source.magnitude": 23.0}`` is
        ``{"source": {"magnitude": 23.0}}``. An instrument may be given by name.

    Raises
    ------
    ConfigError
        If the name or a key is unknown (the nearest right one is named), or a value impossible.
    """
    if name not in RECIPES:
        raise ConfigError(f"there is no recipe {name!r}; {nearest(name, list_recipes())}")
    if isinstance(overrides.get("instrument"), str):
        overrides["instrument"] = _instrument(overrides["instrument"])
    return with_overrides(RECIPES[name], overrides)


def list_recipes() -> list[str]:
    """Return the names of all recipes, sorted."""
    return sorted(RECIPES)


def _instrument(name: str) -> Instrument:
    if name not in INSTRUMENTS:
        raise ConfigError(f"there is no instrument {name!r}; {nearest(name, INSTRUMENTS)}")
    return INSTRUMENTS[name]


def _require_one_of(prior: LensPrior | SourcePrior, first: str, second: str) -> None:
    if (getattr(prior, first) is None) == (getattr(prior, second) is None):
        raise ConfigError(f"give either {first} or {second}, and not both")


_PAPER_CLASSES = {name: POPULATIONS[name] for name in ("axion", "cdm", "no_sub")}

# All DeepLense images share one lens; of the source, only the position varies.
_DEEPLENSE_LENS = LensPrior(
    mass=Fixed(1e12),
    e1=Fixed(0.1),
    e2=Fixed(0.0),
    center_x=Fixed(0.0),
    center_y=Fixed(0.0),
    gamma1=Fixed(0.05),
    gamma2=Fixed(0.0),
)
_DEEPLENSE_SOURCE = SourcePrior(
    magnitude=Fixed(20.0),
    R_sersic=Fixed(0.25),
    n_sersic=Fixed(1.0),
    e1=Fixed(-0.1),
    e2=Fixed(0.1),
    center_x=Uniform(-0.35, 0.35),
    center_y=Uniform(-0.35, 0.35),
)
# What simple_sim_2 of the simulator does to Models II and III.
_MODEL_2_AND_3_FAULTS = Faults(
    luminosity_distances=True,
    rounded_arcsec=True,
    z_source_convention=2.5,
    convention_Om0=0.309,
    source_core=0.001,
    fixed_subhalo_count=True,
    shallow_mass_function=True,
    noise_left_out=True,
    image_doubled=True,
)

RECIPES = {
    recipe.name: recipe
    for recipe in (
        Recipe(
            name="deeplense/model_1",
            summary="DeepLense Model I: 150 pixels of 0.05 arcsec, noisy counts, one lens",
            instrument=INSTRUMENTS["deeplense_model_1"],
            num_pix=150,
            exposure_time=LogUniform(10**3.0, 10**3.5),
            lens=_DEEPLENSE_LENS,
            source=replace(_DEEPLENSE_SOURCE, magnitude=None, amplitude=Fixed(20.0)),
            populations=_PAPER_CLASSES,
            faults=Faults(
                luminosity_distances=True,
                rounded_arcsec=True,
                source_core=0.001,
                fixed_subhalo_count=True,
                shallow_mass_function=True,
                second_poisson=True,
                counts=True,
            ),
        ),
        Recipe(
            name="deeplense/model_2",
            summary="DeepLense Model II: Euclid VIS with its old zero point, noise-free, one lens",
            instrument=INSTRUMENTS["euclid_vis_legacy"],
            lens=_DEEPLENSE_LENS,
            source=_DEEPLENSE_SOURCE,
            populations=_PAPER_CLASSES,
            faults=_MODEL_2_AND_3_FAULTS,
        ),
        Recipe(
            name="deeplense/model_3",
            summary="DeepLense Model III, the paper's: HST, noise-free, one lens",
            instrument=INSTRUMENTS["hst_wfc3_f160w"],
            lens=_DEEPLENSE_LENS,
            source=_DEEPLENSE_SOURCE,
            populations=_PAPER_CLASSES,
            faults=_MODEL_2_AND_3_FAULTS,
        ),
        Recipe(
            name="survey/hst",
            summary="HST WFC3/F160W: correct distances, varied lens and source, all noise",
            instrument=INSTRUMENTS["hst_wfc3_f160w"],
            lens=LensPrior(
                theta_E=Uniform(0.6, 1.5),
                e1=Normal(0.0, 0.1),
                e2=Normal(0.0, 0.1),
                center_x=Normal(0.0, 0.05),
                center_y=Normal(0.0, 0.05),
                gamma1=Normal(0.0, 0.04),
                gamma2=Normal(0.0, 0.04),
            ),
            source=SourcePrior(
                magnitude=Fixed(22.0),
                R_sersic=LogUniform(0.1, 0.4),
                n_sersic=Uniform(0.7, 3.0),
                e1=Normal(0.0, 0.15),
                e2=Normal(0.0, 0.15),
                center_x=Uniform(-0.3, 0.3),
                center_y=Uniform(-0.3, 0.3),
            ),
            populations=_PAPER_CLASSES,
        ),
    )
}
"""Every recipe by name."""
