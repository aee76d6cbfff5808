"""A source that is more than a Sersic profile: shapelets beside it, fitted with the lens.

Clumps, arms and a bulge of a source leave residuals that look like dark matter. But each belongs to
a place of the source, and is seen in every image of that place. A sum of shapelets can be any image
that is smooth at their scale; the lensed image is linear in their coefficients, so each step of the
fit solves for these exactly.
"""

import itertools
from functools import partial
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from lenspinn.fitting.parts import solved_in_parts
from lenspinn.fitting.priors import Priors, with_shape_priors
from lenspinn.fitting.scan import PointMassScan, score_point_masses, suitable_block
from lenspinn.fitting.smooth import (
    Optics,
    SmoothParameters,
    blurred,
    by_name,
    smooth_deflection,
)
from lenspinn.fitting.solver import (
    BY_SOURCE,
    Linearize,
    SmoothFit,
    block_diagonal,
    continue_fit,
    whitened_derivatives,
    with_typical_shape,
)
from lenspinn.fitting.span import Span, apart_from

__all__ = [
    "NUM_SHAPELETS",
    "Shapelets",
    "StructuredFit",
    "fit_structure",
    "lensed_shapelets",
    "scan_beside_structure",
    "shapelet_brightness",
    "shapelets_at",
    "shapelets_on",
    "structure_image",
]

Maps = Float[Tensor, "batch y x"]
PerImage = Float[Tensor, " batch"]
Templates = Float[Tensor, "batch templates y x"]

ORDER = 12
"""Highest order of the shapelets; their finest structure is their scale over sqrt(ORDER + 1/2)."""
NUM_SHAPELETS = (ORDER + 1) * (ORDER + 2) // 2
SCALE = 0.5
"""Scale of the shapelets, in half-light radii of the fitted source."""
_LEAST_RADIUS = 0.05
"""Least half-light radius that the scale is derived from, arcsec; a smaller source is
unresolved."""
AT_ONCE = 4
"""Number of images that are treated together on a CPU: their templates fill its cache."""
_LEAST_SQUARE = 1e-30
"""Least square of the length of a template, in units of the noise; below it a template counts as
0."""
_REACH = 9.0
"""Radius, in scales of the shapelets, beyond which they are set to 0; the highest orders are below
1e-8 there. Numbers that are almost 0 take a CPU a hundred times as long."""
_RIDGE = 1e-5
"""Ridge of the normal matrix of templates of unit length, which may be nearly equal."""
STEPS, SHAPE_STEPS = 2, 4
"""Number of steps with the smooth parameters free, and with the shape of the lens free too."""
_FIRST_DAMPING = 0.01
"""Damping of the first step: small, because the Sersic profile has been fitted already."""


class Shapelets(NamedTuple):
    """Products of Hermite functions in the source plane, one set an image.

    References
    ----------
    Refregier (2003), arXiv:astro-ph/0105178, eq. 1 and 18.
    """

    center_x: Float[Tensor, "batch 1 1"]
    center_y: Float[Tensor, "batch 1 1"]
    scale: Float[Tensor, "batch 1 1"]
    """Scale of the shapelets, arcsec."""


class StructuredFit(NamedTuple):
    """A smooth lens whose source is a Sersic profile and shapelets, fitted to images."""

    smooth: SmoothFit
    """Fit of the smooth parameters beside the shapelets. The residual is that of the whole model;
    derivatives and covariance are those with structure free, so that `standard_errors` allow for
    it. `by_source` is the derivative of the lensed Sersic profile alone: the small structure of
    shapelets is partly noise, and masses that explain noise with noise would be found in every
    image."""
    templates: Templates
    """Lensed shapelets, (batch, 91, y, x), of unit length in units of the noise."""
    covariance: Float[Tensor, "batch 91 91"]
    """Covariance of the amplitudes of `templates`."""
    coefficients: Float[Tensor, "batch 91"]
    """Coefficients of the shapelets, surface brightness (flux per arcsec^2)."""
    shapelets: Shapelets

    @property
    def freedom(self) -> PerImage:
        """Degrees of freedom: pixels that count less the number of all fitted parameters."""
        return self.smooth.freedom - NUM_SHAPELETS

    @property
    def free(self) -> tuple[Templates, Float[Tensor, "batch free free"]]:
        """Derivatives by all that is free, in units of the noise, and the covariance of that."""
        derivatives, smooth = self.smooth.free
        covariance = block_diagonal(smooth, self.covariance)
        return torch.cat([derivatives, self.templates], dim=1), covariance


def shapelets_on(parameters: SmoothParameters, scale: float = SCALE) -> Shapelets:
    """Return shapelets at the position of the source, scaled with its half-light radius.

    Parameters
    ----------
    parameters
        Smooth parameters, those of the source among them.
    scale
        Scale of the shapelets, in half-light radii of the source.
    """
    source = by_name(parameters)
    radius = source["log_R_sersic"].exp().clamp(min=_LEAST_RADIUS)
    return Shapelets(source["source_x"], source["source_y"], scale * radius)


