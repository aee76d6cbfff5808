"""A search for one more point mass: how well one at each place explains the residual of a fit.

A point mass of Einstein radius ``t`` at ``p`` moves the rays by ``t^2 k(theta - p)``, ``k(d) = d /
|d|^2``, and so the image by ``t^2 T_p``, where ``T_p = D_x k_x + D_y k_y`` and ``D`` is the
derivative of the image by the position of the source. The template ``T_p`` is a product of maps
with a kernel, so inner products with the templates of all places are correlations, computed
together by Fourier transform.
"""

from typing import NamedTuple

import torch
from jaxtyping import Float
from scipy.fft import next_fast_len
from torch import Tensor
from torch.nn.functional import interpolate

from lenspinn.fitting.solver import SmoothFit
from lenspinn.lensing.grid import block_mean

__all__ = ["PointMassScan", "scan_point_masses", "score_point_masses", "suitable_block"]

Maps = Float[Tensor, "batch y x"]

_BLOCK = 2
"""Side, in pixels, of the blocks for which `scan_point_masses` computes how much of a template the
smooth parameters imitate, at an eighth of the cost of all pixels; 1 is used where an image has an
odd number of pixels."""
_LEAST_LEFT = 1e-3
"""Least share of the square of a template that smooth parameters cannot imitate: a smaller share is
not accurate in float32, nor interpolated between blocks."""
_TINY = torch.finfo(torch.float32).tiny


class PointMassScan(NamedTuple):
    """The best point mass at each pixel, to first order in its squared Einstein radius."""

    significance: Maps
    """Significance of the mass, standard deviations: for a smooth lens a standard normal number in
    each pixel, positive where a positive mass improves the fit. Its square is the fall of chi^2."""
    strength_error: Maps
    """Standard error of the squared Einstein radius, arcsec^2."""

    @property
    def strength(self) -> Maps:
        """Best squared Einstein radius, arcsec^2."""
        return self.significance * self.strength_error


def scan_point_masses(fit: SmoothFit, pixel_scale: float) -> PointMassScan:
    """Test for a point mass at the centre of each pixel, every smooth parameter being free again.

    Parameters
    ----------
    fit
        Fit with its residual, (batch, y, x), and derivatives, (batch, parameters, y, x).
    pixel_scale : side of a pixel, arcsec.

    Returns
    -------
    PointMassScan
        Maps of the image's size.

    Notes
    -----
    The significance is a lower bound for a mass whose deflection is larger than the scale over
    which the image is smooth. The share of a template that the smooth parameters imitate is
    interpolated between blocks of pixels.
    """
    return score_point_masses(
        fit.residual,
        fit.by_source,
        *fit.free,
        pixel_scale=pixel_scale,
        block=suitable_block(fit.residual),
    )


def suitable_block(image: Maps) -> int:
    """Return the `block` of `score_point_masses` that is fast enough for a network."""
    rows, columns = image.shape[1:]
    return _BLOCK if rows % _BLOCK == columns % _BLOCK == 0 else 1


def score_point_masses(
    residual: Maps,
    by_source: Float[Tensor, "batch 2 y x"],
    derivatives: Float[Tensor, "batch parameters y x"],
    covariance: Float[Tensor, "batch parameters parameters"],
    *,
    pixel_scale: float,
    block: int = 1,
) -> PointMassScan:
    """Test for a point mass at the centre of each pixel, beside parameters of any model.

    Parameters
    ----------
    residual : (batch, y, x)
        Image minus model; residual and derivatives are in units of the noise.
    by_source : (batch, 2, y, x)
        Derivatives of the model by the x and y of its source.
    derivatives : (batch, parameters, y, x)
        Derivatives of the model by all parameters that are free beside the point mass.
    covariance : (batch, parameters, parameters)
        Covariance of these parameters: the inverse of the inner products of their derivatives.
    pixel_scale : side of a pixel, arcsec.
    block
        Side, in pixels, of the blocks between which the share of a template that the other
        parameters imitate is interpolated; 1 interpolates nothing. It divides the sides of the
        image.

    Returns
    -------
    PointMassScan
        Maps of the image's size.

    Notes
    -----
    The score test of Rao (1948), Mathematical Proceedings of the Cambridge Philosophical Society
    44, 50, for one parameter beside others that are fitted. Deflection and PSF are interchanged:
    ``T_p`` is made of the blurred ``D``, which is right from about the width of the PSF outwards.
    Where the other parameters are degenerate, and so have no covariance, nothing is tested: the
    significance is 0 and the error infinite.
    """
    along_x, along_y = by_source.unbind(dim=1)
    squares = torch.stack([along_x**2, along_y**2, 2 * along_x * along_y], dim=1)
    products = torch.stack([residual * along_x, residual * along_y], dim=1)
    gain, power = _inner_products(products, squares).unbind(dim=1)
    slopes = (derivatives.flatten(2) @ residual.flatten(1)[..., None]).double()
    share, imitated_gain = _imitated(by_source, derivatives, covariance, slopes, squares, block)
    left = (power * (1 - share).clamp(min=_LEAST_LEFT)).clamp(min=_TINY)
    return PointMassScan(
        ((gain - imitated_gain) * left.rsqrt()).nan_to_num(nan=0.0),
        (pixel_scale * left.rsqrt()).nan_to_num(nan=torch.inf),
    )


