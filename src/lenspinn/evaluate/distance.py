"""Mahalanobis distance of a point from a cloud of points, and the coordinates it is measured in."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

__all__ = ["Cloud", "FeatureSpace", "fit_cloud", "fit_feature_space"]

MAX_DIMENSIONS = 64
"""Principal components kept of a network's features: half a megabyte for 2,000 features."""
IMAGES_PER_DIMENSION = 5
"""Fewest images for each component that is kept."""
LEAST_SPREAD = 1e-3
"""Least standard deviation of a coordinate, relative to the root mean square of all: a feature
that is constant would put every other value infinitely far."""

Points = Float[np.ndarray, "points coordinates"]
Labels = Int[np.ndarray, " points"]


@dataclass(frozen=True, kw_only=True, eq=False)
class Cloud:
    """Cloud of points in groups that share one covariance."""

    centres: Float[np.ndarray, "groups coordinates"]
    precision: Float[np.ndarray, "coordinates coordinates"]
    """Inverse of the shared covariance."""

    def distance(self, points: Points) -> Float[np.ndarray, " points"]:
        """Mahalanobis distance to the nearest centre.

        References
        ----------
        Lee et al. (2018), arXiv:1807.03888, eq. 2.
        """
        offsets = points[:, None] - self.centres
        squares = np.einsum("pgi,ij,pgj->pg", offsets, self.precision, offsets)
        return np.sqrt(squares.min(axis=1).clip(min=0))


def fit_cloud(points: Points, labels: Labels) -> Cloud:
    """Fit one centre to each group and one covariance to all, shrunk where points are few.

    Parameters
    ----------
    points : (points, coordinates)
    labels : (points,)
        Group of each point, from 0; one without points has no centre.

    Notes
    -----
    The covariance is shrunk in units of each coordinate's own spread, towards uncorrelated ones.

    References
    ----------
    Chen, Wiesel, Eldar & Hero (2010), arXiv:0907.4698, eq. 23 (oracle approximating shrinkage).
    """
    groups, group_of = np.unique(labels, return_inverse=True)
    centres = np.stack([points[labels == group].mean(axis=0) for group in groups])
    inner = points - centres[group_of]
    spread = _spread(inner)
    unit = inner / spread
    number, size = unit.shape
    covariance = unit.T @ unit / number
    trace, square = np.trace(covariance), (covariance**2).sum()
    excess = square - trace**2 / size
    shrinkage = 1.0
    if excess > 0:
        numerator = (1 - 2 / size) * square + trace**2
        shrinkage = min(1.0, numerator / ((number + 1 - 2 / size) * excess))
    shrunk = (1 - shrinkage) * covariance + shrinkage * trace / size * np.eye(size)
    return Cloud(centres=centres, precision=np.linalg.inv(shrunk) / np.outer(spread, spread))


@dataclass(frozen=True, kw_only=True, eq=False)
class FeatureSpace:
    """Coordinates of low dimension for the features of a network."""

    mean: Float[np.ndarray, " features"]
    scale: Float[np.ndarray, " features"]
    """Standard deviation of each feature."""
    components: Float[np.ndarray, "dimensions features"]
    """Principal components of the scaled features, orthonormal."""

    def coordinates(
        self, features: Float[np.ndarray, "points features"]
    ) -> Float[np.ndarray, "points coordinates"]:
        """Return the position along each component, and the log length of the residual."""
        scaled = (features.astype(np.float64) - self.mean) / self.scale
        along = scaled @ self.components.T
        rest = (scaled**2).sum(axis=1) - (along**2).sum(axis=1)
        # Rounding of the features leaves something even where the components span everything.
        floor = np.finfo(np.float32).eps * scaled.shape[1]
        return np.column_stack([along, np.log(rest.clip(min=floor)) / 2])


def fit_feature_space(features: Float[np.ndarray, "points features"]) -> FeatureSpace:
    """Find the principal components of features, each first scaled to unit variance.

    The length of the residual outside the components is a further coordinate, so that an image that
    excites features as no calibration image did is noticed too.

    References
    ----------
    Wang et al. (2022), arXiv:2203.10807 (residual of the principal space, "ViM").
    """
    values = features.astype(np.float64)
    mean = values.mean(axis=0)
    scale = _spread(values - mean)
    _, _, components = np.linalg.svd((values - mean) / scale, full_matrices=False)
    kept = min(MAX_DIMENSIONS, max(1, len(values) // IMAGES_PER_DIMENSION))
    # As it is stored, so that a reference read back from disk gives the same numbers.
    rounded = components[:kept].astype(np.float32)
    return FeatureSpace(mean=mean, scale=scale, components=rounded)


def _spread(centred: Points) -> Float[np.ndarray, " coordinates"]:
    spread = np.sqrt((centred**2).mean(axis=0))
    overall = np.sqrt((spread**2).mean())
    return np.maximum(spread, LEAST_SPREAD * overall if overall > 0 else 1.0)