def lensed_shapelets(
    parameters: SmoothParameters, shapelets: Shapelets, optics: Optics
) -> Templates:
    """Return the image of each shapelet behind a lens, (batch, 91, y, x), flux per pixel.

    Shapelets are sorted by their order along x, then along y.
    """
    return solved_in_parts(partial(_lensed, optics=optics), parameters, shapelets, at_once=AT_ONCE)


def fit_structure(
    fit: SmoothFit,
    image: Maps,
    optics: Optics,
    *,
    steps: int | None = None,
    lens_shape: bool = False,
    linearize: Linearize = whitened_derivatives,
    priors: Priors | None = None,
    scale: float = SCALE,
) -> StructuredFit:
    """Add shapelets to the source of a fit, and continue the fit with both, without gradient.

    Parameters
    ----------
    fit
        Fit of a Sersic source to these images.
    image : (batch, y, x)
        Images in the unit of ``fit.sigma``.
    optics
        Optics of the images.
    steps
        Number of damped Gauss-Newton steps in which the smooth parameters move too; 0 for none. By
        default 2, or 4 with the shape of the lens.
    lens_shape
        Whether slope and multipoles of the lens, which are fixed in `fit`, become free too.
    linearize
        `whitened_derivatives`, or this function compiled. (Shapelets are slower compiled.)
    priors
        Priors of the parameters; by default those of the fit, and `SHAPE_PRIORS` where the shape of
        the lens becomes free.
    scale
        Scale of the shapelets, in half-light radii of the source.

    Notes
    -----
    In each step the part of residual and derivatives in the span of the lensed shapelets is
    projected out, which solves for their coefficients: variable projection (Golub & Pereyra 1973)
    as simplified by Kaufman (1975, BIT 15, 49), the derivatives being those of the Sersic profile
    alone. The shapelets stay where the Sersic fit ended, so that moving the source is not the same
    as changing their coefficients. The shape of a lens fitted to a Sersic source imitates clumps of
    the source: fitted beside the shapelets, the shape is found better.
    """
    if steps is None:
        steps = SHAPE_STEPS if lens_shape else STEPS
    start, known = fit.parameters, fit.priors
    if lens_shape:
        start, known = with_typical_shape(start), with_shape_priors(known)
    known = (known if priors is None else priors).of(start)

    def solve(fit: SmoothFit, start: Tensor, image: Tensor, known: Priors) -> StructuredFit:
        beside = _BesideStructure(shapelets_on(fit.parameters, scale), fit.beside, linearize)
        if lens_shape:
            maps = beside(start, image, fit.sigma, optics)
        else:
            maps = torch.cat([fit.residual[:, None], fit.derivatives], dim=1)
            maps = beside.apart(maps, start, fit.sigma, optics)
        begun = fit._replace(
            parameters=start,
            residual=maps[:, 0],
            derivatives=maps[:, 1:],
            damping=torch.full_like(fit.damping, _FIRST_DAMPING),
            priors=known,
        )
        smooth = continue_fit(begun, image, fit.sigma, optics, steps=steps, linearize=beside)
        return beside.at_the_end(smooth)

    with torch.no_grad():
        return solved_in_parts(solve, fit, start, image.detach(), known, at_once=AT_ONCE)


def scan_beside_structure(found: StructuredFit, pixel_scale: float) -> PointMassScan:
    """Test for a point mass at the centre of each pixel, lens and structure being free again.

    The test is that of `lenspinn.fitting.scan_point_masses`.
    """
    residual = found.smooth.residual
    block = suitable_block(residual)
    scan = partial(score_point_masses, pixel_scale=pixel_scale, block=block)
    return solved_in_parts(scan, residual, found.smooth.by_source, *found.free, at_once=AT_ONCE)


def structure_image(found: StructuredFit, parameters: SmoothParameters, optics: Optics) -> Maps:
    """Return the image of the fitted shapelets behind a lens of any parameters, (batch, y, x)."""
    lensed = lensed_shapelets(parameters, found.shapelets, optics)
    return torch.einsum("bk,bkyx->byx", found.coefficients, lensed)


def shapelet_brightness(found: StructuredFit, beta_x: Maps, beta_y: Maps) -> Maps:
    """Return the surface brightness of the fitted shapelets.

    Parameters
    ----------
    found
        Fit with shapelets.
    beta_x, beta_y : (batch, y, x) or (y, x), arcsec
        Positions in the plane of the source.
    """
    products = shapelets_at(found.shapelets, beta_x, beta_y)
    return torch.einsum("bk,bkyx->byx", found.coefficients, products)


