"""Losses of the Einstein radius of an encoder: against the truth, or from the image alone."""

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from lenspinn.lensing.raytrace import SourceImage, relens
from lenspinn.models.inverse_lens import Rays

__all__ = ["radius_error", "self_consistency"]

RADIUS_WIDTH = 0.05
"""Relative error of an Einstein radius above which its loss grows linearly, below quadratically."""
SMALLEST_SHARE = 0.03
"""Unexplained share of an image that noise and the blur of the reconstruction leave for the true
lens: it is added to the share, so that a lens gains nothing by explaining the noise."""
TINY = 1e-30
"""Smallest divisor: keeps an image without contrast from a division by 0."""

PerImage = Float[Tensor, " batch"]
Maps = Float[Tensor, "batch y x"]


def radius_error(theta_E: PerImage, truth: PerImage) -> Tensor:
    """Huber loss of relative errors in units of `RADIUS_WIDTH`, mean over images of known truth.

    Parameters
    ----------
    theta_E : (batch,), arcsec
    truth : (batch,), arcsec
        True Einstein radius; NaN where unknown.
    """
    known = torch.where(truth.isnan(), theta_E.detach(), truth)
    error = (theta_E / known - 1) / RADIUS_WIDTH
    loss = functional.huber_loss(error, torch.zeros_like(error), reduction="sum")
    return loss / (~truth.isnan()).sum().clamp(min=1)


def self_consistency(image: Maps, rays: Rays, source: SourceImage, pixel_scale: float) -> PerImage:
    """Score lenses by the images alone: low where a small source explains all of the image.

    Parameters
    ----------
    image : (batch, y, x)
        Image in any linear unit.
    rays
        Deflections and source-plane positions for the lenses.
    source
        Sources that follow from images and lenses, by `lenspinn.lensing.delens`.
    pixel_scale
        Pixel scale of image and source, arcsec per pixel.

    Returns
    -------
    (batch,)
        ``log(unexplained share of the image) + log(area of its source / arcsec^2)``.

    Notes
    -----
    Neither term suffices alone. The unexplained share, from ``relens(source) - image``, is 0 for a
    lens
    without mass, whose source is the image itself. The area, the variance of ``beta`` over pixels
    weighted by their squared brightness, is least where the arcs map onto one spot; but for an
    extended source this radius is 4 % too large, in the median: the outer half of a ring has more
    pixels than the inner one. The minimum of their product is within 0.9 % of the true radius for
    noise-free Model III images of varied mass, and within 3 % for ``survey/hst``, in the median.
    """
    again = relens(source.source, rays.beta_x, rays.beta_y, pixel_scale=pixel_scale)
    contrast = (image - image.mean(dim=(1, 2), keepdim=True)).square().sum(dim=(1, 2))
    share = (again - image).square().sum(dim=(1, 2)) / contrast.clamp(min=TINY)
    sky = image.flatten(1).median(dim=1).values[:, None, None]
    weight = (image - sky).clamp(min=0).square()
    weight = weight / weight.sum(dim=(1, 2), keepdim=True).clamp(min=TINY)
    area = torch.zeros_like(share)
    for beta in (rays.beta_x, rays.beta_y):
        middle = (weight * beta).sum(dim=(1, 2), keepdim=True)
        area = area + (weight * (beta - middle).square()).sum(dim=(1, 2))
    return torch.log(share + SMALLEST_SHARE) + torch.log(area + pixel_scale**2)