def _imitated(
    by_source: Float[Tensor, "batch 2 y x"],
    derivatives: Float[Tensor, "batch parameters y x"],
    covariance: Float[Tensor, "batch parameters parameters"],
    slopes: Float[Tensor, "batch parameters 1"],
    squares: Float[Tensor, "batch 3 y x"],
    block: int,
) -> tuple[Maps, Maps]:
    """Project templates on the derivatives; `slopes` are inner products of these with the residual.

    Returns
    -------
    share
        Share of the square of each template that the derivatives imitate.
    gain
        Inner product of the imitated part of each template with the residual: 0 where a fit has
        converged.
    """
    products = torch.cat([derivatives * along[:, None] for along in by_source.unbind(dim=1)], 1)
    inner = _inner_products(*(block_mean(maps, block) * block**2 for maps in (products, squares)))
    overlap, power = inner[:, :-1].flatten(2).double(), inner[:, -1].double()
    by_parameter = covariance.double() @ overlap
    share = (overlap * by_parameter).sum(dim=1).view_as(power) / power.clamp(min=_TINY)
    # A kernel on blocks is in units of their side.
    gain = (by_parameter * slopes).sum(dim=1).view_as(power) / block
    both = torch.stack([share, gain], dim=1).to(squares.dtype)
    share, gain = interpolate(both, scale_factor=block, mode="bilinear").unbind(dim=1)
    return share, gain


def _inner_products(
    products: Float[Tensor, "batch twice y x"], squares: Float[Tensor, "batch 3 y x"]
) -> Float[Tensor, "batch some y x"]:
    """Return inner products of each template with maps, and, last, with itself.

    `products` are the maps times D_x, then times D_y; `squares` D_x^2, D_y^2 and 2 D_x D_y.
    """
    rows, columns = products.shape[-2:]
    # Padded, or one border would see the other; lengths with large prime factors take far longer.
    padded = (next_fast_len(2 * rows, real=True), next_fast_len(2 * columns, real=True))
    kernel_x, kernel_y = _kernels(padded, products)
    pairs = torch.stack([kernel_x**2, kernel_y**2, kernel_x * kernel_y])
    by_x, by_y, by_pair = (torch.fft.rfft2(kernel).conj() for kernel in (kernel_x, kernel_y, pairs))
    of_x, of_y = torch.fft.rfft2(products, s=padded).chunk(2, dim=1)
    of_squares = torch.fft.rfft2(squares, s=padded)
    spectra = [of_x * by_x + of_y * by_y, (of_squares * by_pair).sum(dim=1, keepdim=True)]
    return torch.fft.irfft2(torch.cat(spectra, dim=1), s=padded)[..., :rows, :columns]


def _kernels(size: tuple[int, int], like: Tensor) -> tuple[Tensor, Tensor]:
    """Return the deflection of a unit point mass at the origin of a periodic grid; 0 at (0, 0)."""
    rows, columns = size
    y = torch.fft.fftfreq(rows, 1 / rows).to(like)[:, None]
    x = torch.fft.fftfreq(columns, 1 / columns).to(like)
    inverse = (x**2 + y**2).reciprocal()
    inverse[0, 0] = 0.0
    return x * inverse, y * inverse
