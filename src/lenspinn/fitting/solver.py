"""Smooth models fitted to images: a fixed number of damped Gauss-Newton steps for a whole batch."""

from collections.abc import Callable
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from lenspinn.fitting.derivatives import smooth_derivatives
from lenspinn.fitting.parts import solved_in_parts
from lenspinn.fitting.priors import SHAPE_PRIORS, Priors, known_parameters
from lenspinn.fitting.smooth import (
    SHAPE_PARAMETERS,
    SMOOTH_PARAMETERS,
    Optics,
    SmoothParameters,
    parameter_names,
)
from lenspinn.fitting.span import Span, apart_from, orthonormal_span

__all__ = [
    "SmoothFit",
    "continue_fit",
    "fit_smooth_lens",
    "last_step",
    "whitened_derivatives",
    "with_typical_shape",
]

Image = Float[Tensor, "batch y x"]
Given = Float[Tensor, "#batch y x"]
"""Map of each image, or one map for all."""
Gram = Float[Tensor, "batch rows rows"]
"""Inner products of the residual (first) and the derivatives by all parameters, in units of the
noise, with the terms of the priors added: chi^2, the gradient and the normal matrix in one."""
Linearize = Callable[[Tensor, Tensor, Tensor, Optics], Tensor]

PATIENCE = 3
"""Number of steps without gain after which a fit ends: a step that fails is tried again,
shorter."""
STEPS = 12
"""Number of steps, enough from starts as rough as a network's; see docs/measured/fit.md."""
_AMPLITUDE = 1 + SMOOTH_PARAMETERS.index("log_amplitude")
"""Row of the source's brightness in a `Gram`."""
BY_SOURCE = [1 + SMOOTH_PARAMETERS.index(name) for name in ("source_x", "source_y")]
"""Rows of the derivatives by the position of the source in a `Gram`."""
_FIRST_DAMPING, _LEAST_DAMPING, _MOST_DAMPING = 0.3, 1e-6, 1e4
_LESS, _MORE = 0.3, 3.0
"""Factors of the damping after a step that was taken, and after one that was not."""
_ROUNDING = 1e-5
"""Relative rise of chi^2 that a step may cause, the rounding of float32 sums: a fit that has
converged then goes on with small steps, and its damping falls."""
_LEAST_CHANGE = 0.01
"""Smallest factor by which one step may change the brightness of the source; the largest is its
inverse."""
BOUNDS = {
    "theta_E": (0.05, 5.0),
    "e1": (-0.6, 0.6),
    "e2": (-0.6, 0.6),
    "center_x": (-1.0, 1.0),
    "center_y": (-1.0, 1.0),
    "gamma1": (-0.4, 0.4),
    "gamma2": (-0.4, 0.4),
    "source_x": (-2.0, 2.0),
    "source_y": (-2.0, 2.0),
    "source_e1": (-0.6, 0.6),
    "source_e2": (-0.6, 0.6),
    "log_R_sersic": (-4.0, 1.0),
    "log_n_sersic": (-0.69, 1.8),
    "log_amplitude": (-15.0, 15.0),
    "gamma": (1.3, 2.7),
    "a3": (-0.1, 0.1),
    "b3": (-0.1, 0.1),
    "a4": (-0.1, 0.1),
    "b4": (-0.1, 0.1),
}
"""Lowest and highest value of each parameter, far beyond those of real lenses: within, the model is
finite and differs from that without a lens."""
AT_ONCE = 16
"""Number of images whose steps are computed together on a CPU."""
_LONGEST_STEP = 0.3
"""Largest change of any parameter in one step, in the unit of the parameter."""
_LOG_N_SERSIC = SMOOTH_PARAMETERS.index("log_n_sersic")
_MOST_LOG_N_AT_START = 0.0
"""Largest logarithm of the Sersic index at the start of a fit, that of an exponential: the lensed
images of a more peaked source, sampled at pixel centres, must lie on the observed ones to a
fraction of a pixel before the gradient of chi^2 points to the solution."""


