"""The image of a lens prepared for a fit: checked, every pixel finite, in units of its noise."""

import math
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from scipy import ndimage

from lenspinn.data.plausible_scale import check_pixel_scale
from lenspinn.errors import ImageError
from lenspinn.measure.noise_map import AnyPixels, cosmic_rays, noise_of
from lenspinn.measure.psf import Kernel, normalised_psf

__all__ = ["Observation", "observe"]

Pixels = Float[np.ndarray, "y x"]

FAINTEST = 0.1
"""Quantile of the values of a noise map that is taken for the noise of the sky."""
LEFT_OUT = 1e5
"""Least value of a noise map, over the noise of the sky, for a pixel that does not count."""
ABSOLUTE = 1e8
"""Least value of a noise map for a pixel that does not count, unless all of its values are as
large."""
BRIGHTEST = 1e8
"""Least brightness, in units of the noise, that is refused: no detector counts so many photons in a
pixel."""
SAME = 1e-5
"""Relative difference below which two arrays count as equal but for a factor."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Observation:
    """Image, noise and PSF of one lens, float64."""

    image: Pixels
    """Pixels in units of `unit`; one that was not finite has the value of the nearest that is."""
    sigma: Pixels
    """Standard deviation of the noise, in units of `unit`; ``inf`` leaves a pixel out."""
    psf: Kernel | None
    """PSF in pixels of the image, of sum 1; None if it is not known."""
    pixel_scale: float
    """Side of a pixel, arcsec."""
    unit: float
    """Unit of brightness, about the median noise, in the unit of the image. It is a power of two,
    so that division by it rounds nothing."""


def observe(
    image: AnyPixels,
    *,
    pixel_scale: float,
    noise: AnyPixels | None,
    psf: AnyPixels | None,
    mask: AnyPixels | None,
) -> Observation:
    """Check an image with its noise, PSF and mask, and convert it to units of its noise.

    Parameters
    ----------
    image : (y, x)
        Image in any unit and byte order; pixels that are not finite are left out.
    pixel_scale : side of a pixel, arcsec.
    noise, psf, mask
        Companions of the image as in `lenspinn.measure.measure_lens`.

    Raises
    ------
    ImageError
        If the pixel scale is not that of a telescope, arrays differ in shape, one is given in two
        roles, or too few pixels are left.
    """
    check_pixel_scale(pixel_scale)
    image = _numbers("image", image)
    noise, psf, mask = (
        None if pixels is None else _numbers(name, pixels)
        for name, pixels in (("noise map", noise), ("PSF", psf), ("mask", mask))
    )
    _refuse_twice(image, noise, psf)
    kernel = None if psf is None else normalised_psf(psf)
    finite = np.isfinite(image)
    image = _filled(image, finite)
    first = _power_of_two(_typical(np.abs(image) if noise is None else noise))
    sigma = noise_of(image / first, None if noise is None else _usable(noise) / first, mask)
    sigma[~finite] = np.inf
    used = np.isfinite(sigma)
    if not used.any():
        raise ImageError("noise map and mask leave out every pixel of the image that is finite")
    second = _power_of_two(float(np.median(sigma[used])))
    image, sigma = image / first / second, sigma / second
    _refuse_without_noise(image, sigma, noise is None)
    if noise is None and kernel is not None:
        sigma[cosmic_rays(image, sigma, kernel)] = np.inf
    return Observation(
        image=image, sigma=sigma, psf=kernel, pixel_scale=pixel_scale, unit=first * second
    )


def _numbers(name: str, pixels: AnyPixels) -> np.ndarray:
    """Return pixels as float64 in the byte order of this machine."""
    pixels = np.asarray(pixels)
    if pixels.dtype.kind not in "fiub":
        raise ImageError(f"the {name} is of {pixels.dtype}; it must hold real numbers")
    return pixels.astype(np.float64)


def _refuse_twice(image: np.ndarray, noise: np.ndarray | None, psf: np.ndarray | None) -> None:
    """Refuse one array that is given in two roles, whatever its unit."""
    if noise is not None and _same(image, noise):
        raise ImageError(
            "the noise map is the image itself; give the standard deviation of each pixel, or "
            "leave the noise out and it is estimated"
        )
    for name, other in (("image", image), ("noise map", noise)):
        if psf is not None and other is not None and _same(other, psf):
            raise ImageError(f"the PSF is the {name} itself; give the image of a point source")


def _same(one: np.ndarray, other: np.ndarray) -> bool:
    """Return whether two arrays agree but for a factor, where both are finite."""
    if one.shape != other.shape:
        return False
    both = np.isfinite(one) & np.isfinite(other)
    if not both.any():
        return False
    one, other = one[both], other[both]
    brightest = np.abs(one).argmax()
    if np.ptp(one) == 0 or other[brightest] == 0:
        return False
    scaled = one / one[brightest]
    return bool(np.abs(other / other[brightest] - scaled).max() < SAME)


def _filled(image: np.ndarray, finite: np.ndarray) -> np.ndarray:
    """Return an image in which pixels that are not finite have the value of the nearest that is."""
    if finite.all():
        return image
    if not finite.any():
        raise ImageError("no pixel of the image is finite; give another image")
    nearest = ndimage.distance_transform_edt(~finite, return_distances=False, return_indices=True)
    return image[tuple(nearest)]


def _usable(noise: np.ndarray) -> np.ndarray:
    """Return a noise map with 0 for every pixel that is to be left out, in any unit.

    Raises
    ------
    ImageError
        If a standard deviation is negative.
    """
    num_negative = int((noise < 0).sum())
    if num_negative:
        raise ImageError(
            f"{num_negative} pixels of the noise map are negative; it must hold standard "
            "deviations, 0 where a pixel is to be left out"
        )
    counts = np.isfinite(noise) & (noise < LEFT_OUT * _typical(noise))
    return np.where(counts, noise, 0.0)


def _typical(values: np.ndarray) -> float:
    """Return a typical value of the faintest positive ones; 1 if there are none."""
    positive = values[np.isfinite(values) & (values > 0)]
    ordinary = positive[positive < ABSOLUTE]
    chosen = ordinary if ordinary.size else positive
    return float(np.quantile(chosen, FAINTEST)) if chosen.size else 1.0


def _power_of_two(value: float) -> float:
    return 2.0 ** round(math.log2(value))


def _refuse_without_noise(image: Pixels, sigma: Pixels, estimated: bool) -> None:
    """Refuse an image that is brighter in units of its noise than anything that was observed."""
    highest = float(np.abs(image[np.isfinite(sigma)] / sigma[np.isfinite(sigma)]).max())
    if highest < BRIGHTEST:
        return
    if estimated:
        raise ImageError("the image has no noise that could be estimated; give a noise map")
    raise ImageError(
        f"the brightest pixel is {highest:.0e} times its noise; give image and noise map in one "
        "unit, and standard deviations"
    )
