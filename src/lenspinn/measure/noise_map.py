"""Noise and cosmic rays of an image that comes without a noise map, from the image itself."""

import numpy as np
from jaxtyping import Bool, Float
from scipy import ndimage

from lenspinn.errors import ImageError

Pixels = Float[np.ndarray, "y x"]
AnyPixels = Float[np.ndarray, "_ _"]
"""Of a shape that is checked here."""

SMALLEST = 16
"""Pixels a side of an image whose noise can be told."""
LEFT_OUT, FAR = 1e8, 1e4
"""From here on a noise map says that a pixel does not count, if that is also so many times what the
image scatters by: in some units all noise is larger."""
LEAST_LEFT = 100
"""Pixels that count, of an image that a lens can be fitted to."""
MOST_NEGATIVE = 0.01
"""Share of pixels of a noise map that may be negative, as some write for a pixel to leave out."""

BORDER = 0.1
"""Width of the frame whose scatter is that of the sky, as a share of the image."""
SIGMA_PER_MAD = 1.4826
CORE = 6
"""Pixels. Nearer to the brightest pixel than this, the light changes too fast to show its noise."""
BINS = 12
"""Of equally many pixels, in brightness."""
_SHARP = np.array([[1, -2, 1], [-2, 4, -2], [1, -2, 1]]) / 6
"""Leaves white noise as large as it is, and removes everything that varies linearly."""

HIT_SIGMAS = 5.0
"""Noise above what any source could be, from which a pixel counts as hit."""
HIT_ROUNDS = 4
"""A wide hit is found from its sides inwards."""
AROUND = 5
"""Pixels a side of the surroundings of a pixel."""
GAP_ROUNDS = 3
DIRECTIONS = ((0, 1), (1, 0), (1, 1), (1, -1))


def robust_sigma(values: np.ndarray) -> float:
    """Return the standard deviation of a Gaussian with the same median absolute deviation."""
    return float(SIGMA_PER_MAD * np.median(np.abs(values - np.median(values))))


def noise_of(image: Pixels, noise: AnyPixels | None, mask: AnyPixels | None) -> Pixels:
    """Return the noise of an image, ``inf`` where a pixel does not count.

    Parameters
    ----------
    image : (y, x)
        What is not finite does not count.
    noise : (y, x)
        Standard deviations; 0, `LEFT_OUT` and above and what is not finite leave a pixel out. By
        default `estimate_noise`.
    mask : (y, x)
        Anything but 0 leaves a pixel out.

    Raises
    ------
    ImageError
        If images do not fit together, the noise map is negative, or few pixels are left.
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
    negative = float((noise < 0).mean())
    if negative > MOST_NEGATIVE:
        raise ImageError(
            f"{negative:.0%} of the noise map is negative; it must hold standard deviations, with "
            "0 or NaN where a pixel is to be left out"
        )
    out = max(LEFT_OUT, FAR * robust_sigma(image[finite]))
    used = finite & np.isfinite(noise) & (noise > 0) & (noise < out)
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
    """Return an image (float64) with the median of their surroundings where pixels are not finite.

    What lies deep inside of a gap gets the median of the image. It is for what looks at an image as
    a whole; a fit leaves such pixels out.
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
    """Return where an image of some shape is taken to be mostly sky: a frame along its border."""
    width = max(2, round(BORDER * min(shape)))
    frame = np.ones(shape, dtype=bool)
    frame[width:-width, width:-width] = False
    return frame


def estimate_noise(image: Pixels) -> Pixels:
    """Estimate the standard deviation of the noise in each pixel.

    Parameters
    ----------
    image : (y, x)
        Its frame is taken to be mostly sky.

    Returns
    -------
    (y, x), the unit of the image

    Notes
    -----
    That of the sky is the scatter of the frame, which noise that is correlated does not lower. The
    photons of bright parts add a variance in proportion to the light; by how much, is seen in how
    the pixel-to-pixel scatter grows with brightness, so that no gain or exposure time is needed.

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
    """Return where an image is sharper than its PSF allows, and the pixels around.

    Parameters
    ----------
    image, sigma : (y, x)
        Image and standard deviation of its noise.
    psf
        In pixels of the image.

    Notes
    -----
    All light went through the PSF. So no pixel can stand out above the mean of its two neighbours
    in a direction by a larger share of its own light than those of the PSF above half its peak do.
    What is brighter than the median around it counts as its own. The centre of the lens is left
    alone.
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
    """Pixels from the brightest place."""
    peak_y, peak_x = np.unravel_index(ndimage.gaussian_filter(image, 2).argmax(), image.shape)
    y, x = np.indices(image.shape)
    return np.hypot(y - peak_y, x - peak_x)