class SmoothFit(NamedTuple):
    """Smooth models fitted to images."""

    parameters: SmoothParameters
    covariance: Float[Tensor, "batch parameters parameters"]
    """Covariance of the parameters from the derivatives at the fit (Cramer-Rao, linear, white
    noise)."""
    residual: Image
    """Image minus model in units of the noise."""
    chi2: Float[Tensor, " batch"]
    derivatives: Float[Tensor, "batch parameters y x"]
    """Derivatives of the model by each parameter, in units of the noise, apart from `beside`."""
    by_source: Float[Tensor, "batch 2 y x"]
    """Derivatives of the model by the x and y of the source, in units of the noise. Nothing is
    projected out of these, unlike `derivatives`."""
    damping: Float[Tensor, " batch"]
    """Damping of the last step: small where the fit has converged."""
    sigma: Image
    """Standard deviation of the noise that pixels were weighted with, in the unit of the image."""
    beside: Span
    """Templates of free amplitude, such as lens light, in units of the noise. They are projected
    out of `residual` and `derivatives`."""
    priors: Priors
    """Priors of the parameters; `chi2` is without their penalty, `covariance` allows for them."""

    @property
    def standard_errors(self) -> SmoothParameters:
        """Standard error (one sigma) of each parameter."""
        return self.covariance.diagonal(dim1=1, dim2=2).clamp(min=0).sqrt()

    @property
    def freedom(self) -> Float[Tensor, " batch"]:
        """Degrees of freedom: pixels of finite noise less free parameters and templates."""
        counted = self.sigma.isfinite().sum(dim=(1, 2))
        beside = self.beside.flatten(2).any(dim=2).sum(dim=1)
        return (counted - beside - self.parameters.shape[1]).to(self.residual)

    @property
    def free(self) -> tuple[Float[Tensor, "batch free y x"], Float[Tensor, "batch free free"]]:
        """Derivatives by all that is free, in units of the noise, and the covariance of that."""
        of_span = torch.eye(self.beside.shape[1]).to(self.covariance)
        covariance = block_diagonal(self.covariance, of_span.expand(len(self.beside), -1, -1))
        return torch.cat([self.derivatives, self.beside], dim=1), covariance


class _Problem(NamedTuple):
    """Image, noise and model of a fit."""

    image: Image
    sigma: Image
    optics: Optics
    linearize: Linearize
    span: Span
    priors: Priors

    def maps(self, parameters: Tensor) -> Float[Tensor, "batch maps y x"]:
        return self.linearize(parameters, self.image, self.sigma, self.optics)

    def gram(self, parameters: Tensor) -> Gram:
        return _gram(apart_from(self.span, self.maps(parameters)), parameters, self.priors)


def block_diagonal(
    first: Float[Tensor, "batch n n"], second: Float[Tensor, "batch m m"]
) -> Float[Tensor, "batch free free"]:
    """Return the covariance of two independent sets of numbers."""
    n, m = first.shape[1], second.shape[1]
    return functional.pad(first, (0, m, 0, m)) + functional.pad(second, (n, 0, n, 0))


def whitened_derivatives(
    parameters: SmoothParameters, image: Given, sigma: Given, optics: Optics
) -> Float[Tensor, "batch maps y x"]:
    """Return image minus model, then the model's derivatives, in units of the noise."""
    made = smooth_derivatives(parameters, optics)
    return torch.cat([image[:, None] - made[:, :1], made[:, 1:]], dim=1) / sigma[:, None]


def fit_smooth_lens(  # noqa: PLR0913 - what a fit is made to and how, the latter named
    start: SmoothParameters,
    image: Given,
    sigma: Given,
    optics: Optics,
    *,
    steps: int = STEPS,
    linearize: Linearize = whitened_derivatives,
    beside: Float[Tensor, "#batch templates y x"] | None = None,
    priors: Priors | None = None,
    least_gain: float | None = None,
) -> SmoothFit:
    """Fit smooth lenses to images by damped Gauss-Newton steps, without gradient.

    Parameters
    ----------
    start
        Parameters at which the fits begin. The brightness of the source may be anything; a source
        more peaked than an exponential begins as an exponential.
    image, sigma
        Images and standard deviation of their noise, in one unit; ``inf`` leaves a pixel out. One
        image may be fitted from many starts.
    steps
        Number of steps; each costs one image with derivatives, whether it is taken or not.
    linearize
        `whitened_derivatives`, or this function compiled.
    beside : (batch, templates, y, x)
        Templates in the unit of the image whose amplitudes are free, also negative: the light of
        the lens.
    priors
        Priors of the parameters; by default `SHAPE_PRIORS`, where the shape of the lens is free.
    least_gain
        Fall of chi^2 that counts as a gain: the fits end when none of the batch has gained in
        `PATIENCE` steps. By default all steps are taken, so that a fit does not depend on the
        others of its batch.

    Notes
    -----
    The model is linear in the brightness of the source, which is therefore solved for after every
    step, and in the amplitudes of `beside`, which is projected out of residual and derivatives. A
    step that does not lower chi^2 is not taken, and the damping of that lens rises; else it falls.
    Unlike the fits of `lenspinn limit`, which must be exact, this fit is in float32 and solves the
    normal equations: a network needs a residual that is small against the noise, many times a
    second.

    References
    ----------
    Marquardt (1963), J. SIAM 11, 431, for the damping by the diagonal; Golub & Pereyra (1973), SIAM
    Journal on Numerical Analysis 10, 413, for parameters in which the model is linear.
    """
    start, image, sigma = start.detach(), image.detach(), sigma.detach()
    with torch.no_grad():
        templates = image[:, None][:, :0] if beside is None else beside / sigma[:, None]
        span = orthonormal_span(templates).to(image.dtype)
        priors = known_parameters({}, start.shape[1]) if priors is None else priors

        def solve(
            start: Tensor, image: Tensor, sigma: Tensor, span: Span, known: Priors
        ) -> SmoothFit:
            problem = _Problem(image, sigma, optics, linearize, span, known)
            at, _ = _with_brightness(_bounded(start), problem)
            # Solved a second time: chi^2 is a small difference of large numbers if brightness was
            # far off.
            at, gram = _with_brightness(at, problem)
            damping = torch.full_like(gram[:, 0, 0], _FIRST_DAMPING)
            return _descend(at, gram, damping, problem, steps, least_gain)

        blunt = start.clone()
        blunt[:, _LOG_N_SERSIC].clamp_(max=_MOST_LOG_N_AT_START)
        given = (each.expand(len(start), *each.shape[1:]) for each in (image, sigma, span))
        return solved_in_parts(solve, blunt, *given, priors.of(start), at_once=AT_ONCE)


