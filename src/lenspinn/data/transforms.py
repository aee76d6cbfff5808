"""What happens to pixels before a network sees them; simulated and real images take one path.

Everything here is a pure function of tensors. Images are batched as ``(batch, 1, y, x)`` and each
is treated on its own: the result for one image never depends on its batch.
"""

import itertools
import math
from collections.abc import Callable

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

from lenspinn.errors import ImageError

Images = Float[Tensor, "batch 1 y x"]

NOISE_FLOOR_SIGMAS = 3.0
"""`noise_safe_preprocess` raises every pixel to at least this many background sigmas: below it a
pixel says nothing about the lens, and the logarithm would turn its noise into edges."""

TINY_FRACTION = 1e-20
"""Least pixel value of `noise_safe_preprocess`, in units of the largest absolute value. Smaller
than any pixel of a noise-free DeepLense image (7e-14), so that those pass unchanged."""

NOISELESS = 1e-6
"""What `pixel_statistics` calls the noise of noise-free images, relative to the brightest pixel."""

HIGHEST_DIFFERENCE = 5
"""Order of the differences in `pixel_statistics`. Higher ones tell a blurred image from a sharp one
of a smoother source: an HST PSF twice as wide is seen in half the images at order 3."""

LEAST_RATIO = 1e-12
"""Of `pixel_statistics`: below it nothing but rounding is left."""

MOST_MISSING = 0.5
"""Share of the middle half of an image, each way, whose pixels may be NaN or infinite."""
SMALLEST_IMAGE = 8
"""Pixels along a side below which nothing can be said about an image's background."""

LEAST_SHARE = 1e-3
"""Of a pixel in a resampled one, from which it counts."""

# Median absolute deviation of normal noise to its standard deviation.
_MAD_TO_SIGMA = 1.4826
# Standard deviation of a second difference a - 2b + c of independent unit noise.
_SECOND_DIFFERENCE_NOISE = math.sqrt(6.0)
# The faintest part of an image, where there is least light of lens and source.
_FAINT_PART = 0.25
_BLOCK = 4  # pixels averaged along a side, so that noise does not choose the faint pixels
# Pixels between the members of the difference that measures the noise: far enough apart that the
# correlated noise of drizzled images has died out (HST ACS, JWST NIRCam, Euclid VIS: at 2 pixels).
_NOISE_LAG = 3
# Doubling the lag multiplies second differences of a smooth image by 4 (3.6 to 4.5 in noise-free
# DeepLense images), of noise by 1 (real HST, JWST and Euclid VIS images: 1.2 to 1.4; Euclid NISP
# images resampled to a third of their pixel: 2.6).
_SMOOTH_RATIO = 3.2


def raw(image: Images) -> Images:
    """Leave the pixels as they are."""
    return image


def min_max(image: Images) -> Images:
    """Scale each image to 0..1; a constant image becomes 0."""
    low = image.amin(dim=(-2, -1), keepdim=True)
    span = image.amax(dim=(-2, -1), keepdim=True) - low
    return (image - low) / torch.where(span > 0, span, 1)


def deeplense_preprocess(image: Images) -> Images:
    """Edges of the compressed contrast, exactly as the LensPINN paper prints it.

    Parameters
    ----------
    image : (batch, 1, y, x)
        Any unit: only ratios to the brightest pixel enter.

    Returns
    -------
    (batch, 1, y, x), in 0..1

    Notes
    -----
    ``|tanh(d/dx d/dy (ln(I_max / I))^2)|``, the derivatives being `numpy.gradient` (central
    differences per pixel, one-sided at the border) along y, then x. A pixel <= 0 has no
    logarithm: it and its neighbours become NaN (or 1, for exactly 0). Use
    `noise_safe_preprocess` for images with noise.

    References
    ----------
    Ojha, Toomey, Gleyzer & Kumbam (2024), "LensPINN", NeurIPS ML4PS, section 3.
    """
    peak = image.amax(dim=(-2, -1), keepdim=True)
    contrast = torch.log(peak / image) ** 2
    (slope_y,) = torch.gradient(contrast, dim=-2)
    (edges,) = torch.gradient(slope_y, dim=-1)
    return torch.tanh(edges).abs()


