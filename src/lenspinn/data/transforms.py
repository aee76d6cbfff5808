"""Preprocessing of pixels for networks, the same for simulated and real images.

Everything here is a pure function of tensors. Images are batched as ``(batch, 1, y, x)`` and each
is treated on its own: the result for one image never depends on its batch.
"""

import itertools
from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor

from lenspinn.data.background import SMALLEST_IMAGE, background_sigma
from lenspinn.errors import ImageError

Images = Float[Tensor, "batch 1 y x"]

NOISE_FLOOR_SIGMAS = 3.0
"""Least pixel value in `noise_safe_preprocess`, background sigmas: fainter pixels say nothing about
the lens, and the logarithm would turn their noise into edges."""

TINY_FRACTION = 1e-20
"""Least pixel value of `noise_safe_preprocess`, in units of the largest absolute value. Smaller
than any pixel of a noise-free DeepLense image (7e-14), so that those pass unchanged."""

NOISELESS = 1e-6
"""Noise of noise-free images in `pixel_statistics`, relative to the brightest pixel."""

HIGHEST_DIFFERENCE = 5
"""Highest order of the differences in `pixel_statistics`. High orders tell a blurred image from a
sharp one of a smoother source: an HST PSF twice as wide is seen in half the images at order 3."""

LEAST_RATIO = 1e-12
"""Least ratio in `pixel_statistics`; smaller ratios are rounding errors."""

MOST_MISSING = 0.5
"""Largest share of NaN or infinite pixels in the middle half of an image, along x and y."""
LEAST_SHARE = 1e-3
"""Share of missing pixels in a resampled one above which the resampled pixel is missing too."""


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
        Images in any unit: only ratios to the brightest pixel enter.

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
    # Squares of logarithms reach 900, and float32 would leave their differences three digits.
    contrast = torch.log((peak / image).double()) ** 2
    return torch.tanh(_slope(_slope(contrast, -2), -1)).abs().to(image.dtype)


def _slope(values: Tensor, axis: int) -> Tensor:
    """Return the derivative per pixel as of `numpy.gradient`, one-sided at both ends of an axis.

    Written as differences, which ONNX has, where it has no `torch.gradient`.
    """
    length = values.shape[axis]
    inner = (values.narrow(axis, 2, length - 2) - values.narrow(axis, 0, length - 2)) / 2
    first = values.narrow(axis, 1, 1) - values.narrow(axis, 0, 1)
    last = values.narrow(axis, length - 1, 1) - values.narrow(axis, length - 2, 1)
    return torch.cat([first, inner, last], dim=axis)


def noise_safe_preprocess(image: Images) -> Images:
    """`deeplense_preprocess` for any image: pixels below the noise count as equally dark.

    Pixels are raised to at least `NOISE_FLOOR_SIGMAS` background sigmas (and `TINY_FRACTION` of
    the largest absolute value) first. A noise-free positive image has sigma 0 and gives what the
    paper's formula gives, up to float32 rounding. Any finite image gives a finite result.

    Parameters
    ----------
    image : (batch, 1, y, x)
        Images in any unit, background subtracted.

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


def pixel_statistics(image: Images) -> Float[Tensor, "batch 7"]:
    """Measure noise, brightness and sharpness of images, independent of their content.

    Parameters
    ----------
    image : (batch, 1, y, x)
        Images, background subtracted.

    Returns
    -------
    (batch, 7)
        Logarithms: of the background noise (1 sigma of a pixel; at least `NOISELESS` of the
        brightest), of the brightest pixel, both in the unit of the image, and of
        `HIGHEST_DIFFERENCE` ratios that no unit changes: the summed squares of the differences of
        order n of neighbouring pixels over those of order n - 1; order 0 is the pixels themselves.
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
        Standard deviations; ``inf`` leaves a pixel out, and each new pixel that it contributes to.
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
    """Return weights of old pixels in new ones along y and x; refuse an image that is too small."""
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
    """Return the share of each old pixel in each new one, (new, old); rows add up to 1."""
    start = (torch.arange(num_new, dtype=torch.float64) - num_new / 2)[:, None] * ratio
    old = (torch.arange(num_old, dtype=torch.float64) - num_old / 2)[None, :]
    overlap = (torch.minimum(start + ratio, old + 1) - torch.maximum(start, old)).clamp_min(0)
    return overlap / overlap.sum(dim=1, keepdim=True)


def _cubic_weights(num_old: int, num_new: int, ratio: float) -> Tensor:
    """Return weights of cubic convolution of old pixels at new centres, (new, old), on an axis."""
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
    """Refuse an image that cannot be classified.

    Parameters
    ----------
    image : (y, x) or (batch, 1, y, x)
    name : str
        Name of the image in errors, e.g. the file.
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
