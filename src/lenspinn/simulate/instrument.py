"""Telescopes and their noise.

The numbers live here, not in lenstronomy, whose Euclid zero point changed by 1.72 mag in 2026:
images "made through lenstronomy" would depend on its version.
"""

import math
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import torch

from lenspinn.errors import ConfigError
from lenspinn.simulate.faults import Faults

__all__ = [
    "INSTRUMENTS",
    "Instrument",
    "add_noise",
    "background_sigma",
    "flux_from_magnitude",
    "noise_sigma",
    "observe",
]

Array = TypeVar("Array", np.ndarray, torch.Tensor)
Numbers = TypeVar("Numbers", float, np.ndarray)


def _require(condition: bool, instrument: "Instrument", key: str, allowed: str) -> None:
    if not condition:
        value = getattr(instrument, key)
        raise ConfigError(f"{key} of {instrument.name} must be {allowed}, got {value}")


@dataclass(frozen=True, kw_only=True)
class Instrument:
    """One band of one camera, and how long it exposes."""

    name: str
    pixel_scale: float
    """Arcsec."""
    psf_fwhm: float
    """Full width at half maximum of the Gaussian PSF, arcsec; 0 for none."""
    psf_kernel: str | None = None
    """File with the PSF in pixels of the image, in the place of the Gaussian."""
    psf_truncation: float = 5.0
    """Where the PSF is cut off, in standard deviations (lenstronomy's default)."""
    exposure_time: float
    """Of one exposure, s."""
    num_exposures: int = 1
    zero_point: float | None = None
    """AB magnitude that gives 1 e-/s; None where sources are not stated in magnitudes."""
    sky_brightness: float | None = None
    """AB magnitude per square arcsec."""
    read_noise: float | None = None
    """Electrons, per exposure."""
    background_rms: float | None = None
    """Standard deviation of the background, e-/s a pixel, in the place of sky and read noise."""
    source: str = ""
    """Where the numbers come from."""

    def __post_init__(self) -> None:
        for key in ("pixel_scale", "exposure_time", "num_exposures", "psf_truncation"):
            _require(getattr(self, key) > 0, self, key, "above 0")
        for key in ("psf_fwhm", "read_noise", "background_rms"):
            value = getattr(self, key)
            _require(value is None or value >= 0, self, key, "at least 0")
        if self.background_rms is None:
            for key in ("zero_point", "sky_brightness", "read_noise"):
                _require(getattr(self, key) is not None, self, key, "given, or else background_rms")

    @property
    def total_exposure(self) -> float:
        """Summed exposure time, s."""
        return self.exposure_time * self.num_exposures


INSTRUMENTS = {
    instrument.name: instrument
    for instrument in (
        Instrument(
            name="hst_wfc3_f160w",
            pixel_scale=0.08,
            psf_fwhm=0.08,
            exposure_time=5400.0,
            zero_point=25.96,
            sky_brightness=22.3,
            read_noise=4.0,
            source="lenstronomy 1.14.2, HST(band='WFC3_F160W'): two orbits, drizzled",
        ),
        Instrument(
            name="euclid_vis_legacy",
            pixel_scale=0.101,
            psf_fwhm=0.16,
            exposure_time=565.0,
            num_exposures=4,
            zero_point=24.0,
            sky_brightness=22.35,
            read_noise=4.2,
            source="lenstronomy 1.9.2 to 1.11.2, Euclid(band='VIS'), as in DeepLense Model II; "
            "the zero point has since been corrected to 25.72",
        ),
        Instrument(
            name="deeplense_model_1",
            pixel_scale=0.05,
            psf_fwhm=0.087,
            # The simulator asks for 3, but the lenstronomy of its time always cut at 4.
            psf_truncation=4.0,
            exposure_time=10**3.25,
            background_rms=0.01,
            source="mwt5345/DeepLenseSim, deeplense/lens.py, simple_sim; the middle of its range "
            "of exposure times",
        ),
    )
}
"""Every instrument by name."""


