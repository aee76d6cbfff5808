"""What besides dark matter may explain what a fit leaves: structure of the source, a wrong PSF.

Each is a set of templates that the image may hold more or less of. How far chi^2 falls when they
are fitted together with all smooth parameters, to first order, tells how well they explain the
residual; `lenspinn.lensing.scan` says the same of a point mass.
"""

from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from lenspinn.lensing.fit import SmoothFit
from lenspinn.lensing.scan import scan_point_masses
from lenspinn.lensing.smooth import Optics, smooth_image
from lenspinn.lensing.structure import lensed_shapelets, shapelets_on

__all__ = [
    "Alternatives",
    "explain_otherwise",
    "explained_chi2",
    "psf_template",
    "source_templates",
]

Maps = Float[Tensor, "batch y x"]
Templates = Float[Tensor, "batch templates y x"]
PerImage = Float[Tensor, " batch"]

LEAST_EXCESS = 3.0
"""Standard deviations of chi^2."""
_RIDGE = 1e-6
"""Of the normal matrix of templates of unit length, which may be nearly alike."""


class Alternatives(NamedTuple):
    """Shares of what chi^2 has in excess of its degrees of freedom."""

    source: PerImage
    """Explained by structure of the source, less what a point mass explains: towards 1 for a smooth
    lens and a lumpy source, mostly negative where there are subhalos."""
    psf: PerImage
    """Explained by a broader or narrower PSF."""


def explain_otherwise(fit: SmoothFit, optics: Optics) -> Alternatives:
    """Try structure of the source, and another width of the PSF, on what a fit left.

    Parameters
    ----------
    fit
        With its residual and derivatives, (batch, y, x) and (batch, 14, y, x).
    optics
        Those it was made with.

    Notes
    -----
    Of each alternative what noise alone explains on average, one a template, is taken off. The
    excess is made larger by `LEAST_EXCESS`: where there is none, shares of it would be noise.
    """
    shapelets = source_templates(fit, optics)
    by_source = explained_chi2(fit, shapelets) - shapelets.shape[1]
    by_psf = explained_chi2(fit, psf_template(fit, optics)) - 1
    by_mass = scan_point_masses(fit, optics.pixel_scale).significance.amax(dim=(1, 2)).square()
    excess = (fit.chi2 - fit.freedom).clamp(min=0) + LEAST_EXCESS * (2 * fit.freedom) ** 0.5
    return Alternatives((by_source - by_mass) / excess, by_psf / excess)


def explained_chi2(fit: SmoothFit, templates: Templates) -> PerImage:
    """Return by how much chi^2 falls when templates join the smooth parameters, to first order.

    Parameters
    ----------
    fit
        With its residual and derivatives.
    templates : (batch, templates, y, x)
        In units of the noise.

    Notes
    -----
    The score test of Rao (1948), Mathematical Proceedings of the Cambridge Philosophical Society
    44, 50: where a smooth lens is the truth, chi^2-distributed with as many degrees of freedom as
    there are independent templates.
    """
    together = torch.cat([fit.derivatives, templates], dim=1)
    return _fall(together, fit.residual) - _fall(fit.derivatives, fit.residual)


def source_templates(fit: SmoothFit, optics: Optics) -> Templates:
    """Lensed images of shapelets on the fitted source, (batch, 45, y, x).

    In units of the noise; their lengths mean nothing.
    """
    lensed = lensed_shapelets(fit.parameters, shapelets_on(fit.parameters), optics)
    return lensed / fit.sigma[:, None]


def psf_template(fit: SmoothFit, optics: Optics) -> Templates:
    """Return the change of the fitted image as its PSF broadens, (batch, 1, y, x).

    In units of the noise; its length means nothing. A little more blur, of whatever shape if it is
    the same in all directions, adds the Laplacian of the image.
    """
    image = smooth_image(fit.parameters, optics)[:, None]
    padded = functional.pad(image, (1, 1, 1, 1), mode="replicate")
    stencil = image.new_tensor([[0.0, 1.0, 0.0], [1.0, -4.0, 1.0], [0.0, 1.0, 0.0]])
    return functional.conv2d(padded, stencil[None, None]) / fit.sigma[:, None]


def _fall(templates: Templates, residual: Maps) -> PerImage:
    flat = functional.normalize(templates.flatten(2), dim=2)
    normal = (flat @ flat.mT).double()
    normal = normal + _RIDGE * torch.eye(normal.shape[1]).to(normal)
    slopes = (flat @ residual.flatten(1)[..., None]).double()
    solution = torch.cholesky_solve(slopes, torch.linalg.cholesky_ex(normal).L)
    return (slopes * solution).sum(dim=(1, 2)).to(residual.dtype)
