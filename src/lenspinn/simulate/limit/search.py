"""Accuracy of a classifier that must search for the subhalos.

Subhalos change the probability of the data by the factor
``E[p(data | subhalos) / p(data | none)]``, a mean over their number, places and masses. For images
linear in the deflection and templates of different subhalos that do not overlap, the logarithm of
the mean over a Poisson process is ``sum over places and masses of n (exp(t s - t^2 F / 2) - 1)``:
a place and mass has on average ``n`` subhalos, of squared Einstein radius ``t``, and a template
whose inner product with the residual is ``s``, and with itself ``F``.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from lenspinn.fitting.scan import PointMassScan, score_point_masses
from lenspinn.simulate.populations.base import MainLens
from lenspinn.simulate.populations.point_subhalos import PointSubhalos
from lenspinn.simulate.recipes import Recipe

__all__ = [
    "SubhaloPrior",
    "Templates",
    "log_evidence",
    "searching_confusion",
    "subhalo_prior",
]

NUM_LENSES, CHUNKS = 4096, 40
"""Number of lenses in a draw to measure a prior, and of draws; 4 million subhalos in survey/hst."""
SEED = 0
NUM_SEARCHES = 4
"""Number of draws of the noise for each lens and class."""
BINS_PER_DECADE = 10
"""Number of bins per decade of the squared Einstein radius, which is proportional to the mass:
steps of 26 %, below its standard error where a subhalo is just seen."""
RING = 0.05
"""Width of the rings in which places are counted, arcsec."""
_SURE = 50.0
"""Logarithm of the evidence above which its terms other than the exponential vanish."""

PerImage = Float[Tensor, " batch"]


class SubhaloPrior(NamedTuple):
    """Mean number of subhalos of a lens, by strength and by distance from the lens centre."""

    name: str
    """Name of the class whose substructure the subhalos are."""
    strength: Float[Tensor, " bins"]
    """Squared Einstein radius, arcsec^2."""
    number: Float[Tensor, " bins"]
    """Mean number of subhalos of each strength in one lens, at any distance."""
    density: Float[Tensor, " rings"]
    """Probability density of the place of a subhalo in each ring of width `RING`, 1/arcsec^2."""


class Templates(NamedTuple):
    """Derivatives of images around a smooth model, for a search, in units of the noise."""

    by_source: Float[Tensor, "batch 2 y x"]
    """Derivatives of the image by the x and y of the source, 1/arcsec."""
    basis: Float[Tensor, "batch parameters y x"]
    """Orthonormal images that small changes of the smooth parameters make."""
    radius: Float[Tensor, "batch y x"]
    """Distance of each pixel from the centre of the lens, arcsec."""
    pixel_scale: float
    """Pixel scale, arcsec."""


def subhalo_prior(recipe: Recipe) -> SubhaloPrior | None:
    """Measure the prior of the class of `PointSubhalos`, on draws of the population itself.

    Masses and places are independent in that population. None if the recipe has no such class, or
    several.
    """
    named = [n for n, found in recipe.populations.items() if isinstance(found, PointSubhalos)]
    if len(named) != 1:
        return None
    zero = np.zeros(NUM_LENSES)
    lens = MainLens(zero, zero, zero + 1.0, recipe.lens_plane, recipe.faults)
    rng = np.random.default_rng(SEED)
    logs, radii = [], []
    for _ in range(CHUNKS):
        points = recipe.populations[named[0]].draw(rng, lens).points
        assert points is not None  # those of `PointSubhalos`
        used = points.mass > 0
        logs.append(2 * np.log10(points.theta_E[used]))
        radii.append(np.hypot(points.x[used], points.y[used]))
    log_strength, radius = np.concatenate(logs), np.concatenate(radii)
    low, high = log_strength.min(), log_strength.max()
    edges = np.linspace(low, high, max(2, int(BINS_PER_DECADE * (high - low)) + 2))
    counts, _ = np.histogram(log_strength, edges)
    rings = np.arange(0, radius.max() + RING, RING)
    places, _ = np.histogram(radius, np.append(rings, rings[-1] + RING))
    area = np.pi * ((rings + RING) ** 2 - rings**2)
    return SubhaloPrior(
        name=named[0],
        strength=torch.from_numpy(10 ** ((edges[1:] + edges[:-1]) / 2)),
        number=torch.from_numpy(counts / (NUM_LENSES * CHUNKS)),
        density=torch.from_numpy(places / len(radius) / area),
    )


def searching_confusion(
    signals: Float[Tensor, "batch classes pixels"],
    templates: Sequence[Templates],
    column: int,
    prior: SubhaloPrior,
    seeds: Sequence[tuple[int, int]],
) -> Float[Tensor, "batch classes classes"]:
    """Return the share of images for which each class is the most probable, given the true class.

    Parameters
    ----------
    signals : (B, classes, pixels), in units of the noise
        Noise-free residuals of the images of the classes from their best smooth models.
    templates
        Templates around the best smooth model of the images of each class.
    column
        Number of the class that is searched for; the classifier is told the signals of the others.
    prior
        Prior of the subhalos of that class.
    seeds
        Seeds of the noise of each lens; each class has `NUM_SEARCHES` draws.

    Returns
    -------
    (B, classes, classes)
        Rows are true classes and sum to 1.
    """
    generators = [np.random.default_rng(seed) for seed in seeds]
    half_squares = signals.square().sum(dim=2) / 2
    confusion = torch.zeros(signals.shape[0], signals.shape[1], signals.shape[1]).to(signals)
    for true_class, there in enumerate(templates):
        for _ in range(NUM_SEARCHES):
            noise = np.stack([each.standard_normal(signals.shape[2]) for each in generators])
            data = signals[:, true_class] + torch.from_numpy(noise)
            log_ratio = torch.einsum("bcp,bp->bc", signals, data) - half_squares
            log_ratio[:, column] = log_evidence(_scan(data, there), prior, there)
            answer = functional.one_hot(log_ratio.argmax(dim=1), signals.shape[1])
            confusion[:, true_class] += answer / NUM_SEARCHES
    return confusion


def log_evidence(scan: PointMassScan, prior: SubhaloPrior, templates: Templates) -> PerImage:
    """Return the logarithm of how much likelier subhalos make the data, for each image.

    Parameters
    ----------
    scan
        Significance ``s / sqrt(F)`` and error ``1 / sqrt(F)`` of a point mass in each pixel.
    prior
        Prior of the subhalos.
    templates
        Templates, for the positions of the pixels.

    Notes
    -----
    Where the sum S over places and masses (docstring of this module) is above 0, ``log(1 + S)``
    takes its place: the answer for at most one subhalo. A subhalo that stands out is found in
    several pixels, whose product would count it several times. S and ``log(1 + S)`` have the same
    sign, which is what separates two classes.
    """
    ring = (templates.radius / RING).long()
    inside = ring < len(prior.density)
    density = torch.where(inside, prior.density[ring.clamp(max=len(prior.density) - 1)], 0.0)
    places = density.flatten(1) * templates.pixel_scale**2
    error = scan.strength_error.flatten(1).double()
    strength = prior.strength[:, None] / error[:, None]  # (batch, bins, pixels)
    gain = strength * scan.significance.flatten(1).double()[:, None] - strength**2 / 2
    weight = (prior.number[:, None] * places[:, None]).log()
    log_sum = (gain + weight).flatten(1).logsumexp(dim=1)
    excess = log_sum.clamp(max=_SURE).exp() - prior.number.sum() * places.sum(dim=1)
    certain = torch.where(excess > 0, excess.clamp(min=0).log1p(), excess)
    return torch.where(log_sum > _SURE, log_sum, certain)


def _scan(data: Float[Tensor, "batch pixels"], templates: Templates) -> PointMassScan:
    basis = templates.basis
    covariance = torch.eye(basis.shape[1]).to(basis).expand(len(basis), -1, -1)
    return score_point_masses(
        data.unflatten(1, basis.shape[2:]),
        templates.by_source,
        basis,
        covariance,
        pixel_scale=templates.pixel_scale,
    )