def flux_from_magnitude(magnitude: Numbers, zero_point: float) -> Numbers:
    """Convert AB magnitudes, a number or an array, to e-/s."""
    return 10.0 ** (-0.4 * (magnitude - zero_point))


def background_sigma(instrument: Instrument, exposure_time: float | None = None) -> float:
    """Return the standard deviation of sky and read noise in one pixel, e-/s.

    Parameters
    ----------
    exposure_time
        Total, s, read out as often as the instrument does; by default the instrument's.

    Notes
    -----
    ``sqrt(N read_noise^2 + t sky pixel_scale^2) / t`` for N exposures of t seconds in all and a sky
    of ``sky`` e-/s per square arcsec; ``instrument.background_rms`` where that is given instead.
    """
    if instrument.background_rms is not None:
        return instrument.background_rms
    assert instrument.sky_brightness is not None  # Instrument has checked the three
    assert instrument.zero_point is not None
    assert instrument.read_noise is not None
    exposure_time = exposure_time or instrument.total_exposure
    sky = flux_from_magnitude(instrument.sky_brightness, instrument.zero_point)
    sky_electrons = sky * instrument.pixel_scale**2 * exposure_time
    read_electrons = instrument.num_exposures * instrument.read_noise**2
    return math.sqrt(read_electrons + sky_electrons) / exposure_time


def noise_sigma(image: Array, instrument: Instrument, exposure_time: float | None = None) -> Array:
    """Return the standard deviation of the noise of each pixel.

    Parameters
    ----------
    image : array of any shape, e-/s
        Noise-free, the sky subtracted.
    exposure_time
        Total, s; by default the instrument's.

    Returns
    -------
    array like ``image``, e-/s

    Notes
    -----
    Background plus the photon noise of the source, ``sqrt(image / t)``; pixels below 0 have none.
    """
    exposure_time = exposure_time or instrument.total_exposure
    variance = (
        image.clip(min=0.0) / exposure_time + background_sigma(instrument, exposure_time) ** 2
    )
    return variance**0.5


def add_noise(
    image: np.ndarray,
    instrument: Instrument,
    generator: np.random.Generator,
    exposure_time: float | None = None,
) -> np.ndarray:
    """Add one draw of sky, read and photon noise.

    Parameters
    ----------
    image : array of any shape, e-/s
        Noise-free, the sky subtracted.
    exposure_time
        Total, s; by default the instrument's.

    Returns
    -------
    array of the shape and dtype of ``image``, e-/s

    Notes
    -----
    All noise is Gaussian with the variance of `noise_sigma`, as in lenstronomy: photons are counted
    together with those of the sky (1,000 a pixel for HST), where Poisson and Gauss agree.
    """
    draw = generator.standard_normal(image.shape, dtype=image.dtype)
    return image + noise_sigma(image, instrument, exposure_time) * draw


def observe(
    image: np.ndarray,
    instrument: Instrument,
    faults: Faults,
    generator: np.random.Generator,
    exposure_time: float | None = None,
) -> np.ndarray:
    """Turn a noise-free image into the image that is stored.

    Parameters
    ----------
    image : (y, x), e-/s
    faults
        `Faults.noise_left_out`, `image_doubled`, `second_poisson` and `counts` act here.
    exposure_time
        Total, s; by default the instrument's.

    Returns
    -------
    (y, x), of the dtype of ``image``
        e-/s, or counts with ``faults.counts``.
    """
    exposure_time = exposure_time or instrument.total_exposure
    observed = (
        image if faults.noise_left_out else add_noise(image, instrument, generator, exposure_time)
    )
    if faults.image_doubled:
        observed = observed + image
    if faults.second_poisson:
        counts = generator.poisson((observed * exposure_time).clip(min=0.0))
        observed = counts if faults.counts else counts / exposure_time
    elif faults.counts:
        observed = observed * exposure_time
    return observed.astype(image.dtype)