def noise_safe_preprocess(image: Images) -> Images:
    """`deeplense_preprocess` for any image: pixels below the noise count as equally dark.

    Pixels are raised to at least `NOISE_FLOOR_SIGMAS` background sigmas (and `TINY_FRACTION` of
    the largest absolute value) first. A noise-free positive image has sigma 0 and gives what the
    paper's formula gives, up to float32 rounding. Any finite image gives a finite result.

    Parameters
    ----------
    image : (batch, 1, y, x)
        Any unit, background subtracted.

    Returns
    -------
    (batch, 1, y, x), in 0..1
    """
    # Scaled to 1 before anything is squared or subtracted, so that no finite image overflows.
    largest = image.detach().abs().amax(dim=(-2, -1), keepdim=True)
    scaled = image / largest.clamp_min(torch.finfo(image.dtype).tiny)
    floor = NOISE_FLOOR_SIGMAS * background_sigma(scaled.detach())
    floor = floor.clamp_min(TINY_FRACTION)[:, None, None, None]
    return deeplense_preprocess(torch.maximum(scaled, floor))


def background_sigma(image: Images) -> Float[Tensor, " batch"]:
    """Measure the background noise of one pixel (1 sigma); 0 for a noise-free image.

    Parameters
    ----------
    image : (batch, 1, y, x)

    Returns
    -------
    (batch,), unit of the image
        Good to 4 % (one sigma) for white noise at 64 x 64 pixels.

    Raises
    ------
    ImageError
        If the image is smaller than `SMALLEST_IMAGE` pixels.

    Notes
    -----
    Median absolute second difference over the faintest quarter of the image, along both axes,
    which neither a background level nor a gradient changes. Pixels 3 apart are compared, for
    neighbours are correlated in drizzled images. The image counts as noise-free where doubling
    the distance from 1 to 2 pixels multiplies the differences as in a smooth function (by 4), not
    as in noise (by 1).
    """
    if min(image.shape[-2:]) < SMALLEST_IMAGE:
        raise ImageError(
            f"An image of {tuple(image.shape[-2:])} pixels is too small to measure its noise: "
            f"at least {SMALLEST_IMAGE} x {SMALLEST_IMAGE} are needed"
        )
    blocks = nn.functional.avg_pool2d(image, _BLOCK, ceil_mode=True)
    for axis in (-2, -1):
        blocks = blocks.index_select(axis, _nearest_blocks(image.shape[axis], image.device))
    brightness = blocks.flatten(start_dim=1)
    num_faint = math.ceil(_FAINT_PART * brightness.shape[1])
    faint = brightness.topk(num_faint, dim=1, largest=False, sorted=False).indices
    lag_1, lag_2, noise = (_second_difference(image, lag, faint) for lag in (1, 2, _NOISE_LAG))
    sigma = noise * (_MAD_TO_SIGMA / _SECOND_DIFFERENCE_NOISE)
    return torch.where(lag_2 >= _SMOOTH_RATIO * lag_1, 0, sigma)


def pixel_statistics(image: Images) -> Float[Tensor, "batch 7"]:
    """Measure noise, brightness and sharpness of images, whatever is in them.

    Parameters
    ----------
    image : (batch, 1, y, x)
        Background subtracted.

    Returns
    -------
    (batch, 7)
        Logarithms: of the background noise (1 sigma of a pixel; at least `NOISELESS` of the
        brightest), of the brightest pixel, both in the unit of the image, and of
        `HIGHEST_DIFFERENCE` ratios that no unit changes: the summed squares of the differences of
        order n of neighbouring pixels over those of order n - 1, of which order 0 are the pixels.
        Blurring lowers the ratios.
    """
    largest = image.abs().amax(dim=(1, 2, 3)).clamp_min(torch.finfo(image.dtype).tiny)
    sigma = torch.maximum(background_sigma(image), NOISELESS * largest)
    scaled = (image / largest[:, None, None, None]).double()
    energy = [
        torch.diff(scaled, n=order, dim=-2).square().sum(dim=(1, 2, 3))
        + torch.diff(scaled, n=order, dim=-1).square().sum(dim=(1, 2, 3))
        for order in range(HIGHEST_DIFFERENCE + 1)
    ]
    ratios = [
        (upper / lower).nan_to_num(LEAST_RATIO).clamp_min(LEAST_RATIO)
        for lower, upper in itertools.pairwise(energy)
    ]
    return torch.log(torch.stack([sigma.double(), largest.double(), *ratios], dim=1))


