"""Noise and cosmic rays of an image that comes without a noise map, from the image itself."""

import numpy as np
from jaxtyping import Bool, Float
from scipy import ndimage

from lenspinn.errors import ImageError

Pixels = Float[np.ndarray, "y x"]
AnyPixels = Float[np.ndarray, "_ _"]
"""Pixels of a shape that is not known before it is checked."""

SMALLEST = 16
"""Least number of pixels a side of an image whose noise can be estimated."""
LEAST_LEFT = 100
"""Least number of pixels that count in an image that a lens can be fitted to."""

BORDER = 0.1
"""Width of the border whose scatter is taken for the noise of the sky, as a share of the image's
side."""
SIGMA_PER_MAD = 1.4826
"""Standard deviation of a Gaussian over its median absolute deviation."""
CORE = 6
"""Radius around the brightest pixel within which light varies too steeply to show its noise,
pixels."""
BINS = 12
"""Number of bins in brightness, of equally many pixels."""
_SHARP = np.array([[1, -2, 1], [-2, 4, -2], [1, -2, 1]]) / 6
"""Filter that keeps the standard deviation of white noise, and removes all that varies linearly."""

HIT_SIGMAS = 5.0
"""Least excess over any possible source at which a pixel counts as hit by a cosmic ray, in units of
the noise."""
HIT_ROUNDS = 4
"""Number of rounds of the search: a wide hit is found from its sides inwards."""
AROUND = 5
"""Side of the surroundings of a pixel, pixels."""
GAP_ROUNDS = 3
"""Number of rounds of filling gaps from their sides inwards."""
DIRECTIONS = ((0, 1), (1, 0), (1, 1), (1, -1))
"""Steps (rows, columns) to the neighbours that a pixel is compared with."""


def robust_sigma(values: np.ndarray) -> float:
    """Return the standard deviation of a Gaussian with the same median absolute deviation."""
    return float(SIGMA_PER_MAD * np.median(np.abs(values - np.median(values))))


def noise_of(image: Pixels, noise: AnyPixels | None, mask: AnyPixels | None) -> Pixels:
    """Return the noise of an image, ``inf`` where a pixel does not count.

    Parameters
    ----------
    image : (y, x)
        Image; pixels that are not finite do not count.
    noise : (y, x)
        Standard deviations; 0 and values that are not finite leave a pixel out. By default
        `estimate_noise` of the image.
    mask : (y, x)
        Mask; anything but 0 leaves a pixel out.

    Raises
    ------
    ImageError
        If arrays differ in shape, or too few pixels are left.
    """
    if image.ndim != 2 or min(image.shape) < SMALLEST:
        raise ImageError(
            f"the image has shape {image.shape}; it must have two axes of at least "
            f"{SMALLEST} pixels"
        )
    for name, other in (("noise map", noise), ("mask", mask)):
        if other is not None and other.shape != image.shape:
            raise ImageError(
                f"the {name} has shape {other.shape}, the image {image.shape}; they must agree"
            )
    image = image.astype(np.float64)
    finite = np.isfinite(image)
    _check_enough(int(finite.sum()), "the image has pixels that are NaN or infinite")
    if noise is None:
        noise = estimate_noise(image)
        if not noise.any():
            raise ImageError("the image has no noise that could be estimated; give a noise map")
    noise = noise.astype(np.float64)
    used = finite & np.isfinite(noise) & (noise > 0)
    if mask is not None:
        used &= mask == 0
    _check_enough(int(used.sum()), "noise map and mask leave out the others")
    return np.where(used, noise, np.inf)


def _check_enough(left: int, why: str) -> None:
    """Refuse an image of which too few pixels are left."""
    if left < LEAST_LEFT:
        raise ImageError(
            f"{left} pixels of the image count, for {why}; at least {LEAST_LEFT} are needed, so "
            "give another noise map, mask or image"
        )


def gaps_filled(image: Pixels) -> Pixels:
    """Return an image (float64) whose gaps are filled with the median of their surroundings.

    Pixels that are not finite are gaps. Pixels deep inside of a gap get the median of the image.
    The filled image is for filters over the whole image; a fit leaves such pixels out.
    """
    image = image.astype(np.float64)
    finite = np.isfinite(image)
    if finite.all():
        return image
    filled = np.where(finite, image, np.median(image[finite]))
    for _ in range(GAP_ROUNDS):
        filled = np.where(finite, image, ndimage.median_filter(filled, AROUND))
    return filled


