"""A source that is more than a Sersic profile: shapelets beside it, fitted with the lens.

Clumps, arms and a bulge leave residuals that look like dark matter. But they belong to a place of
the source, and are seen in every image of it. Shapelets can be anything that is smooth at their
scale; the image is linear in them, so each step of the fit solves for them exactly.
"""

import itertools
from collections.abc import Iterator
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

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
"""Highest order; what they can be is as fine as their scale over the root of ORDER + 1/2."""
NUM_SHAPELETS = (ORDER + 1) * (ORDER + 2) // 2
SCALE = 0.5
"""Of the shapelets, half-light radii of the fitted source."""
_LEAST_RADIUS = 0.05
"""Arcsec; a source that the fit made smaller is unresolved."""
_AT_ONCE = 4
"""Images whose templates are made together on a CPU: more leave its cache, and take far longer."""
_RIDGE = 1e-5
"""Of the normal matrix of templates of unit length, which may be nearly alike."""
STEPS, SHAPE_STEPS = 2, 4
"""With the smooth parameters free; where the shape of the lens becomes free too."""
_FIRST_DAMPING = 0.01
"""The Sersic profile has been fitted: little is left to move."""


class Shapelets(NamedTuple):
    """Products of Hermite functions in the source plane, one set an image.

    References
    ----------
    Refregier (2003), arXiv:astro-ph/0105178, eq. 1 and 18.
    """

    center_x: Float[Tensor, "batch 1 1"]
    center_y: Float[Tensor, "batch 1 1"]
    scale: Float[Tensor, "batch 1 1"]
    """Arcsec."""


class StructuredFit(NamedTuple):
    """A smooth lens whose source is a Sersic profile and shapelets, fitted to images."""

    smooth: SmoothFit
    """Its residual is that of all; its derivatives and covariance those of the smooth parameters
    where structure is free, so that `standard_errors` allow for it. `by_source` are those of the
    lensed Sersic profile. Those of the shapelets are left out: their small structure is partly
    noise, and masses that explain noise with noise would be found in every image."""
    templates: Templates
    """Lensed shapelets, (batch, 91, y, x), of unit length in units of the noise."""
    covariance: Float[Tensor, "batch 91 91"]
    """Of how much there is of each template."""
    coefficients: Float[Tensor, "batch 91"]
    """Of the shapelets, brightness per square arcsec."""
    shapelets: Shapelets

    @property
    def freedom(self) -> PerImage:
        """Pixels that count less all that was fitted."""
        return self.smooth.freedom - NUM_SHAPELETS

    @property
    def free(self) -> tuple[Templates, Float[Tensor, "batch free free"]]:
        """Derivatives by all that is free, in units of the noise, and its covariance."""
        derivatives, smooth = self.smooth.free
        covariance = block_diagonal(smooth, self.covariance)
        return torch.cat([derivatives, self.templates], dim=1), covariance


def shapelets_on(parameters: SmoothParameters, scale: float = SCALE) -> Shapelets:
    """Return shapelets at the place of the source and of its size.

    Parameters
    ----------
    parameters
        Of the source, among others.
    scale
        Of the shapelets, in half-light radii of the source.
    """
    source = by_name(parameters)
    radius = source["log_R_sersic"].exp().clamp(min=_LEAST_RADIUS)
    return Shapelets(source["source_x"], source["source_y"], scale * radius)


def lensed_shapelets(
    parameters: SmoothParameters, shapelets: Shapelets, optics: Optics
) -> Templates:
    """Return the image of each shapelet behind a lens, (batch, 91, y, x), flux per pixel.

    Ordered by the order along x, then along y.
    """
    parts = _in_parts(parameters, *shapelets)
    return torch.cat([_lensed(of, Shapelets(*on), optics) for of, *on in parts])


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
    """Give the source of a fit shapelets, and go on with both, without gradient.

    Parameters
    ----------
    fit
        Of a Sersic source, to these images.
    image : (batch, y, x)
        In the unit of ``fit.sigma``.
    optics
    steps
        Damped Gauss-Newton steps in which the smooth parameters move too; 0 for none. By default
        2, or 4 with the shape of the lens.
    lens_shape
        Whether slope and multipoles of the lens, which the fit has not, become free with them.
    linearize
        `whitened_derivatives`, or a compiled one. (Shapelets are slower compiled.)
    priors
        What is known of the parameters; by default what the fit was told, and the shape of lenses
        where that becomes free.
    scale
        As of `shapelets_on`.

    Notes
    -----
    What of residual and derivatives lies in the span of the lensed shapelets is taken away in each
    step, which solves for them: variable projection (Golub & Pereyra 1973) as Kaufman (1975, BIT
    15, 49) simplifies it, the derivatives being those of the Sersic profile alone. The shapelets
    stay where the Sersic fit ended, so that moving the source is not the same as changing them.
    The shape of a lens that is fitted to a Sersic source imitates clumps of it: beside the
    shapelets it is found better.
    """
    if steps is None:
        steps = SHAPE_STEPS if lens_shape else STEPS
    image = image.detach()
    with torch.no_grad():
        beside = _BesideStructure(shapelets_on(fit.parameters, scale), fit.beside, linearize)
        if lens_shape:
            start, known = with_typical_shape(fit.parameters), with_shape_priors(fit.priors)
            maps = beside(start, image, fit.sigma, optics)
        else:
            start, known = fit.parameters, fit.priors
            maps = torch.cat([fit.residual[:, None], fit.derivatives], dim=1)
            maps = beside.apart(maps, start, fit.sigma, optics)
        begun = fit._replace(
            parameters=start,
            residual=maps[:, 0],
            derivatives=maps[:, 1:],
            damping=torch.full_like(fit.damping, _FIRST_DAMPING),
            priors=known if priors is None else priors,
        )
        smooth = continue_fit(begun, image, fit.sigma, optics, steps=steps, linearize=beside)
        return beside.at_the_end(smooth)


