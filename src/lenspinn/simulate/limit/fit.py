"""Fit of the best smooth model to an image, and its residual.

A model is any function of named parameters; its derivatives are its own, or taken by forward-mode
automatic differentiation. Everything is float64 and runs for a batch of lenses at once.
"""

import warnings
from collections.abc import Callable
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float
from torch import Tensor

__all__ = ["Fit", "Model", "Parameters", "fit_smooth", "jacobian", "unexplained"]

PerLens = Float[Tensor, "batch 1 1"]
Image = Float[Tensor, "batch y x"]
Parameters = dict[str, PerLens]
"""Values of a model's free parameters by name."""
Model = Callable[[Parameters], Image]
Columns = Float[Tensor, "batch pixels parameters"]
Pixels = Float[Tensor, "batch pixels"]

MAX_STEPS = 50
CONVERGED = 1e-3
"""Relative decrease of sqrt(chi^2) in another step, or absolute one where sqrt(chi^2) is below 1,
at which a fit ends. The reported value is that after this step."""
DEGENERATE = 1e-9
"""Effect on the image below which a combination of parameters counts as having none, relative to
the most effective combination, each parameter in units of its own effect."""
_FIRST_DAMPING, _LEAST_DAMPING = 1e-3, 1e-12


class Fit(NamedTuple):
    """Smooth models fitted to images."""

    parameters: Parameters
    residual: Float[Tensor, "batch pixels"]
    """Residual of the best smooth model, in units of the noise; its norm is the significance."""
    basis: Columns
    """Orthonormal images, in units of the noise, that span all small changes of the parameters; 0
    for degenerate combinations."""
    converged: Bool[Tensor, " batch"]

    @property
    def significance(self) -> Float[Tensor, " batch"]:
        """Square root of chi^2 of the best smooth model."""
        return torch.linalg.vector_norm(self.residual, dim=1)


class _Span(NamedTuple):
    """The images that small changes of the parameters make, by an orthonormal basis."""

    basis: Columns
    effect: Float[Tensor, "batch parameters"]
    """Singular value of each basis image: size of its change; 0 for degenerate combinations."""
    directions: Float[Tensor, "batch parameters parameters"]
    """Changes of the scaled parameters that make the basis images."""
    scale: Float[Tensor, "batch parameters"]
    """Norm of the column of each parameter."""


def fit_smooth(model: Model, start: Parameters, image: Image, sigma: Image) -> Fit:
    """Fit a model to noise-free images by damped Gauss-Newton steps.

    Parameters
    ----------
    model
        Function from parameters to images.
    start
        Parameters at which the fit begins; for images with substructure, the true ones.
    image, sigma : (B, y, x)
        Images and standard deviation of the noise that they would have.

    Returns
    -------
    Fit
        The fit, with the Asimov residual for noise-free images: its norm, the significance, is the
        expected ``sqrt(delta chi^2)`` between the true model and the best smooth one.

    Notes
    -----
    The residual is taken after a last linear step, which makes its error quadratic in the distance
    to the minimum. Steps that do not lower chi^2 are not taken, so a fit never leaves the valley it
    begins in, even where there is a deeper one.

    References
    ----------
    Levenberg (1944), Quart. Appl. Math. 2, 164; Asimov data: Cowan et al. (2011),
    arXiv:1007.1727, section 3.3.
    """
    names = list(start)
    at, residual = dict(start), _whitened(image - model(start), sigma)
    damping = torch.full((len(image), 1), _FIRST_DAMPING, dtype=image.dtype, device=image.device)
    for _ in range(MAX_STEPS):
        span = _span(jacobian(model, at) / sigma.flatten(1)[..., None])
        along = _along(span, residual)
        left = residual - _made_of(span, along)
        norm, norm_left = residual.norm(dim=1), left.norm(dim=1)
        converged = norm - norm_left <= CONVERGED * norm_left.clamp(min=1.0)
        if converged.all():
            break
        change = _step(span, along, damping)
        trial = {name: at[name] + change[:, i, None, None] for i, name in enumerate(names)}
        trial_residual = _whitened(image - model(trial), sigma)
        better = (trial_residual.norm(dim=1) < norm) & ~converged
        damping = torch.where(better[:, None], damping / 10, damping * 10).clamp(_LEAST_DAMPING)
        at = {n: torch.where(better[:, None, None], trial[n], at[n]) for n in names}
        residual = torch.where(better[:, None], trial_residual, residual)
    return Fit(at, left, span.basis, converged)


def unexplained(model: Model, at: Parameters, signal: Image, sigma: Image) -> Pixels:
    """Return the part of a signal that no small change of the parameters makes.

    Parameters
    ----------
    at
        Parameters around which the model is taken to be linear.
    signal, sigma : (B, y, x)
        Change of the images, and standard deviation of their noise.

    Returns
    -------
    (B, y x), in units of the noise
    """
    span = _span(jacobian(model, at) / sigma.flatten(1)[..., None])
    whitened = _whitened(signal, sigma)
    return whitened - _made_of(span, _along(span, whitened))


def jacobian(model: Model, at: Parameters) -> Columns:
    """Return the derivative of each pixel by each parameter, (B, y x, P).

    A model with a method ``jacobian`` gives its own.
    """
    own: Callable[[Parameters], Columns] | None = getattr(model, "jacobian", None)
    if own is not None:
        return own(at)

    def derivative(name: str) -> Pixels:
        def along(value: PerLens) -> Image:
            return model({**at, name: value})

        value = at[name]
        return torch.func.jvp(along, (value,), (torch.ones_like(value),))[1].flatten(1)

    with warnings.catch_warnings():
        # torch's own forward mode still imports what torch deprecates.
        warnings.filterwarnings("ignore", "`torch.jit.script` is deprecated", FutureWarning)
        return torch.stack([derivative(name) for name in at], dim=2)


def _whitened(image: Image, sigma: Image) -> Pixels:
    return (image / sigma).flatten(1)


def _span(columns: Columns) -> _Span:
    """Find an orthonormal basis of the space that columns span; degenerate ones become 0."""
    scale = columns.norm(dim=1)
    scale = torch.where(scale > 0, scale, 1.0)
    orthogonal, triangular = torch.linalg.qr(columns / scale[:, None])
    left, effect, right = torch.linalg.svd(triangular)
    kept = effect > DEGENERATE * effect[:, :1]
    return _Span(
        basis=(orthogonal @ left) * kept[:, None],
        effect=torch.where(kept, effect, 0.0),
        directions=right.mT,
        scale=scale,
    )


def _along(span: _Span, pixels: Pixels) -> Float[Tensor, "batch parameters"]:
    return torch.einsum("bnp,bn->bp", span.basis, pixels)


def _made_of(span: _Span, along: Tensor) -> Pixels:
    return torch.einsum("bnp,bp->bn", span.basis, along)


def _step(span: _Span, along: Tensor, damping: Tensor) -> Float[Tensor, "batch parameters"]:
    """Return the change of the parameters that explains ``along``, shortened by the damping."""
    strength = span.effect / (span.effect.square() + damping)
    scaled = torch.einsum("bpq,bq->bp", span.directions, strength * along)
    return scaled / span.scale