def border_of(shape: tuple[int, ...]) -> Bool[np.ndarray, "y x"]:
    """Return a mask of the border of an image, which is taken to be mostly sky."""
    width = max(2, round(BORDER * min(shape)))
    frame = np.ones(shape, dtype=bool)
    frame[width:-width, width:-width] = False
    return frame


def estimate_noise(image: Pixels) -> Pixels:
    """Estimate the standard deviation of the noise in each pixel.

    Parameters
    ----------
    image : (y, x)
        Image, whose border is taken to be mostly sky.

    Returns
    -------
    (y, x), in the unit of the image
        Standard deviation of the noise.

    Notes
    -----
    The noise of the sky is the scatter of the border, which correlation of the noise does not
    lower. Photons of bright parts add a variance in proportion to the light. The factor is measured
    from the growth of the pixel-to-pixel scatter with brightness, so that no gain or exposure time
    is needed.

    References
    ----------
    Immerkaer (1996), Computer Vision and Image Understanding 64, 300: the filter.
    """
    frame = border_of(image.shape) & np.isfinite(image)
    known = image[frame if frame.any() else np.isfinite(image)].astype(np.float64)
    image = gaps_filled(image)
    sky, sigma = float(np.median(known)), robust_sigma(known)
    light = np.clip(ndimage.median_filter(image, 5) - sky, 0, None)
    sharp = ndimage.convolve(image, _SHARP)
    usable = _distance_from_peak(image) > CORE
    order = np.argsort(light[usable])
    parts = np.array_split(order[len(order) // 2 :], BINS)
    lights = np.array([light[usable][part].mean() for part in parts])
    variances = np.array([robust_sigma(sharp[usable][part]) ** 2 for part in parts])
    faint = robust_sigma(sharp[usable][order[: len(order) // 2]]) ** 2
    if faint == 0:  # an image without noise
        return np.full_like(light, sigma)
    # Photon noise over sky noise, from a line through the variance of the faint half.
    slope = max(0.0, float((lights * (variances / faint - 1)).sum() / (lights**2).sum()))
    return sigma * np.sqrt(1 + slope * light)


def cosmic_rays(
    image: Pixels, sigma: Pixels, psf: Float[np.ndarray, "v u"]
) -> Bool[np.ndarray, "y x"]:
    """Return a mask of pixels that are sharper than the PSF allows, with their neighbours.

    Parameters
    ----------
    image, sigma : (y, x)
        Image and standard deviation of its noise.
    psf
        PSF in pixels of the image.

    Notes
    -----
    All light is blurred by the PSF. So the excess of a pixel over the mean of its two neighbours in
    a direction, as a share of the pixel's own light, cannot be larger than the largest such share
    in the PSF above half its peak. The own light of a pixel is its excess over the median of its
    surroundings. The centre of the lens is left alone.
    """
    image = gaps_filled(image)
    distance = _distance_from_peak(image)
    clean, hit = image, np.zeros(image.shape, dtype=bool)
    star = np.pad(psf, AROUND)
    bright = star > star.max() / 2
    own_star = (star - ndimage.median_filter(star, AROUND))[bright]
    for _ in range(HIT_ROUNDS):
        around = ndimage.median_filter(clean, AROUND)
        own = np.clip(clean - around, 0, None)
        new = np.zeros_like(hit)
        for direction in DIRECTIONS:
            share = float((_standing_out(star, direction)[bright] / own_star).max())
            noise = HIT_SIGMAS * np.sqrt(1.5) * sigma
            new |= _standing_out(clean, direction) > share * own + noise
        new &= distance > CORE
        clean[new] = around[new]
        hit |= new
    return ndimage.binary_dilation(hit, structure=np.ones((3, 3)))


def _standing_out(image: np.ndarray, direction: tuple[int, int]) -> np.ndarray:
    """Return each pixel minus the mean of its neighbours on both sides."""
    there = np.roll(image, direction, (0, 1))
    back = np.roll(image, (-direction[0], -direction[1]), (0, 1))
    return image - (there + back) / 2


def _distance_from_peak(image: Pixels) -> Pixels:
    """Return the distance of each pixel from the brightest place, pixels."""
    peak_y, peak_x = np.unravel_index(ndimage.gaussian_filter(image, 2).argmax(), image.shape)
    y, x = np.indices(image.shape)
    return np.hypot(y - peak_y, x - peak_x)
