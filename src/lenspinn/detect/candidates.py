"""Dark clumps fitted beside lens, source and lens light, without linear approximation.

Templates say where a point mass of which size would improve the fit. From the best of these clumps
of three profiles are fitted, with all other parameters free again. One fit without a clump gives
the chi^2 that the gain is counted from.
"""

import math
from dataclasses import dataclass
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from lenspinn.detect.dark_solution import DarkSolution
from lenspinn.detect.observed_lens import ObservedLens
from lenspinn.detect.peaks import Peak
from lenspinn.detect.subhalo import PROFILES, Profile, Subhalo, deflection_subhalo, enclosed_mass
from lenspinn.fitting.smooth import by_name, exposed, smooth_deflection, source_brightness
from lenspinn.fitting.span import Span, apart_from, orthonormal_span
from lenspinn.fitting.structure import Shapelets, shapelets_at

__all__ = ["Candidate", "fit_candidates"]

SAME_PLACE = 0.15
"""Distance below which two fits are one candidate, arcsec."""
MOST_STEPS, SMALL_FALL = 60, 0.1
"""Largest number of damped Gauss-Newton steps of a fit, and the fall of chi^2 in a step below which
the fit has converged: the gain by a clump must not be what the smooth lens would still gain."""
FIRST_DAMPING, LESS, MORE = 0.01, 0.3, 4.0
"""Damping of the first step, and its factors after a step that was taken and one that was not."""
FURTHEST = 0.3
"""Standard deviation of the prior of a clump's position about its peak, arcsec."""
MASS_RANGE = 2.0
"""Standard deviation of the prior of the logarithm of a clump's mass about that of the peak."""
SCALE_RADIUS = (0.1, 1.0)
"""Prior of the scale radius of a truncated NFW clump: median, arcsec, and standard deviation of its
logarithm."""
INNER = 0.1
"""Radius within which masses are stated where no redshifts give the scale of a kpc, arcsec."""
ALIKE = 0.3
"""Radius at which fits of an isothermal sphere and of a point mass begin with the same deflection,
arcsec."""
_RIDGE = 1e-5
"""Ridge of the normal matrix of templates of unit length, which may be nearly equal."""
_LARGEST_STEP = 0.5
"""Largest change of any parameter in one step, in the unit of the parameter."""


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """One clump fitted from one peak, of the profile with the lowest chi^2."""

    peak: Peak
    profile: Profile
    x: float
    y: float
    x_error: float
    y_error: float
    """Standard error of `y`, arcsec. The position (`x`, `y`) is in arcsec from the middle of the
    frame."""
    mass: float
    """Squared Einstein radius, arcsec^2, as defined in `lenspinn.detect.subhalo.Subhalo`."""
    mass_log_error: float
    """Standard error of the natural logarithm of `mass`."""
    scale_radius: float | None
    """Scale radius of a truncated NFW clump, arcsec; None for other profiles."""
    gain: dict[Profile, float]
    """Fall of chi^2, with the penalty of the priors, for each profile, in units of the stated
    noise."""
    inner_mass: float
    """Projected mass within `inner_radius`, as a squared Einstein radius, arcsec^2."""
    inner_radius: float
    """Radius of `inner_mass`, arcsec."""


class _Point(NamedTuple):
    """A model of the image at some parameters."""

    parameters: Float[Tensor, "1 parameters"]
    misfit: Float[Tensor, " pixels"]
    templates: Float[Tensor, "templates pixels"]
    """Lensed shapelets in units of the noise, of unit length, with lens light projected out."""
    factor: Float[Tensor, "templates templates"]
    coefficients: Float[Tensor, "1 templates"]
    chi2: float


def fit_candidates(
    lens: ObservedLens, solution: DarkSolution, peaks: list[Peak], inner_radius: float = INNER
) -> list[Candidate]:
    """Fit a clump from each peak, and keep one of those that end at the same place.

    Parameters
    ----------
    lens
        Observed lens.
    solution
        Solution of its image, the shape of the lens being free.
    peaks
        Peaks of this solution.
    inner_radius
        Radius of `Candidate.inner_mass`, arcsec.

    Returns
    -------
    list of Candidate
        Candidates in the order of the peaks.
    """
    with torch.no_grad():
        problem = _Problem(lens, solution)
        smooth, _ = problem.descend(problem.start, None)
        kept: list[Candidate] = []
        for peak in peaks:
            found = _candidate(problem, smooth, peak, inner_radius)
            if all(math.hypot(found.x - c.x, found.y - c.y) > SAME_PLACE for c in kept):
                kept.append(found)
    return kept