def continue_fit(
    fit: SmoothFit,
    image: Given,
    sigma: Given,
    optics: Optics,
    *,
    steps: int,
    linearize: Linearize = whitened_derivatives,
    priors: Priors | None = None,
) -> SmoothFit:
    """Take more steps from the end of a fit, with another noise map.

    The Sersic index begins as it was fitted, not as that of an exponential.

    Parameters
    ----------
    fit
        Fit that was made with `fit.sigma`, which must be finite wherever `sigma` is.
    image, sigma, optics, steps, linearize
        As in `fit_smooth_lens`; `steps` may be 0, and what `linearize` returns must be proportional
        to ``1 / sigma``.
    priors
        Priors of the parameters; by default those of the fit.
    """
    priors = (fit.priors if priors is None else priors).of(fit.parameters)

    def solve(fit: SmoothFit, image: Tensor, sigma: Tensor, known: Priors) -> SmoothFit:
        maps = torch.cat([fit.residual[:, None], fit.derivatives], dim=1)
        weight = (fit.sigma / sigma).nan_to_num(nan=0.0)[:, None]  # left out before and after
        span = orthonormal_span(fit.beside * weight)
        problem = _Problem(image, sigma, optics, linearize, span, known)
        gram = _gram(apart_from(span, maps * weight), fit.parameters, known)
        return _descend(fit.parameters, gram, fit.damping, problem, steps, None)

    with torch.no_grad():
        given = (each.detach().expand_as(fit.residual) for each in (image, sigma))
        return solved_in_parts(solve, fit, *given, priors, at_once=AT_ONCE)


def with_typical_shape(parameters: Float[Tensor, "batch 14"]) -> Float[Tensor, "batch 19"]:
    """Return parameters with slope and multipoles added, at the means of `SHAPE_PRIORS`."""
    shape = parameters.new_tensor([SHAPE_PRIORS[name][0] for name in SHAPE_PARAMETERS])
    return torch.cat([parameters, shape.expand(len(parameters), -1)], dim=1)


def last_step(fit: SmoothFit, start: SmoothParameters) -> tuple[SmoothParameters, Image]:
    """Return parameters and residual of a fit with a gradient towards its start.

    Values are those of the fit. The gradient is that of one more damped Gauss-Newton step
    ``p + H^-1 J^T r(p)``, ``H = J^T J + damping diag(J^T J)``, its Jacobian held fixed:
    ``I - H^-1 J^T J``. The gradient vanishes along directions of the parameters that the image
    determines, and is 1 along the others, and for fits that are stuck. All earlier steps count as
    the identity.

    References
    ----------
    Bolte, Pauwels & Vaiter (2023), arXiv:2305.13768: one-step differentiation.
    """
    derivatives = fit.derivatives.flatten(2)
    normal = (derivatives @ derivatives.mT).double()
    damped = normal + torch.diag_embed(normal.diagonal(dim1=1, dim2=2) * fit.damping[:, None])
    kept = torch.eye(normal.shape[1]).to(normal) - _scaled_inverse(damped) @ normal
    moved = start - start.detach()  # 0, with a gradient
    change = (kept.to(start.dtype) @ moved[..., None])[..., 0]
    residual = fit.residual - torch.einsum("bpyx,bp->byx", fit.derivatives, change)
    return fit.parameters + change, residual


