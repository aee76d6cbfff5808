"""The noise of an image's background, measured on the image itself."""

import math

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from lenspinn.errors import ImageError

__all__ = ["SMALLEST_IMAGE", "background_sigma"]

Images = Float[Tensor, "batch 1 y x"]

SMALLEST_IMAGE = 8
"""Least number of pixels along a side of an image whose background can be measured."""

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
    faint = _faintest(image)
    lag_1, lag_2, noise = (_second_difference(image, lag, faint) for lag in (1, 2, _NOISE_LAG))
    sigma = noise * (_MAD_TO_SIGMA / _SECOND_DIFFERENCE_NOISE)
    return torch.where(lag_2 >= _SMOOTH_RATIO * lag_1, 0, sigma)


def _faintest(image: Images) -> Int[Tensor, "batch pixels"]:
    """Return the flat inner positions of the pixels in the faintest blocks, `_FAINT_PART` of all.

    Of equally faint blocks, and of the last block that is needed, the first pixels are taken, so
    that every device and every file format of networks chooses the same pixels.
    """
    blocks = nn.functional.avg_pool2d(image, _BLOCK, ceil_mode=True)
    rows, columns = (_nearest_blocks(image.shape[axis], image.device) for axis in (-2, -1))
    of_pixel = (rows[:, None] * blocks.shape[-1] + columns).flatten()
    order = _rising(blocks.flatten(1))
    numbers = torch.arange(order.shape[1], device=image.device).expand_as(order)
    rank = torch.empty_like(order).scatter(1, order, numbers)
    num_pixels = of_pixel.shape[0]
    place = rank.gather(1, of_pixel.expand(order.shape[0], -1)) * num_pixels
    place = place + torch.arange(num_pixels, device=image.device)
    num_faint = math.ceil(_FAINT_PART * num_pixels)
    return place.topk(num_faint, dim=1, largest=False, sorted=False).indices


def _rising(values: Float[Tensor, "batch n"]) -> Int[Tensor, "batch n"]:
    """Return the order in which the values of each row rise; equal values keep their order."""
    if torch.compiler.is_compiling():  # ONNX has no stable sort, but its topk is stable
        return values.topk(values.shape[1], dim=1, largest=False).indices
    return values.sort(dim=1, stable=True).indices


def _nearest_blocks(num_pix: int, device: torch.device) -> Int[Tensor, " pixels"]:
    """Return the number of the block nearest to each inner pixel along an axis."""
    blocks = torch.arange(math.ceil(num_pix / _BLOCK), dtype=torch.float32, device=device)
    nearest = nn.functional.interpolate(blocks[None, None], size=num_pix)[0, 0].long()
    return nearest[_NOISE_LAG:-_NOISE_LAG]


def _second_difference(image: Tensor, lag: int, where: Tensor) -> Tensor:
    """Return median |a - 2b + c| of pixels `lag` apart in y and x, at flat positions `where`."""
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
    """Return the lower median of each row."""
    middle = (values.shape[1] - 1) // 2
    if torch.compiler.is_compiling():  # or exported: no numpy there
        return values.topk(middle + 1, dim=1, largest=False).values[:, middle]
    if values.device.type != "cpu":
        return values.median(dim=1).values
    # A tenth of the time that torch takes on a CPU for the same numbers.
    return torch.from_numpy(np.partition(values.numpy(force=True), middle, axis=1)[:, middle])
