"""Instruments: cameras of telescopes, with their PSF and noise.

The numbers live here, not in lenstronomy, whose Euclid zero point changed by 1.72 mag in 2026:
images "made through lenstronomy" would depend on its version.
"""

from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from lenspinn.errors import ConfigError

__all__ = ["INSTRUMENTS", "Instrument", "flux_from_magnitude"]

Numbers = TypeVar("Numbers", float, np.ndarray)


def _require(condition: bool, instrument: "Instrument", key: str, allowed: str) -> None:
    if not condition:
        value = getattr(instrument, key)
        raise ConfigError(f"{key} of {instrument.name} must be {allowed}, got {value}")


_RANGES = (
    ("pixel_scale", 1e-4, 1e3),
    ("exposure_time", 0, 1e12),
    ("num_exposures", 0, 1_000_000),
    ("psf_truncation", 0, 50),
    ("psf_fwhm", -1, 1e6),
    ("zero_point", -100, 100),
    ("sky_brightness", -100, 100),
    ("read_noise", -1, 1e12),
    ("background_rms", -1, 1e12),
)
"""Range of each field, wider than that of any telescope: numbers beyond it overflow."""


@dataclass(frozen=True, kw_only=True)
class Instrument:
    """One band of one camera, and how long it exposes."""

    name: str
    pixel_scale: float
    """Pixel scale, arcsec."""
    psf_fwhm: float
    """Full width at half maximum of the Gaussian PSF, arcsec; 0 for none."""
    psf_kernel: str | None = None
    """File with the PSF in pixels of the image, in the place of the Gaussian."""
    psf_truncation: float = 5.0
    """Radius at which the PSF is cut off, in standard deviations (lenstronomy's default)."""
    exposure_time: float
    """Time of one exposure, s."""
    num_exposures: int = 1
    zero_point: float | None = None
    """AB magnitude that gives 1 e-/s; None where sources are not stated in magnitudes."""
    sky_brightness: float | None = None
    """Sky brightness, AB magnitude per square arcsec."""
    read_noise: float | None = None
    """Read noise per exposure, electrons."""
    background_rms: float | None = None
    """Standard deviation of the background, e-/s a pixel, in the place of sky and read noise."""
    noise_correlation: str | None = None
    """File with the correlation function of the noise, in pixels of the image; None: white."""
    source: str = ""
    """Source of the numbers."""

    def __post_init__(self) -> None:
        for key in ("pixel_scale", "exposure_time", "num_exposures", "psf_truncation"):
            _require(getattr(self, key) > 0, self, key, "above 0")
        for key, low, high in _RANGES:
            value = getattr(self, key)
            allowed = f"between {low:g} and {high:g}"
            _require(value is None or low <= value <= high, self, key, allowed)
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
            name="hst_acs_f814w",
            pixel_scale=0.04,
            psf_fwhm=0.1,
            exposure_time=1380.0,
            zero_point=25.127,
            sky_brightness=21.83,
            read_noise=3.0,
            source="paltas, ACS-like, before it is drizzled to 0.03 arcsec; its own PSF is an "
            "empirical kernel, here a Gaussian of 0.1 arcsec",
        ),
        Instrument(
            name="euclid_vis",
            pixel_scale=0.101,
            psf_fwhm=0.16,
            exposure_time=566.0,
            num_exposures=4,
            zero_point=25.72,
            sky_brightness=22.3,
            read_noise=4.2,
            source="lenstronomy since June 2026, Euclid(band='VIS'): wide survey",
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
            name="rubin_g",
            pixel_scale=0.2,
            psf_fwhm=0.77,
            exposure_time=15.0,
            num_exposures=200,
            zero_point=28.30,
            sky_brightness=22.26,
            read_noise=10.0,
            source="lenstronomy 1.14.2, LSST(band='g'): ten-year coadd",
        ),
        Instrument(
            name="rubin_r",
            pixel_scale=0.2,
            psf_fwhm=0.73,
            exposure_time=15.0,
            num_exposures=460,
            zero_point=28.13,
            sky_brightness=21.2,
            read_noise=10.0,
            source="lenstronomy 1.14.2, LSST(band='r'): ten-year coadd",
        ),
        Instrument(
            name="rubin_i",
            pixel_scale=0.2,
            psf_fwhm=0.71,
            exposure_time=15.0,
            num_exposures=460,
            zero_point=27.79,
            sky_brightness=20.48,
            read_noise=10.0,
            source="lenstronomy 1.14.2, LSST(band='i'): ten-year coadd",
        ),
        Instrument(
            name="jwst_nircam_f277w",
            pixel_scale=0.063,
            psf_fwhm=0.092,
            exposure_time=257.0,
            num_exposures=8,
            zero_point=26.49,
            sky_brightness=28.96,
            read_noise=13.25,
            source="lenstronomy 1.14.2, JWST(band='F277W'): COSMOS-Web; that sky is far below "
            "zodiacal light, but read noise decides: with 23 mag the noise would be 7 % larger",
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
