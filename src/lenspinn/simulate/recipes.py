"""Recipes: all settings of a simulated dataset, except its seed and size."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import numpy as np

from lenspinn.data.instrument import Instrument
from lenspinn.errors import ConfigError
from lenspinn.lensing.light import SERSIC_CORE
from lenspinn.plain_yaml import shown
from lenspinn.simulate.distributions import Distribution, require_positive
from lenspinn.simulate.faults import Faults
from lenspinn.simulate.galaxies import GalaxyPrior
from lenspinn.simulate.noise import background_sigma, load_correlation
from lenspinn.simulate.overrides import to_plain
from lenspinn.simulate.plane import LensPlane, lens_plane
from lenspinn.simulate.populations import POPULATIONS, Population
from lenspinn.simulate.priors import LensLightPrior, LensPrior, SourcePrior
from lenspinn.simulate.psf import load_psf
from lenspinn.simulate.render import Camera
from lenspinn.simulate.scene import GalaxyLight, SersicLight, SmoothLens

__all__ = ["Geometry", "Recipe"]

MOST_PIXELS, MOST_SAMPLES = 4096, 64
"""Largest number of pixels along an image, and of sampling points along a pixel."""
MOST_PLACES = 100_000
"""Largest number of places for each kind of substructure in an image."""

_CLASS_NAME = re.compile(r"[A-Za-z0-9_+-]{1,40}")


@dataclass(frozen=True, kw_only=True)
class Geometry:
    """Redshifts of lens and source in a flat Lambda-CDM universe."""

    z_lens: float = 0.5
    z_source: float = 1.0
    H0: float = 70.0
    """Hubble constant, km/s/Mpc."""
    Om0: float = 0.3

    def __post_init__(self) -> None:
        for key, low, high in (
            ("z_lens", 1e-3, 20.0),
            ("z_source", 1e-3, 20.0),
            ("H0", 10.0, 200.0),
            ("Om0", 0.0, 1.0),
        ):
            _require_between(self, key, low, high)


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """Recipe: all that an image is drawn from. Change a recipe through `get_recipe`."""

    name: str
    summary: str
    instrument: Instrument
    lens: LensPrior
    source: SourcePrior | GalaxyPrior
    lens_light: LensLightPrior | None = None
    """Light of the lens galaxy; None: the galaxy is dark, or its light was subtracted perfectly."""
    num_pix: int = 64
    """Number of pixels along a side."""
    supersampling: int = 1
    """Number of points along a side of a pixel at which the surface brightness is sampled."""
    exposure_time: Distribution | None = None
    """Total exposure time of each image, s; None: the instrument's."""
    geometry: Geometry = field(default_factory=Geometry)
    populations: Mapping[str, Population]
    """Dark matter of each class. A label is the place of a class in alphabetical order."""
    faults: Faults = field(default_factory=Faults)

    def __post_init__(self) -> None:
        require_positive(self, "exposure_time")
        for key, most in (("num_pix", MOST_PIXELS), ("supersampling", MOST_SAMPLES)):
            _require_between(self, key, 1, most)
        _require_between(self.instrument, "psf_truncation", 0, MOST_PIXELS)
        self._check_classes()
        side = self.num_pix * self.instrument.pixel_scale
        if self.instrument.psf_fwhm > side:
            raise ConfigError(
                f"instrument.psf_fwhm of {self.instrument.psf_fwhm} arcsec is larger than the "
                f"image, {self.num_pix} pixels or {side:g} arcsec wide"
            )
        if self.instrument.zero_point is None:
            for key, prior in (("source", self.source), ("lens_light", self.lens_light)):
                if getattr(prior, "magnitude", None) is not None:
                    raise ConfigError(
                        f"{key}.magnitude cannot be used with {self.instrument.name}, which has "
                        "no zero_point: give source.amplitude"
                    )
        _ = self.lens_plane  # refuses a source in front of the lens

    def _check_classes(self) -> None:
        for name in self.populations:
            if not _CLASS_NAME.fullmatch(name):
                raise ConfigError(
                    f"populations has the class {shown(name)}: use up to 40 letters, digits, '_', "
                    "'+' and '-'"
                )
        for kind, places in self.capacity.items():
            if places > MOST_PLACES:
                raise ConfigError(
                    f"populations need places for {places} {kind} in each image, at most "
                    f"{MOST_PLACES} can be had: lower mean_number, num_points or number"
                )

    def check_files(self) -> None:
        """Refuse a PSF or a noise correlation that cannot be used, before anything is made.

        Raises
        ------
        ConfigError
            If the file of one cannot be read, or the PSF is larger than the image.
        """
        instrument = self.instrument
        if instrument.noise_correlation is not None:
            load_correlation(instrument.noise_correlation, instrument.pixel_scale)
        if instrument.psf_kernel is None:
            return
        size = len(load_psf(instrument.psf_kernel, instrument.pixel_scale))
        if size > self.num_pix:
            raise ConfigError(
                f"instrument.psf_kernel: {instrument.psf_kernel} is {size} pixels wide, larger "
                f"than the image with {self.num_pix}: cut its edges"
            )

    @property
    def classes(self) -> tuple[str, ...]:
        """Class names in the order of their labels."""
        return tuple(sorted(self.populations))

    @property
    def has_clumps(self) -> bool:
        """Whether the sources have clumps."""
        return isinstance(self.source, SourcePrior) and self.source.clumps is not None

    @property
    def unit(self) -> str:
        """Unit of the stored pixels."""
        return "counts" if self.faults.counts else "e-/s"

    @property
    def camera(self) -> Camera:
        """Camera that turns scenes into noise-free images."""
        core = self.faults.source_core
        return Camera(
            num_pix=self.num_pix,
            pixel_scale=self.instrument.pixel_scale,
            psf_fwhm=self.instrument.psf_fwhm,
            psf_truncation=self.instrument.psf_truncation,
            psf_kernel=self.instrument.psf_kernel,
            supersampling=self.supersampling,
            source_core=SERSIC_CORE if core is None else core,
        )

    @property
    def capacity(self) -> dict[str, int]:
        """Largest number of places that an image can need, for each kind of substructure."""
        most: dict[str, int] = {}
        for population in self.populations.values():
            for kind, number in population.capacity.items():
                most[kind] = max(number, most.get(kind, 0))
        return most

    @property
    def noise_sigma(self) -> float:
        """Background standard deviation of one stored pixel, in `unit`; 0 without noise."""
        if self.faults.noise_left_out:
            return 0.0
        exposure_time = self.instrument.total_exposure if self.faults.counts else 1.0
        return background_sigma(self.instrument) * exposure_time

    @property
    def lens_plane(self) -> LensPlane:
        """Lens plane of the geometry, with the faults in its distances."""
        return _lens_plane(self.geometry, self.faults)

    def draw_exposure_time(self, rng: np.random.Generator, num: int) -> np.ndarray:
        """Draw total exposure times, (num,) s."""
        if self.exposure_time is None:
            return np.full(num, self.instrument.total_exposure)
        return np.asarray(self.exposure_time.draw(rng, num))

    def draw_lens_light(
        self, rng: np.random.Generator, lens: SmoothLens
    ) -> tuple[SersicLight | None, SersicLight | None]:
        """Draw the light of the lens galaxy, and the model of it that is subtracted."""
        if self.lens_light is None:
            return None, None
        assert self.instrument.zero_point is not None  # __post_init__ has seen to it
        return self.lens_light.draw(rng, lens, self.instrument.zero_point)

    def draw_clumps(
        self, rng: np.random.Generator, source: SersicLight | GalaxyLight
    ) -> tuple[SersicLight | GalaxyLight, dict[str, np.ndarray]]:
        """Return the source with its clumps, if the recipe has any, and the truth of the clumps."""
        if isinstance(self.source, SourcePrior) and isinstance(source, SersicLight):
            return self.source.draw_clumps(rng, source)
        return source, {}

    def to_dict(self) -> dict[str, Any]:
        """Return the resolved recipe as plain values for JSON and YAML.

        ``get_recipe(**recipe.to_dict())`` gives an equal recipe.
        """
        content: dict[str, Any] = to_plain(self)
        if not self.has_clumps:
            # Left out, so that recipes stored before sources could have clumps compare equal.
            content["source"].pop("clumps", None)
        for name, population in self.populations.items():
            content["populations"][name]["population"] = next(
                known for known, item in POPULATIONS.items() if type(item) is type(population)
            )
        return content


def _require_between(node: Any, key: str, low: int | float, high: int | float) -> None:
    value = getattr(node, key)
    if not low <= value <= high:
        edge = f"at least {low:g}" if value < low else f"at most {high:g}"
        raise ConfigError(f"{key} must be {edge}, got {value}")


@lru_cache
def _lens_plane(geometry: Geometry, faults: Faults) -> LensPlane:
    return lens_plane(
        z_lens=geometry.z_lens,
        z_source=geometry.z_source,
        H0=geometry.H0,
        Om0=geometry.Om0,
        faults=faults,
    )