def _nearest_blocks(num_pix: int, device: torch.device) -> Tensor:
    """Return the number of the block nearest to each inner pixel along an axis."""
    blocks = torch.arange(math.ceil(num_pix / _BLOCK), dtype=torch.float32, device=device)
    nearest = nn.functional.interpolate(blocks[None, None], size=num_pix)[0, 0].long()
    return nearest[_NOISE_LAG:-_NOISE_LAG]


def _second_difference(image: Tensor, lag: int, where: Tensor) -> Tensor:
    """Median |a - 2b + c| of pixels `lag` apart in y and in x, at flat inner positions `where`."""
    num_y, num_x = image.shape[-2:]
    rows, columns = (slice(_NOISE_LAG, n - _NOISE_LAG) for n in (num_y, num_x))
    above, below = (slice(_NOISE_LAG + s, num_y - _NOISE_LAG + s) for s in (lag, -lag))
    right, left = (slice(_NOISE_LAG + s, num_x - _NOISE_LAG + s) for s in (lag, -lag))
    centre = 2 * image[..., rows, columns]
    along_y = image[..., above, columns] + image[..., below, columns] - centre
    along_x = image[..., rows, right] + image[..., rows, left] - centre
    sizes = [d.flatten(start_dim=1).gather(1, where).abs() for d in (along_y, along_x)]
    return _median(torch.cat(sizes, dim=1))


def _median(values: Float[Tensor, "batch n"]) -> Float[Tensor, " batch"]:
    """Lower median of each row."""
    if values.device.type != "cpu":
        return values.median(dim=1).values
    middle = (values.shape[1] - 1) // 2
    # A tenth of the time that torch takes on a CPU for the same numbers.
    return torch.from_numpy(np.partition(values.numpy(force=True), middle, axis=1)[:, middle])


TRANSFORMS: dict[str, Callable[[Tensor], Tensor]] = {
    "raw": raw,
    "min_max": min_max,
    "paper": deeplense_preprocess,
    "noise_safe": noise_safe_preprocess,
}
"""Transforms by the name a model's configuration uses."""


def resample(image: Tensor, from_scale: float, to_scale: float, num_pix: int) -> Tensor:
    """Cut the centre of an image at another pixel scale, keeping its surface brightness.

    Parameters
    ----------
    image : (y, x) or (batch, 1, y, x)
        Flux per pixel, e.g. e-/s.
    from_scale, to_scale : float, arcsec
        Pixel scale of the image and of the result.
    num_pix : int
        Pixels along a side of the result.

    Returns
    -------
    (num_pix, num_pix) or (batch, 1, num_pix, num_pix)
        Flux per new pixel: ``(to_scale / from_scale)**2`` times as much light in each.

    Raises
    ------
    ImageError
        If the image does not cover the field of the result (half a new pixel may be missing).

    Notes
    -----
    Coarser or equal pixels: exact averages over area, so flux is conserved to rounding. Finer
    pixels: cubic convolution (Keys 1981, eq. 4), exact for quadratic surfaces. The centre of the
    array stays at the centre.
    """
    along_y, along_x = _weights(image, from_scale, to_scale, num_pix)
    return along_y @ image @ along_x.T * (to_scale / from_scale) ** 2


def resample_noise(sigma: Tensor, from_scale: float, to_scale: float, num_pix: int) -> Tensor:
    """Return the noise of an image that `resample` makes, for noise that is not correlated.

    Parameters
    ----------
    sigma : (y, x) or (batch, 1, y, x)
        Standard deviations; ``inf`` leaves a pixel out, and each new one that it has a part in.
    from_scale, to_scale, num_pix
        As for `resample`, which also says what is raised.

    Returns
    -------
    (num_pix, num_pix) or (batch, 1, num_pix, num_pix)
        Standard deviation of each new pixel. Neighbours that share an old pixel are correlated.
    """
    along_y, along_x = _weights(sigma, from_scale, to_scale, num_pix)
    out = torch.isinf(sigma)
    variance = along_y.square() @ torch.where(out, 0, sigma).square() @ along_x.T.square()
    share = along_y.abs() @ out.to(sigma) @ along_x.abs().T
    variance = torch.where(share > LEAST_SHARE, torch.inf, variance)
    return variance.sqrt() * (to_scale / from_scale) ** 2


