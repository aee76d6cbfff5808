"""Accuracy of the best possible classifier."""

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

__all__ = ["ideal_confusion", "mean_interval"]

NUM_DRAWS = 4096
"""Number of quasi-random draws of the noise; they give a probability to about 1e-3."""
TIE = 1e-9
"""Difference of squared distances below which two classes are equally near."""
CONFIDENCE = 0.95
"""Coverage of `mean_interval`."""
NUM_RESAMPLES = 1000


def ideal_confusion(
    signals: Float[Tensor, "batch classes pixels"], seed: int
) -> Float[Tensor, "batch classes classes"]:
    """Return the probability that each class has the nearest signal, given the true class.

    Parameters
    ----------
    signals : (B, classes, pixels), in units of the noise
        Noise-free signals of the classes; only their differences matter.
    seed
        Seed of the draws of the noise.

    Returns
    -------
    (B, classes, classes)
        Rows are true classes and sum to 1. Equally near classes share.

    Notes
    -----
    With equal priors and white noise of variance 1 the most probable class is the one whose signal
    is nearest to the data, and no rule that knows these signals is right more often. Only noise in
    the space that their differences span matters: a plane for three classes.
    """
    points = _coordinates(signals)
    noise = _normal_draws(points.shape[2], seed).to(points)
    # |data - point|^2 without the part that is the same for all points
    by_noise = -2 * torch.einsum("sd,bjd->bsj", noise, points)
    by_signal = points.square().sum(dim=2)[:, None] - 2 * points @ points.mT
    confusion = []
    for true_class in range(points.shape[1]):
        squared = by_noise + by_signal[:, true_class, None]
        nearest = (squared <= squared.amin(dim=2, keepdim=True) + TIE).to(points)
        confusion.append((nearest / nearest.sum(dim=2, keepdim=True)).mean(dim=1))
    return torch.stack(confusion, dim=1)


def mean_interval(values: np.ndarray, seed: int) -> tuple[float, float, float]:
    """Return the mean of values and its 95 % percentile interval under resampling.

    Parameters
    ----------
    values : (n,)
    seed
        Seed of the resamples.
    """
    rows = np.random.default_rng(seed).integers(len(values), size=(NUM_RESAMPLES, len(values)))
    tails = (1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2
    low, high = np.quantile(values[rows].mean(axis=1), tails)
    return float(values.mean()), float(low), float(high)


def _coordinates(
    signals: Float[Tensor, "batch classes pixels"],
) -> Float[Tensor, "batch classes dimensions"]:
    """Return the signals in an orthonormal basis of the space that their differences span."""
    centred = signals - signals.mean(dim=1, keepdim=True)
    squared, vectors = torch.linalg.eigh(centred @ centred.mT)  # ascending; the first is 0
    return vectors[:, :, 1:] * squared[:, None, 1:].clamp(min=0).sqrt()


def _normal_draws(dimensions: int, seed: int) -> Float[Tensor, "draws dimensions"]:
    engine = torch.quasirandom.SobolEngine(dimensions, scramble=True, seed=seed)
    uniform = engine.draw(NUM_DRAWS, dtype=torch.float64)
    return torch.special.ndtri(uniform.clamp(1e-12, 1 - 1e-12))
