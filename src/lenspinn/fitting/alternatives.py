"""Explanations of a residual other than dark matter: structure of the source, or a wrong PSF.

Both are templates of free amplitude, fitted to the residual together with all parameters that were
fitted before, to first order. The fall of chi^2 tells how well structure of the source explains the
residual, as `lenspinn.fitting.scan` tells it of a point mass; the amplitude of the template of the
PSF tells by how much the PSF is wrong.
"""

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from lenspinn.fitting.scan import PointMassScan
from lenspinn.fitting.smooth import Optics
from lenspinn.fitting.solver import SmoothFit
from lenspinn.fitting.structure import lensed_shapelets, shapelets_on

__all__ = ["explained_chi2", "psf_broadening", "source_templates", "structure_share"]

Maps = Float[Tensor, "batch y x"]
Templates = Float[Tensor, "batch templates y x"]
PerImage = Float[Tensor, " batch"]

LEAST_EXCESS = 3.0
"""Standard deviations of chi^2 by which its excess is made larger; see `structure_share`."""
TYPICAL_BROADENING = 1.0
"""Typical difference between the variances of two PSFs of an image, square pixels, where the image
is neither coarsely nor very finely sampled."""
HUBER = 3.0
"""Largest residual that counts in full for the PSF, standard deviations of the noise."""
_RIDGE = 1e-6
"""Ridge of the normal matrix of templates of unit length, which may be nearly equal."""


def structure_share(fit: SmoothFit, scan: PointMassScan, optics: Optics) -> PerImage:
    """Return the share of the excess of chi^2 that structure of the source explains.

    The excess is that of chi^2 over its degrees of freedom. The share is the fall of chi^2 by
    shapelets on the source, less that by the best point mass, over the excess: near 1 for a smooth
    lens and a lumpy source, mostly negative where there are subhalos.

    Parameters
    ----------
    fit
        Fit with its residual, (batch, y, x), and derivatives, (batch, parameters, y, x).
    scan
        Scan of the residual of this fit for point masses.
    optics
        Optics that the fit was made with.

    Notes
    -----
    Noise alone lowers chi^2 by 1 a template on average, which is subtracted. The excess is made
    larger by `LEAST_EXCESS`: where there is none, shares of it would be noise.
    """
    shapelets = source_templates(fit, optics)
    by_source = explained_chi2(fit, shapelets) - shapelets.shape[1]
    by_mass = scan.significance.amax(dim=(1, 2)).square()
    excess = (fit.chi2 - fit.freedom).clamp(min=0) + LEAST_EXCESS * (2 * fit.freedom) ** 0.5
    return (by_source - by_mass) / excess


def psf_broadening(residual: Maps, free: Templates, model: Maps, sigma: Maps) -> PerImage:
    """Return how much broader the PSF of images seems than that of their models.

    Parameters
    ----------
    residual : (batch, y, x)
        Image minus model, in units of the noise.
    free : (batch, templates, y, x)
        Derivatives of the model by all fitted parameters, in units of the noise; the parameters are
        free again here.
    model : (batch, y, x)
        Fitted images.
    sigma : (batch, y, x)
        Noise of each pixel, in the unit of the model; ``inf`` leaves a pixel out.

    Returns
    -------
    (batch,)
        Variance of the blur that is missing, square pixels; negative for a narrower PSF.

    Notes
    -----
    A little more blur of variance v, of any shape that is the same in all directions, adds v / 2
    times the Laplacian of the image. The returned v is its best value, to first order, with a prior
    of mean 0 and width `TYPICAL_BROADENING` that only matters where an image tells next to nothing
    about its PSF. A wrong PSF shows everywhere and a clump in few pixels: pixels with a residual of
    more than `HUBER` standard deviations count for less (one step of the M-estimator of Huber 1964,
    Annals of Mathematical Statistics 35, 73).
    """
    weight = (HUBER / residual.abs().clamp(min=HUBER)).sqrt()
    residual, free, sigma = residual * weight, free * weight[:, None], sigma / weight
    padded = functional.pad(model[:, None], (1, 1, 1, 1), mode="replicate")
    stencil = model.new_tensor([[0.0, 1.0, 0.0], [1.0, -4.0, 1.0], [0.0, 1.0, 0.0]])
    template = functional.conv2d(padded, stencil[None, None]) / (2 * sigma[:, None])
    flat, own = functional.normalize(free.flatten(2), dim=2), template.flatten(2)
    share = _solution(flat, flat @ own.mT).to(own.dtype)
    apart = (own - share.mT @ flat)[:, 0]
    power = apart.square().sum(dim=1) + TYPICAL_BROADENING**-2
    return (apart * residual.flatten(1)).sum(dim=1) / power


def explained_chi2(fit: SmoothFit, templates: Templates) -> PerImage:
    """Return the fall of chi^2 when templates join the smooth parameters, to first order.

    Parameters
    ----------
    fit
        Fit with its residual and derivatives.
    templates : (batch, templates, y, x)
        Templates in units of the noise.

    Notes
    -----
    The score test of Rao (1948), Mathematical Proceedings of the Cambridge Philosophical Society
    44, 50: where a smooth lens is the truth, chi^2-distributed with as many degrees of freedom as
    there are independent templates.
    """
    before, _ = fit.free
    together = torch.cat([before, templates], dim=1)
    return _fall(together, fit.residual) - _fall(before, fit.residual)


def source_templates(fit: SmoothFit, optics: Optics) -> Templates:
    """Return lensed images of shapelets on the fitted source, (batch, 91, y, x).

    The images are in units of the noise; their normalisation is arbitrary.
    """
    lensed = lensed_shapelets(fit.parameters, shapelets_on(fit.parameters), optics)
    return lensed / fit.sigma[:, None]


def _fall(templates: Templates, residual: Maps) -> PerImage:
    flat = functional.normalize(templates.flatten(2), dim=2)
    slopes = flat @ residual.flatten(1)[..., None]
    return (slopes.double() * _solution(flat, slopes)).sum(dim=(1, 2)).to(residual.dtype)


def _solution(
    rows: Float[Tensor, "batch templates pixels"], slopes: Float[Tensor, "batch templates n"]
) -> Float[Tensor, "batch templates n"]:
    """Solve the normal equations of templates of unit length, in float64."""
    normal = (rows @ rows.mT).double()
    normal = normal + _RIDGE * torch.eye(normal.shape[1]).to(normal)
    return torch.cholesky_solve(slopes.double(), torch.linalg.cholesky_ex(normal).L)