def _candidate(problem: "_Problem", smooth: _Point, peak: Peak, inner_radius: float) -> Candidate:
    mass = peak.mass
    fits = {}
    for profile in PROFILES:
        # An isothermal sphere has no total mass: it begins with a point mass's deflection at ALIKE.
        own = mass if profile != "sis" else mass**2 / ALIKE**2
        start = [peak.x, peak.y, math.log(own)]
        start += [math.log(SCALE_RADIUS[0])] if profile == "tnfw" else []
        begin = torch.cat([smooth.parameters, torch.tensor([start])], dim=1)
        fits[profile] = problem.descend(begin, _Clump(profile, tuple(start)))
    best = min(PROFILES, key=lambda profile: fits[profile][0].chi2)
    at, covariance = fits[best]
    place = problem.start.shape[1]
    numbers = at.parameters[0, place:].tolist()
    errors = covariance.diagonal()[place:].clamp(min=0).sqrt().tolist()
    subhalo = _subhalo(best, at.parameters[0, place:])
    return Candidate(
        peak=peak,
        profile=best,
        x=numbers[0],
        y=numbers[1],
        x_error=errors[0],
        y_error=errors[1],
        mass=math.exp(numbers[2]),
        mass_log_error=errors[2],
        scale_radius=math.exp(numbers[3]) if best == "tnfw" else None,
        gain={profile: smooth.chi2 - fits[profile][0].chi2 for profile in PROFILES},
        inner_mass=enclosed_mass(subhalo, inner_radius),
        inner_radius=inner_radius,
    )


class _Clump(NamedTuple):
    """Profile of a clump, and the start of its fit, which is the mean of its priors."""

    profile: Profile
    start: tuple[float, ...]

    @property
    def widths(self) -> tuple[float, ...]:
        return (FURTHEST, FURTHEST, MASS_RANGE, SCALE_RADIUS[1])[: len(self.start)]