def _descend(
    at: Tensor,
    gram: Tensor,
    damping: Tensor,
    problem: _Problem,
    steps: int,
    least_gain: float | None,
) -> SmoothFit:
    """Take at most `steps` steps from the parameters `at`, where `gram` and `damping` hold."""
    idle = torch.zeros(len(at), dtype=torch.int64, device=at.device)
    for _ in range(steps):
        if least_gain is not None and idle.min() >= PATIENCE:
            break
        step = _damped_solution(gram, damping).clamp(-_LONGEST_STEP, _LONGEST_STEP)
        trial, there = _with_brightness(_bounded(at + step), problem)
        better = there[:, 0, 0] <= gram[:, 0, 0] * (1 + _ROUNDING)  # False for NaN
        if least_gain is not None:
            gained = better & (gram[:, 0, 0] - there[:, 0, 0] > least_gain)
            idle = torch.where(gained, 0, idle + 1)
        at = torch.where(better[:, None], trial, at)
        gram = torch.where(better[:, None, None], there, gram)
        damping = torch.where(better, damping * _LESS, damping * _MORE)
        damping = damping.clamp(_LEAST_DAMPING, _MOST_DAMPING)
    maps = problem.maps(at)
    left = apart_from(problem.span, maps)
    return SmoothFit(
        parameters=at,
        covariance=_scaled_inverse(gram[:, 1:, 1:].double()).to(at.dtype),
        residual=left[:, 0],
        chi2=left[:, 0].square().sum(dim=(1, 2)),
        derivatives=left[:, 1:],
        by_source=maps[:, BY_SOURCE],
        damping=damping,
        sigma=problem.sigma,
        beside=problem.span,
        priors=problem.priors,
    )


def _with_brightness(parameters: Tensor, problem: _Problem) -> tuple[Tensor, Tensor]:
    """Return parameters with the source's brightness that fits best, and their `Gram`."""
    gram = problem.gram(parameters)
    brightness = gram[:, _AMPLITUDE, _AMPLITUDE]  # the derivative by its logarithm is the model
    factor = (1 + gram[:, 0, _AMPLITUDE] / brightness).clamp(_LEAST_CHANGE, 1 / _LEAST_CHANGE)
    # Another brightness scales all derivatives, and adds that share of the model to the residual.
    change = torch.diag_embed(factor[:, None].expand(-1, gram.shape[1]))
    change[:, 0, 0], change[:, 0, _AMPLITUDE] = 1.0, 1 - factor
    parameters = parameters.clone()
    parameters[:, _AMPLITUDE - 1] += factor.log()
    return parameters, change @ gram @ change.mT


def _gram(
    maps: Float[Tensor, "batch rows y x"], parameters: SmoothParameters, priors: Priors
) -> Gram:
    gram = maps.flatten(2) @ maps.flatten(2).mT
    slope = priors.inverse_width.to(gram)
    known = torch.zeros_like(gram)
    known[:, 0, 0] = priors.penalty(parameters)
    known[:, 0, 1:] = known[:, 1:, 0] = priors.misfit(parameters) * slope
    known[:, 1:, 1:] = torch.diag_embed(slope.square())
    return gram + known


def _bounded(parameters: Tensor) -> Tensor:
    names = parameter_names(parameters.shape[1])
    bounds = torch.tensor([BOUNDS[name] for name in names]).to(parameters)
    return torch.minimum(torch.maximum(parameters, bounds[:, 0]), bounds[:, 1])


def _damped_solution(gram: Gram, damping: Tensor) -> SmoothParameters:
    normal, gradient = gram[:, 1:, 1:].double(), gram[:, 1:, 0].double()
    damped = normal + torch.diag_embed(normal.diagonal(dim1=1, dim2=2) * damping[:, None])
    return (_scaled_inverse(damped) @ gradient[..., None])[..., 0].to(gram.dtype)


def _scaled_inverse(normal: Float[Tensor, "batch n n"]) -> Float[Tensor, "batch n n"]:
    """Invert positive matrices of badly scaled rows; NaN for a matrix that cannot be inverted."""
    scale = normal.diagonal(dim1=1, dim2=2).clamp(min=1e-30).rsqrt()
    both = scale[:, :, None] * scale[:, None, :]
    factor, info = torch.linalg.cholesky_ex(normal * both)
    failed = info[:, None, None] > 0
    # One factor with a 0 on its diagonal would be an error for all of them.
    factor = torch.where(failed, torch.eye(normal.shape[1]).to(factor), factor)
    return torch.where(failed, torch.nan, torch.cholesky_inverse(factor) * both)