class _BesideStructure:
    """Function that the solver calls at each step: `whitened_derivatives` apart from shapelets.

    It remembers the maps of its last call, which is the solver's call at the final parameters.
    """

    def __init__(self, shapelets: Shapelets, span: Span, linearize: Linearize) -> None:
        self.shapelets = shapelets
        self.span = span
        self.linearize = linearize

    def __call__(self, parameters: Tensor, image: Tensor, sigma: Tensor, optics: Optics) -> Tensor:
        maps = self.linearize(parameters, image, sigma, optics)
        self.by_source = maps[:, BY_SOURCE]
        return self.apart(maps, parameters, sigma, optics)

    def apart(self, maps: Tensor, parameters: Tensor, sigma: Tensor, optics: Optics) -> Tensor:
        """Return maps without their part in the span of the lensed shapelets and of `span`."""
        lensed = _lensed(parameters, self.shapelets, optics).mul_((1 / sigma)[:, None])
        self.rows, span = lensed.flatten(2), self.span.flatten(2)
        maps = apart_from(self.span, maps)
        # The part of the templates in the span is subtracted from their products, not from them.
        self.of_span = self.rows @ span.mT
        normal = self.rows @ self.rows.mT - self.of_span @ self.of_span.mT
        self.lengths = normal.diagonal(dim1=1, dim2=2).clamp(min=_LEAST_SQUARE).sqrt()
        unit = self.lengths.reciprocal()[..., None]
        ridge = _RIDGE * torch.eye(NUM_SHAPELETS, dtype=torch.float64, device=maps.device)
        normal = (normal * unit * unit.mT).double() + ridge
        # A step may have gone where nothing is finite: it is not taken, and raises no error for
        # others.
        self.factor = torch.linalg.cholesky_ex(normal).L
        flat = maps.flatten(2)
        overlap = (self.rows @ flat.mT * unit).double()
        self.shares = (torch.cholesky_solve(overlap, self.factor)).to(maps.dtype)
        shares = (self.shares * unit).mT
        left = torch.baddbmm(flat, shares, self.rows, alpha=-1)
        if span.shape[1]:
            left += (shares @ self.of_span) @ span
        return left.view_as(maps)

    def at_the_end(self, smooth: SmoothFit) -> StructuredFit:
        """Return the fit with shapelets; the maps of the last call must be those of `smooth`."""
        coefficients = self.shares[..., 0] / self.lengths
        templates = (self.rows - self.of_span @ self.span.flatten(2)) / self.lengths[..., None]
        covariance = torch.cholesky_solve(torch.eye(NUM_SHAPELETS).to(self.factor), self.factor)
        return StructuredFit(
            smooth=smooth._replace(by_source=self.by_source),
            templates=templates.unflatten(2, smooth.residual.shape[1:]),
            covariance=covariance.to(coefficients.dtype),
            coefficients=coefficients,
            shapelets=self.shapelets,
        )


def _lensed(parameters: SmoothParameters, shapelets: Shapelets, optics: Optics) -> Templates:
    fine = optics.supersampling
    side = optics.theta_x.shape[-1] // fine
    templates = parameters.new_zeros(len(parameters), NUM_SHAPELETS, side, side)
    # Each sample of a pixel by itself: all of them together do not fit into the cache.
    for row, column in itertools.product(range(fine), repeat=2):
        sampled = (theta[row::fine, column::fine] for theta in (optics.theta_x, optics.theta_y))
        of_x, of_y = _functions(parameters, shapelets, *sampled)
        of_x = of_x / fine**2
        place = 0
        for n in range(ORDER + 1):
            some = slice(place, place := place + ORDER + 1 - n)
            templates[:, some].addcmul_(of_x[:, n, None], of_y[:, : ORDER + 1 - n])
    return blurred(templates, optics)


def _functions(
    parameters: SmoothParameters, shapelets: Shapelets, theta_x: Tensor, theta_y: Tensor
) -> Float[Tensor, "2 batch orders y x"]:
    """Return the factors of shapelets along x and y at the source positions of image positions."""
    alpha_x, alpha_y = smooth_deflection(parameters, theta_x, theta_y)
    return _factors(shapelets, theta_x - alpha_x, theta_y - alpha_y)


def shapelets_at(shapelets: Shapelets, beta_x: Maps, beta_y: Maps) -> Templates:
    """Return each shapelet at positions in the plane of the source, (batch, 91, y, x)."""
    along_x, along_y = _factors(shapelets, beta_x, beta_y)
    products = [along_x[:, n, None] * along_y[:, : ORDER + 1 - n] for n in range(ORDER + 1)]
    return torch.cat(products, dim=1)


def _factors(
    shapelets: Shapelets, beta_x: Maps, beta_y: Maps
) -> Float[Tensor, "2 batch orders y x"]:
    along_x = (beta_x - shapelets.center_x) / shapelets.scale
    along_y = (beta_y - shapelets.center_y) / shapelets.scale
    return _hermite_functions(torch.stack([along_x, along_y]))


def _hermite_functions(x: Float[Tensor, "2 batch y x"]) -> Float[Tensor, "2 batch orders y x"]:
    """Return Hermite functions of orders 0 to `ORDER`, orthonormal but for a common factor."""
    near = x.square().sum(dim=0) < _REACH**2
    functions = [torch.exp(x.square() / -2) * near]
    functions.append(2**0.5 * x * functions[0])
    for n in range(2, ORDER + 1):
        before = functions[-2] * -(((n - 1) / n) ** 0.5)
        functions.append(torch.addcmul(before, x, functions[-1], value=(2 / n) ** 0.5))
    return torch.stack(functions, dim=2)