class _Problem:
    """One image, and models of it with and without a clump."""

    def __init__(self, lens: ObservedLens, solution: DarkSolution) -> None:
        self.optics = lens.optics
        self.image, self.sigma = lens.image, lens.sigma
        self.span: Span = orthonormal_span(lens.lens_light / lens.sigma[:, None])
        self.start = solution.parameters
        self.priors = solution.found.smooth.priors
        self.shapelets: Shapelets = solution.found.shapelets

    def descend(
        self, start: Float[Tensor, "1 parameters"], clump: _Clump | None
    ) -> tuple[_Point, Tensor]:
        """Take damped Gauss-Newton steps; return the final model, and the covariance there."""
        at, damping = self.look(start, clump), FIRST_DAMPING
        normal, gradient = self.slopes(at, clump)
        for _ in range(MOST_STEPS):
            damped = normal + torch.diag(normal.diagonal() * damping)
            step = torch.linalg.solve(damped, gradient).clamp(-_LARGEST_STEP, _LARGEST_STEP)
            there = self.look(at.parameters + step.to(start)[None], clump)
            if there.chi2 < at.chi2:
                converged = at.chi2 - there.chi2 < SMALL_FALL
                at, damping = there, damping * LESS
                normal, gradient = self.slopes(at, clump)
                if converged:
                    break
            else:  # NaN too
                damping *= MORE
        return at, torch.linalg.inv(normal)

    def look(self, parameters: Float[Tensor, "1 parameters"], clump: _Clump | None) -> _Point:
        """Solve for source structure and lens light at given parameters."""
        samples = self.samples(parameters)
        smooth, products = self.brightness(samples, clump)
        pixels = self.whitened(torch.cat([smooth[:, None], products], dim=1))
        data = apart_from(self.span, (self.image / self.sigma)[:, None]).flatten()
        left, lensed = data - pixels[0], pixels[1:]
        lengths = lensed.norm(dim=1).clamp(min=1e-30)
        templates = lensed / lengths[:, None]
        normal = (templates @ templates.T).double()
        factor = torch.linalg.cholesky_ex(normal + _RIDGE * torch.eye(len(normal)).to(normal)).L
        share = torch.cholesky_solve((templates @ left).double()[:, None], factor)[:, 0].to(left)
        misfit = left - share @ templates
        chi2 = float(misfit.double().square().sum()) + self.penalty(parameters, clump)
        return _Point(parameters, misfit, templates, factor, (share / lengths)[None], chi2)

    def slopes(self, at: _Point, clump: _Clump | None) -> tuple[Tensor, Tensor]:
        """Return normal matrix and gradient by all parameters, source structure being free."""
        with torch.enable_grad():
            samples = self.samples(at.parameters).clone().requires_grad_()
            smooth, products = self.brightness(samples, clump)
            seen = smooth + (products * at.coefficients).sum(dim=1)
            (of_samples,) = torch.autograd.grad(seen.sum(), samples)
        rows = self.whitened(of_samples)
        share = torch.cholesky_solve((at.templates @ rows.T).double(), at.factor).to(rows)
        rows = rows - share.T @ at.templates
        normal = (rows @ rows.T).double()
        gradient = (rows @ at.misfit).double()
        means, inverse = self.known(clump)
        normal = normal + torch.diag(inverse.square())
        return normal, gradient + inverse.square() * (means - at.parameters[0].double())

    def penalty(self, parameters: Tensor, clump: _Clump | None) -> float:
        means, inverse = self.known(clump)
        return float(((means - parameters[0].double()) * inverse).square().sum())

    def known(self, clump: _Clump | None) -> tuple[Tensor, Tensor]:
        """Return means and inverse standard deviations of all priors."""
        means, inverse = self.priors.mean[0].double(), self.priors.inverse_width[0].double()
        if clump is None:
            return means, inverse
        more = torch.tensor([clump.start, clump.widths]).double()
        return torch.cat([means, more[0]]), torch.cat([inverse, 1 / more[1]])

    def samples(self, parameters: Float[Tensor, "1 parameters"]) -> Float[Tensor, "samples _"]:
        """Repeat the parameters for each sample, whose brightness depends on its own copy alone."""
        return parameters.expand(self.optics.theta_x.numel(), -1)

    def brightness(self, samples: Tensor, clump: _Clump | None) -> tuple[Tensor, Tensor]:
        """Return brightness at the samples: Sersic profile, (samples,), and each shapelet."""
        smooth = samples[:, : self.start.shape[1]]
        x, y = (theta.reshape(-1, 1, 1) for theta in (self.optics.theta_x, self.optics.theta_y))
        alpha_x, alpha_y = smooth_deflection(smooth, x, y)
        if clump is not None:
            subhalo = _subhalo(clump.profile, samples[:, self.start.shape[1] :, None, None])
            more_x, more_y = deflection_subhalo(subhalo, x, y)
            alpha_x, alpha_y = alpha_x + more_x, alpha_y + more_y
        beta_x, beta_y = x - alpha_x, y - alpha_y
        sersic = source_brightness(by_name(smooth), beta_x, beta_y)
        products = shapelets_at(self.shapelets, beta_x, beta_y)
        return sersic[:, 0, 0], products[..., 0, 0]

    def whitened(self, samples: Float[Tensor, "samples maps"]) -> Float[Tensor, "maps pixels"]:
        """Return blurred maps in units of the noise, with the lens light projected out."""
        seen = exposed(samples.T[None], self.optics) / self.sigma[:, None]
        return apart_from(self.span, seen)[0].flatten(1)


def _subhalo(profile: Profile, numbers: Tensor) -> Subhalo:
    """Return a clump from its numbers, which lie along the only axis, or along the last but two."""
    x, y, log_mass, *more = numbers.unbind(dim=max(0, numbers.dim() - 3))
    scale_radius = more[0].exp() if more else 0.0
    return Subhalo(profile=profile, x=x, y=y, mass=log_mass.exp(), scale_radius=scale_radius)
