"""The physics layer: a predicted Einstein radius and an image give the source behind the lens."""

from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn

from lenspinn.lensing.grid import Map, pixel_grid
from lenspinn.lensing.profiles import deflection_sis
from lenspinn.lensing.raytrace import SourceImage, delens

Radii = Float[Tensor, " batch"] | Float[Tensor, "batch y x"]


class Rays(NamedTuple):
    """Deflection and source-plane position of each image pixel, arcsec: `beta = theta - alpha`."""

    alpha_x: Map
    alpha_y: Map
    beta_x: Map
    beta_y: Map


class InverseLens(nn.Module):
    """Undo the deflection of a singular isothermal sphere at the centre of the image.

    Parameters
    ----------
    num_pix : pixels a side of image and source.
    pixel_scale : arcsec per pixel of image and source.
    integer_scatter : whether to repeat the rounding of the authors' code, to measure what it costs:
        rays end on the nearest source pixel of the grid, so that theta_E gets no gradient.

    Notes
    -----
    The lens equation of the LensPINN paper (section 4.1): beta = theta - theta_E theta / |theta|.
    Pixels are deposited on the source grid with bilinear weights and averaged where they overlap,
    so the source depends smoothly on theta_E and the loss reaches whatever predicts it. The
    authors' code rounds beta to integer indices instead, which carry no gradient, so that their
    encoder never learns.

    The source keeps the image's grid, whatever the batch, as long as theta_E <= `max_theta_E` = h,
    the position of the outermost pixel centre. Take |theta_x| <= h and r = |theta| > 0. Where
    r >= theta_E, |beta_x| = |theta_x| (1 - theta_E / r) <= |theta_x| <= h. Where r < theta_E,
    |beta_x| = (|theta_x| / r) (theta_E - r) <= theta_E <= h. The same holds for y.
    """

    theta_x: Tensor
    theta_y: Tensor
    unit_x: Tensor
    unit_y: Tensor

    def __init__(self, num_pix: int, pixel_scale: float, *, integer_scatter: bool = False) -> None:
        super().__init__()
        theta_x, theta_y = pixel_grid(num_pix, pixel_scale)
        # The deflection is proportional to theta_E: it is computed once, for theta_E = 1 arcsec.
        unit_x, unit_y = deflection_sis(theta_x, theta_y, torch.ones(1, 1))
        self.register_buffer("theta_x", theta_x, persistent=False)
        self.register_buffer("theta_y", theta_y, persistent=False)
        self.register_buffer("unit_x", unit_x, persistent=False)
        self.register_buffer("unit_y", unit_y, persistent=False)
        self.pixel_scale = pixel_scale
        self.integer_scatter = integer_scatter
        self.max_theta_E = (num_pix - 1) / 2 * pixel_scale

    def rays(self, theta_E: Radii) -> Rays:
        """Trace every pixel of the image to the source plane.

        Parameters
        ----------
        theta_E : (batch,), or (batch, y, x) for one value a pixel, arcsec

        Returns
        -------
        Rays
            Maps (batch, y, x), arcsec.
        """
        if theta_E.ndim == 1:
            theta_E = theta_E[:, None, None]
        alpha_x, alpha_y = theta_E * self.unit_x, theta_E * self.unit_y
        return Rays(alpha_x, alpha_y, self.theta_x - alpha_x, self.theta_y - alpha_y)

    def forward(self, image: Float[Tensor, "batch y x"], theta_E: Radii) -> SourceImage:
        """Source and coverage, (batch, y, x) each, behind lenses of the given Einstein radii."""
        rays = self.rays(theta_E)
        if self.integer_scatter:
            return _scatter(image, rays.beta_x / self.pixel_scale, rays.beta_y / self.pixel_scale)
        # The grid of a compiled graph has one size, whatever the values: see the notes above.
        expand = not torch.compiler.is_compiling()
        return delens(image, rays.beta_x, rays.beta_y, pixel_scale=self.pixel_scale, expand=expand)


def _scatter(image: Tensor, x: Tensor, y: Tensor) -> SourceImage:
    """Average the image pixels nearest to each source pixel; rays from outside end at the border.

    Positions are in pixels from the centre of the grid, on which source and image agree.
    """
    num_pix = image.shape[-1]
    column, row = (
        (position + (num_pix - 1) / 2).round().long().clamp(0, num_pix - 1) for position in (x, y)
    )
    indices = (row * num_pix + column).flatten(1)
    empty = image.new_zeros(image.shape[0], num_pix**2)
    light = empty.scatter_add(1, indices, image.flatten(1)).view_as(image)
    count = empty.scatter_add(1, indices, torch.ones_like(image).flatten(1)).view_as(image)
    return SourceImage(light / count.clamp(min=1), count)
