"""Noise, for single numpy images and for batches of tensors by the same formulas."""

import functools
from typing import Any, TypeVar

import numpy as np
import torch

from lenspinn.data.instrument import Instrument, flux_from_magnitude
from lenspinn.errors import ConfigError
from lenspinn.simulate.faults import Faults
from lenspinn.simulate.maps import read_map

__all__ = [
    "add_noise",
    "background_sigma",
    "correlated_field",
    "load_correlation",
    "noise_sigma",
    "observe",
]

Array = TypeVar("Array", np.ndarray, torch.Tensor)
Time = float | np.ndarray | torch.Tensor | None
Generator = np.random.Generator | torch.Generator


def background_sigma(instrument: Instrument, exposure_time: Time = None) -> Any:
    """Return the standard deviation of sky and read noise in one pixel, e-/s.

    Parameters
    ----------
    exposure_time
        Total exposure time, s, with as many read-outs as the instrument makes; by default the
        instrument's. A number, or an array, for each value of which there is a result.

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
    time = instrument.total_exposure if exposure_time is None else exposure_time
    sky = flux_from_magnitude(instrument.sky_brightness, instrument.zero_point)
    sky_electrons = sky * instrument.pixel_scale**2 * time
    read_electrons = instrument.num_exposures * instrument.read_noise**2
    return (read_electrons + sky_electrons) ** 0.5 / time


def noise_sigma(
    image: Array,
    instrument: Instrument,
    exposure_time: Time = None,
    *,
    subtracted: Array | None = None,
) -> Array:
    """Return the standard deviation of the noise of each pixel.

    Parameters
    ----------
    image : array of any shape, e-/s
        Noise-free image, with the sky subtracted.
    exposure_time
        Total exposure time, s; by default the instrument's. An array must broadcast with ``image``.
    subtracted : like ``image``, optional
        Light that was subtracted from the image, e-/s; the noise of its photons remains.

    Returns
    -------
    array like ``image``, e-/s

    Notes
    -----
    Background noise plus the photon noise of the light, ``sqrt(light / t)``, in quadrature; pixels
    below 0 have no photon noise.
    """
    time = instrument.total_exposure if exposure_time is None else exposure_time
    light = image if subtracted is None else image + subtracted
    variance = light.clip(min=0.0) / time + background_sigma(instrument, time) ** 2
    return variance**0.5


def add_noise(
    image: Array,
    instrument: Instrument,
    generator: Generator,
    exposure_time: Time = None,
    *,
    subtracted: Array | None = None,
) -> Array:
    """Add one draw of sky, read and photon noise.

    Parameters
    ----------
    image : (..., y, x), e-/s
        Noise-free image, with the sky subtracted.
    generator
        Random generator: numpy's for an array, torch's on the same device for a tensor.
    exposure_time, subtracted
        See `noise_sigma`.

    Returns
    -------
    array of the shape and dtype of ``image``, e-/s

    Notes
    -----
    All noise is Gaussian with the variance of `noise_sigma`, as in lenstronomy: photons are counted
    together with those of the sky (1,000 a pixel for HST), where Poisson and Gauss agree. With
    ``instrument.noise_correlation`` neighbouring pixels are correlated, as drizzling makes them:
    a correlated field of unit variance is scaled by each pixel's standard deviation.
    """
    sigma = noise_sigma(image, instrument, exposure_time, subtracted=subtracted)
    if instrument.noise_correlation is None:
        return image + sigma * _standard_normal(image.shape, image, generator)
    correlation = load_correlation(instrument.noise_correlation, instrument.pixel_scale)
    return image + sigma * correlated_field(image, correlation, generator)


def observe(
    image: Array,
    instrument: Instrument,
    faults: Faults,
    generator: Generator,
    *,
    exposure_time: Time = None,
    subtracted: Array | None = None,
) -> Array:
    """Turn noise-free images into the images that are stored.

    Parameters
    ----------
    image : (..., y, x), e-/s
    faults
        `Faults.noise_left_out`, `image_doubled`, `second_poisson` and `counts` act here.
    generator, exposure_time, subtracted
        See `add_noise`.

    Returns
    -------
    array of the shape and dtype of ``image``
        e-/s, or counts with ``faults.counts``.
    """
    time = instrument.total_exposure if exposure_time is None else exposure_time
    observed: Any = image
    if not faults.noise_left_out:
        observed = add_noise(image, instrument, generator, time, subtracted=subtracted)
    if faults.image_doubled:
        observed = observed + image
    if faults.second_poisson:
        counts = _poisson((observed * time).clip(min=0.0), generator)
        observed = counts if faults.counts else counts / time
    elif faults.counts:
        observed = observed * time
    if isinstance(image, torch.Tensor):
        return observed.to(image.dtype)
    return observed.astype(image.dtype)


def _standard_normal(shape: tuple[int, ...], like: Any, generator: Generator) -> Any:
    if isinstance(like, torch.Tensor):
        assert isinstance(generator, torch.Generator)
        return torch.randn(shape, generator=generator, dtype=like.dtype, device=like.device)
    assert isinstance(generator, np.random.Generator)
    return generator.standard_normal(shape, dtype=like.dtype)


def _poisson(mean: Any, generator: Generator) -> Any:
    if isinstance(mean, torch.Tensor):
        assert isinstance(generator, torch.Generator)
        return torch.poisson(mean, generator=generator)
    assert isinstance(generator, np.random.Generator)
    return generator.poisson(mean)


@functools.lru_cache
def load_correlation(path: str, pixel_scale: float) -> np.ndarray:
    """Read a correlation function of noise, (size, size) and 1 in the middle; see `read_map`."""
    key = "instrument.noise_correlation"
    values = read_map(path, pixel_scale, key)
    middle = values[len(values) // 2, len(values) // 2]
    if not middle > 0 or middle < values.max():
        raise ConfigError(f"{key}: the largest value of {path} must be the middle one, above 0")
    return values / middle


def correlated_field(image: Array, correlation: np.ndarray, generator: Generator) -> Array:
    """Draw a Gaussian field of unit variance with a correlation function, like ``image``.

    Parameters
    ----------
    image : (..., y, x)
        Array with the shape and dtype of the field.
    correlation : (v, u)
        Correlation function by distance in pixels, 1 in the middle; odd sides.
    generator
        Random generator, as for `add_noise`.

    Notes
    -----
    The field is made on a torus that is so large that no two pixels of the image are correlated
    across its edge. Measured correlation functions have some negative power; it is set to 0, and
    the variance restored.
    """
    rows, columns = image.shape[-2:]
    reach = len(correlation) // 2
    size: tuple[int, int] = (rows + 2 * reach, columns + 2 * reach)
    torus = np.zeros(size)
    torus[: 2 * reach + 1, : 2 * reach + 1] = correlation
    power = np.fft.rfft2(np.roll(torus, (-reach, -reach), axis=(0, 1))).real.clip(min=0.0)
    variance = np.fft.irfft2(power, s=size)[0, 0]
    filter_ = np.sqrt(power / variance)
    white = _standard_normal((*image.shape[:-2], *size), image, generator)
    if isinstance(image, torch.Tensor):
        spectrum = torch.fft.rfft2(white) * torch.from_numpy(filter_).to(image)
        return torch.fft.irfft2(spectrum, s=size)[..., :rows, :columns]
    spectrum = np.fft.rfft2(white) * filter_
    return np.fft.irfft2(spectrum, s=size)[..., :rows, :columns].astype(image.dtype)
