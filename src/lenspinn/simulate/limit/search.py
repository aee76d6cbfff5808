"""What a classifier would get right that must search for the subhalos.

That they are there changes the probability of the data by the factor ``E[p(data | subhalos) /
p(data | none)]``, a mean over their number, places and masses. For images linear in the deflection
and templates of different subhalos that do not overlap, the logarithm of the mean over a Poisson
process is ``sum over places and masses of n (exp(t s - t^2 F / 2) - 1)``: a place and mass has on
average ``n`` subhalos, of squared Einstein radius ``t``, and a template whose inner product with
the residual is ``s``, and with itself ``F``.
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
"""Lenses drawn together to measure a prior, and how often; 4 million subhalos in survey/hst."""
SEED = 0
NUM_SEARCHES = 4
"""Draws of the noise for each lens and class."""
BINS_PER_DECADE = 10
"""Of the squared Einstein radius, proportional to the mass: steps of 26 %, below its standard error
where a subhalo is just seen."""
RING = 0.05
"""Width of the rings in which places are counted, arcsec."""
_SURE = 50.0
"""Logarithm of the evidence from which on its terms other than the exponential vanish."""

PerImage = Float[Tensor, " batch"]


class SubhaloPrior(NamedTuple):
    """How many subhalos a lens has on average, by strength and by distance from its centre."""

    name: str
    """Of the class whose substructure they are."""
    strength: Float[Tensor, " bins"]
    """Squared Einstein radius, arcsec^2."""
    number: Float[Tensor, " bins"]
    """In one lens, wherever they are."""
    density: Float[Tensor, " rings"]
    """Of the place of one subhalo in each ring of width `RING`, 1/arcsec^2."""


class Templates(NamedTuple):
    """What a search needs to know of the images around a smooth model, in units of the noise."""

    by_source: Float[Tensor, "batch 2 y x"]
    """Derivatives by the x and y of the source."""
    basis: Float[Tensor, "batch parameters y x"]
    """Orthonormal images that small changes of the smooth parameters make."""
    radius: Float[Tensor, "batch y x"]
    """Distance of each pixel from the centre of the lens, arcsec."""
    pixel_scale: float
    """Arcsec."""


def subhalo_prior(recipe: Recipe) -> SubhaloPrior | None:
    """Measure the prior of the class of `PointSubhalos`, on draws of the population itself.

    Masses and places are independent there. None if the recipe has no such class, or several.
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
    """Return how often each class is the most probable one, given the true class.

    Parameters
    ----------
    signals : (B, classes, pixels), in units of the noise
        What the images of the classes would differ by without noise.
    templates
        Around the best smooth model of the images of each class.
    column
        The class that is searched for; of the others the classifier is told the signals.
    prior
        Of the subhalos of that class.
    seeds
        Of the noise of each lens, of which each class has `NUM_SEARCHES` draws.

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
        Of the subhalos.
    templates
        Where the pixels are.

    Notes
    -----
    Where the sum of the module is above 0, its logarithm with 1 added takes its place: the answer
    for at most one subhalo. One that stands out is found in several pixels, whose product would
    count it as several. The sign, which separates two classes, is the same.
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