def scan_beside_structure(found: StructuredFit, pixel_scale: float) -> PointMassScan:
    """Test for a point mass at the centre of each pixel, lens and structure being free again.

    As `lenspinn.fitting.scan_point_masses`.
    """
    residual = found.smooth.residual
    block = suitable_block(residual)
    scans = [
        score_point_masses(*part, pixel_scale=pixel_scale, block=block)
        for part in _in_parts(residual, found.smooth.by_source, *found.free)
    ]
    return PointMassScan(*map(torch.cat, zip(*scans, strict=True)))


def structure_image(found: StructuredFit, parameters: SmoothParameters, optics: Optics) -> Maps:
    """Return the image of all shapelets that were found behind any lens, (batch, y, x)."""
    lensed = lensed_shapelets(parameters, found.shapelets, optics)
    return torch.einsum("bk,bkyx->byx", found.coefficients, lensed)


def shapelet_brightness(found: StructuredFit, beta_x: Maps, beta_y: Maps) -> Maps:
    """Return the surface brightness of all shapelets that were found.

    Parameters
    ----------
    found
    beta_x, beta_y : (batch, y, x) or (y, x), arcsec
        Positions in the plane of the source.
    """
    products = shapelets_at(found.shapelets, beta_x, beta_y)
    return torch.einsum("bk,bkyx->byx", found.coefficients, products)


class _BesideStructure:
    """What the solver calls at each step: `whitened_derivatives` less what shapelets can imitate.

    It remembers the last, for the solver looks last at where it ended.
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
        """Take away from maps what lies in the span of the templates."""
        lensed = lensed_shapelets(parameters, self.shapelets, optics) / sigma[:, None]
        lensed, maps = (apart_from(self.span, each) for each in (lensed, maps))
        self.lengths = lensed.flatten(2).norm(dim=2).clamp(min=1e-30)
        self.templates = lensed / self.lengths[..., None, None]
        rows = self.templates.flatten(2)
        normal = (rows @ rows.mT).double()
        ridge = _RIDGE * torch.eye(NUM_SHAPELETS).to(normal)
        # A step may have gone where nothing is finite: it is not taken, no error for the others.
        self.factor = torch.linalg.cholesky_ex(normal + ridge).L
        overlap = (rows @ maps.flatten(2).mT).double()
        self.shares = torch.cholesky_solve(overlap, self.factor).to(maps.dtype)
        return maps - (self.shares.mT @ rows).view_as(maps)

    def at_the_end(self, smooth: SmoothFit) -> StructuredFit:
        """Return what was found; the last maps are those of `smooth`."""
        coefficients = self.shares[..., 0] / self.lengths
        covariance = torch.cholesky_solve(torch.eye(NUM_SHAPELETS).to(self.factor), self.factor)
        return StructuredFit(
            smooth=smooth._replace(by_source=self.by_source),
            templates=self.templates,
            covariance=covariance.to(coefficients.dtype),
            coefficients=coefficients,
            shapelets=self.shapelets,
        )


def _in_parts(*maps: Tensor) -> Iterator[tuple[Tensor, ...]]:
    """Split batches into as many images as are best treated together."""
    at_once = _AT_ONCE if maps[0].device.type == "cpu" else len(maps[0])
    return zip(*(each.split(at_once) for each in maps), strict=True)


def _lensed(parameters: SmoothParameters, shapelets: Shapelets, optics: Optics) -> Templates:
    fine = optics.supersampling
    # Sample by sample of a pixel: all of them at once are more than a cache holds.
    samples = [
        _products(
            parameters,
            shapelets,
            *(theta[row::fine, column::fine] for theta in (optics.theta_x, optics.theta_y)),
        )
        for row, column in itertools.product(range(fine), repeat=2)
    ]
    return blurred(sum(samples[1:], samples[0]) / fine**2, optics)


def _products(
    parameters: SmoothParameters, shapelets: Shapelets, theta_x: Tensor, theta_y: Tensor
) -> Templates:
    """Return each shapelet at the end of the rays from some positions."""
    alpha_x, alpha_y = smooth_deflection(parameters, theta_x, theta_y)
    return shapelets_at(shapelets, theta_x - alpha_x, theta_y - alpha_y)


def shapelets_at(shapelets: Shapelets, beta_x: Maps, beta_y: Maps) -> Templates:
    """Return each shapelet at positions in the plane of the source, (batch, 91, y, x)."""
    along_x = _hermite_functions((beta_x - shapelets.center_x) / shapelets.scale)
    along_y = _hermite_functions((beta_y - shapelets.center_y) / shapelets.scale)
    products = [along_x[:, None, n] * along_y[:, : ORDER + 1 - n] for n in range(ORDER + 1)]
    return torch.cat(products, dim=1)


def _hermite_functions(x: Maps) -> Float[Tensor, "batch orders y x"]:
    """Orders 0 to `ORDER`, orthonormal but for a common factor."""
    functions = [torch.exp(-(x**2) / 2)]
    functions.append(2**0.5 * x * functions[0])
    for n in range(2, ORDER + 1):
        functions.append((2 / n) ** 0.5 * x * functions[-1] - ((n - 1) / n) ** 0.5 * functions[-2])
    return torch.stack(functions, dim=1)
