"""A lens solved without dark clumps, and every pixel tested for one.

Slope, shear and multipoles of orders 1, 3 and 4 of the lens, structure of the source and the light
of the lens are free beside the clump, which is a point mass here.
"""

from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from lenspinn.detect.observed_lens import ObservedLens
from lenspinn.fitting.scan import PointMassScan, score_point_masses
from lenspinn.fitting.smooth import SmoothParameters, by_name, smooth_image
from lenspinn.fitting.solver import block_diagonal, fit_smooth_lens
from lenspinn.fitting.structure import SCALE, StructuredFit, fit_structure, structure_image
from lenspinn.lensing.grid import pixel_grid

__all__ = ["DarkSolution", "deflection_lopsided", "solve"]

Maps = Float[Tensor, "batch y x"]

STEPS = 6
"""Number of steps of the Sersic fit, which begins at the measured parameters."""
LOPSIDED = 0.01
"""Prior width of the multipole of order 1, in units of theta_E, the same as of orders 3 and 4."""


class DarkSolution(NamedTuple):
    """Images of one lens, each solved without clumps."""

    found: StructuredFit
    scan: PointMassScan

    @property
    def residual(self) -> Maps:
        """Image minus model in units of `ObservedLens.sigma`, 0 where a pixel was left out."""
        return self.found.smooth.residual

    @property
    def parameters(self) -> SmoothParameters:
        """Parameters of lens and Sersic source, with the shape of the lens if it was free."""
        return self.found.smooth.parameters

    def one(self, at: int) -> "DarkSolution":
        """Return one image of a batch: its residual, parameters and scan, without the rest."""
        part = slice(at, at + 1)
        smooth = self.found.smooth
        smooth = smooth._replace(residual=smooth.residual[part], parameters=smooth.parameters[part])
        scan = PointMassScan(*(each[part] for each in self.scan))
        return DarkSolution(self.found._replace(smooth=smooth), scan)

    def model(self, lens: ObservedLens) -> Maps:
        """Return the images of the source and its structure, without lens light."""
        smooth = smooth_image(self.parameters, lens.optics)
        return smooth + structure_image(self.found, self.parameters, lens.optics)


def solve(
    lens: ObservedLens,
    images: Maps | None = None,
    *,
    lens_shape: bool = True,
    scale: float = SCALE,
) -> DarkSolution:
    """Solve images of a lens, all at once, and test every pixel for a point mass.

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
    with torch.no_grad():
        parts = [_scan(found, at, lens.pixel_scale, lens_shape) for at in range(count)]
    return DarkSolution(found, PointMassScan(*map(torch.cat, zip(*parts, strict=True))))


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


def _scan(found: StructuredFit, at: int, pixel_scale: float, lens_shape: bool) -> PointMassScan:
    """Test the pixels of one image; its derivatives need much memory, so images are not batched."""
    smooth = found.smooth
    derivatives, covariance = (each[at : at + 1] for each in found.free)
    by_source = smooth.by_source[at : at + 1]
    if lens_shape:
        derivatives, covariance = _with_lopsided(
            derivatives, covariance, by_source, smooth.parameters[at : at + 1], pixel_scale
        )
    return score_point_masses(
        smooth.residual[at : at + 1], by_source, derivatives, covariance, pixel_scale=pixel_scale
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