def _weights(
    image: Tensor, from_scale: float, to_scale: float, num_pix: int
) -> tuple[Tensor, Tensor]:
    """Share of old pixels in new ones along y and x; an image that is too small is refused."""
    field, *sides = num_pix * to_scale, *(n * from_scale for n in image.shape[-2:])
    if min(sides) < field - to_scale:
        raise ImageError(
            f"The image is {min(sides):.3g} arcsec wide, but {field:.3g} arcsec are needed "
            f"({num_pix} pixels of {to_scale:g} arcsec)"
        )
    weights = _area_weights if to_scale >= from_scale else _cubic_weights
    along_y, along_x = (
        weights(n, num_pix, to_scale / from_scale).to(image) for n in image.shape[-2:]
    )
    return along_y, along_x


def _area_weights(num_old: int, num_new: int, ratio: float) -> Tensor:
    """Share of each old pixel in each new one, (new, old), along one axis; rows add up to 1."""
    start = (torch.arange(num_new, dtype=torch.float64) - num_new / 2)[:, None] * ratio
    old = (torch.arange(num_old, dtype=torch.float64) - num_old / 2)[None, :]
    overlap = (torch.minimum(start + ratio, old + 1) - torch.maximum(start, old)).clamp_min(0)
    return overlap / overlap.sum(dim=1, keepdim=True)


def _cubic_weights(num_old: int, num_new: int, ratio: float) -> Tensor:
    """Cubic convolution of old pixels at new centres, (new, old), along one axis."""
    new = (torch.arange(num_new, dtype=torch.float64) - (num_new - 1) / 2) * ratio
    # The border pixel stands for what lies beyond it.
    new = (new + (num_old - 1) / 2).clamp(0, num_old - 1)
    distance = (new[:, None] - torch.arange(-1, num_old + 1, dtype=torch.float64)).abs()
    near = 1.5 * distance**3 - 2.5 * distance**2 + 1
    far = -0.5 * distance**3 + 2.5 * distance**2 - 4 * distance + 2
    padded = torch.where(distance <= 1, near, torch.where(distance < 2, far, 0))
    weights = padded[:, 1:-1]
    weights[:, 0] += padded[:, 0]
    weights[:, -1] += padded[:, -1]
    return weights


def check_image(image: Tensor, name: str = "The image", *, may_miss: bool = False) -> None:
    """Refuse an image nobody should classify.

    Parameters
    ----------
    image : (y, x) or (batch, 1, y, x)
    name : str
        What the error calls it, e.g. the file.
    may_miss : bool
        Whether pixels may be NaN or infinite, to be left out later: up to `MOST_MISSING` of the
        middle half of the image.

    Raises
    ------
    ImageError
        If the shape is wrong or not square, a pixel is not finite (or too many are), or all pixels
        are equal.
    """
    shape = tuple(image.shape)
    if image.ndim != 2 and not (image.ndim == 4 and shape[1] == 1):
        raise ImageError(f"{name} has shape {shape}; (y, x) or (batch, 1, y, x) is needed")
    if shape[-2] != shape[-1] or shape[-1] < SMALLEST_IMAGE:
        raise ImageError(
            f"{name} has {shape[-2]} x {shape[-1]} pixels; a square of at least "
            f"{SMALLEST_IMAGE} x {SMALLEST_IMAGE}, centred on the lens, is needed"
        )
    bad = ~torch.isfinite(image)
    if may_miss:
        side = shape[-1]
        middle = bad[..., side // 4 : side - side // 4, side // 4 : side - side // 4].float().mean()
        if middle > MOST_MISSING:
            raise ImageError(
                f"{name} has {middle:.0%} of its middle NaN or infinite; give a whole image"
            )
    elif bad.any():
        raise ImageError(
            f"{name} has {int(bad.sum())} pixels that are NaN or infinite; fill them, or use a "
            "FITS image with a network that fits the lens, which leaves them out"
        )
    low, high = (torch.where(bad, sign * torch.inf, image) for sign in (1, -1))
    if (high.amax(dim=(-2, -1)) <= low.amin(dim=(-2, -1))).any():
        raise ImageError(f"{name} is constant: there is nothing to see in it")
