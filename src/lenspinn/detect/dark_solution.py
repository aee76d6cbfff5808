"""A lens solved without dark clumps, to which a search compares them.

Slope, shear and multipoles of orders 1, 3 and 4 of the lens, structure of the source and the light
of the lens are free.
"""

from dataclasses import dataclass
from functools import cached_property

import torch
from jaxtyping import Float
from torch import Tensor

from lenspinn.detect.observed_lens import ObservedLens
from lenspinn.fitting.scan import PointMassScan, score_point_masses
from lenspinn.fitting.smooth import SmoothParameters, by_name, smooth_image, source_brightness
from lenspinn.fitting.solver import block_diagonal, fit_smooth_lens
from lenspinn.fitting.structure import (
    SCALE,
    StructuredFit,
    fit_structure,
    shapelet_brightness,
    structure_image,
)
from lenspinn.lensing.grid import pixel_grid

__all__ = ["DarkSolution", "deflection_lopsided", "solve"]

Maps = Float[Tensor, "batch y x"]

STEPS = 6
"""Number of steps of the Sersic fit, which begins at the measured parameters."""
_END = 9.0
"""Radius, in scales of the shapelets, beyond which those of order 12 are below 1e-9 of their
peak."""
LOPSIDED = 0.01
"""Prior width of the multipole of order 1, in units of theta_E, the same as of orders 3 and 4."""


@dataclass(frozen=True, kw_only=True, eq=False)
class DarkSolution:
    """Images of one lens, each solved without clumps."""

    found: StructuredFit
    pixel_scale: float
    """Side of a pixel, arcsec."""
    lens_shape: bool
    """Whether slope and multipoles of the lens were free."""

    @property
    def residual(self) -> Maps:
        """Image minus model in units of `ObservedLens.sigma`, 0 where a pixel was left out."""
        return self.found.smooth.residual

    @property
    def parameters(self) -> SmoothParameters:
        """Parameters of lens and Sersic source, with the shape of the lens if it was free."""
        return self.found.smooth.parameters

    @cached_property
    def scan(self) -> PointMassScan:
        """Test of each pixel of the first image for a point mass, to first order in its mass."""
        smooth = self.found.smooth
        derivatives, covariance = self.free(0)
        with torch.no_grad():
            return score_point_masses(
                smooth.residual[:1],
                smooth.by_source[:1],
                derivatives,
                covariance,
                pixel_scale=self.pixel_scale,
            )

    def free(self, at: int) -> tuple[Float[Tensor, "1 free y x"], Float[Tensor, "1 free free"]]:
        """Return derivatives of one image by all that is free, and the covariance of that.

        Multipoles of order 1 are free too if the shape of the lens is. Derivatives are in units of
        the noise.
        """
        smooth = self.found.smooth
        derivatives, covariance = (each[at : at + 1] for each in self.found.free)
        if not self.lens_shape:
            return derivatives, covariance
        part = slice(at, at + 1)
        return _with_lopsided(
            derivatives,
            covariance,
            smooth.by_source[part],
            smooth.parameters[part],
            self.pixel_scale,
        )

    def model(self, lens: ObservedLens) -> Maps:
        """Return the images of the source and its structure, without lens light."""
        smooth = smooth_image(self.parameters, lens.optics)
        return smooth + structure_image(self.found, self.parameters, lens.optics)

    def brightness(self, beta_x: Tensor, beta_y: Tensor) -> Tensor:
        """Return the surface brightness of the first image's source with its shapelets.

        Parameters
        ----------
        beta_x, beta_y
            Positions in the source plane, arcsec, (1, y, x).
        """
        seen = source_brightness(by_name(self.parameters), beta_x, beta_y)
        center_x, center_y, scale = self.found.shapelets
        near = torch.hypot(beta_x - center_x, beta_y - center_y) < _END * scale
        at_x, at_y = (beta[near][None, None] for beta in (beta_x, beta_y))
        seen[near] += shapelet_brightness(self.found, at_x, at_y)[0, 0]
        return seen


def solve(
    lens: ObservedLens,
    images: Maps | None = None,
    *,
    lens_shape: bool = True,
    scale: float = SCALE,
) -> DarkSolution:
    """Solve images of a lens without clumps, all at once.

    Parameters
    ----------
    lens
        Observed lens: noise, PSF, lens light, and the parameters at which the fit begins.
    images : (batch, y, x)
        Images of the same lens, such as mocks; by default the image of `lens`.
    lens_shape
        Whether slope and multipoles of the lens are free.
    scale
        Scale of the shapelets, in half-light radii of the source.
    """
    images = lens.image if images is None else images
    count = len(images)
    fit = fit_smooth_lens(
        lens.start.expand(count, -1),
        images,
        lens.sigma.expand(count, -1, -1),
        lens.optics,
        steps=STEPS,
        beside=lens.lens_light.expand(count, -1, -1, -1),
    )
    found = fit_structure(fit, images, lens.optics, lens_shape=lens_shape, scale=scale)
    return DarkSolution(found=found, pixel_scale=lens.pixel_scale, lens_shape=lens_shape)


def deflection_lopsided(x: Tensor, y: Tensor) -> tuple[tuple[Tensor, Tensor], ...]:
    """Deflections of both multipoles of order 1, of a strength of 1 arcsec, arcsec.

    Parameters
    ----------
    x, y
        Position relative to the centre of the lens, arcsec.

    Returns
    -------
    (alpha_x, alpha_y) of the cosine multipole, then of the sine multipole

    Notes
    -----
    The convergence is ``cos(phi) / (2 theta)``, as for other orders, and the potential
    ``theta ln(theta) cos(phi) / 2``. A constant deflection, which only moves the source, is
    arbitrary.
    """
    squared = (x.square() + y.square()).clamp(min=1e-12)
    logarithm = squared.log() / 2
    mixed = x * y / squared
    return (
        ((logarithm + x.square() / squared) / 2, mixed / 2),
        (mixed / 2, (logarithm + y.square() / squared) / 2),
    )


def _with_lopsided(
    derivatives: Float[Tensor, "1 free y x"],
    covariance: Float[Tensor, "1 free free"],
    by_source: Float[Tensor, "1 2 y x"],
    parameters: SmoothParameters,
    pixel_scale: float,
) -> tuple[Tensor, Tensor]:
    """Add the multipole of order 1 to the free parameters, to first order.

    The part of its derivatives that the other parameters imitate is projected out first, so that
    the covariance stays block-diagonal.
    """
    p = by_name(parameters)
    x, y = pixel_grid(by_source.shape[-1], pixel_scale, device=by_source.device)
    bends = deflection_lopsided(x - p["center_x"], y - p["center_y"])
    templates = torch.stack([(by_source * torch.stack(bend, 1)).sum(dim=1) for bend in bends], 1)
    templates = templates * p["theta_E"][:, None]
    rows = derivatives.flatten(2)
    overlap = (rows @ templates.flatten(2).mT).double()
    share = covariance.double() @ overlap
    normal = (templates.flatten(2) @ templates.flatten(2).mT).double() - overlap.mT @ share
    normal = normal + torch.eye(2).to(normal) / LOPSIDED**2
    apart = templates - (share.to(rows.dtype).mT @ rows).view_as(templates)
    return (
        torch.cat([derivatives, apart], dim=1),
        block_diagonal(covariance, torch.linalg.inv(normal).to(covariance.dtype)),
    )
