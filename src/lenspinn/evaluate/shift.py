"""Whether an image is like those that a network's answers were checked on.

Two scores or more are looked at, each high for images unlike the calibration images: how far the
features of the network lie from those of any class, how far noise, brightness and sharpness of the
pixels lie from theirs, and what a physics model adds, such as the chi^2 of its fit. A network may
be blind to a change that its transform takes away, and the pixels to a change that only a network
sees.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from lenspinn.evaluate.conformal import p_values
from lenspinn.evaluate.distance import Cloud, FeatureSpace, fit_cloud, fit_feature_space
from lenspinn.evaluate.predict import Outputs

__all__ = ["FEATURES", "PIXELS", "ShiftReference", "combined", "fit_reference"]

FEATURES, PIXELS = "features", "pixels"
"""Names of the scores that every model has."""

Scores = dict[str, Float[np.ndarray, " images"]]


@dataclass(frozen=True, kw_only=True, eq=False)
class ShiftReference:
    """What calibration images look like."""

    space: FeatureSpace
    features: Cloud
    """One centre a class, in `space`."""
    pixels: Cloud
    """One centre."""
    ranked: Scores
    """Scores of calibration images that nothing here was fitted to, rising."""

    def p_values(self, outputs: Outputs) -> Scores:
        """Return the p-value of each image by score; see `lenspinn.evaluate.conformal.p_values`.

        Scores of the model that the calibration images did not have are left out.
        """
        found = self.scores(outputs)
        return {name: p_values(ranked, found[name]) for name, ranked in self.ranked.items()}

    def scores(self, outputs: Outputs) -> Scores:
        """Return how unlike the calibration images each image is, by score."""
        return {
            FEATURES: self.features.distance(self.space.coordinates(outputs.features)),
            PIXELS: self.pixels.distance(outputs.pixels),
            **outputs.scores,
        }


def fit_reference(
    fitted: Outputs, labels: Int[np.ndarray, " images"], ranked: Outputs
) -> ShiftReference:
    """Learn what images are like.

    Parameters
    ----------
    fitted
        Of the images that centres and covariances are fitted to.
    labels : (images,)
        Their classes.
    ranked
        Of other images, whose scores new ones are ranked among: those of the fitted images are too
        small.
    """
    space = fit_feature_space(fitted.features)
    pixels = fitted.pixels.astype(np.float64)
    reference = ShiftReference(
        space=space,
        features=fit_cloud(space.coordinates(fitted.features), labels),
        pixels=fit_cloud(pixels, np.zeros_like(labels)),
        ranked={},
    )
    scores = {name: np.sort(values) for name, values in reference.scores(ranked).items()}
    return ShiftReference(
        space=space, features=reference.features, pixels=reference.pixels, ranked=scores
    )


def combined(by_score: Scores) -> Float[np.ndarray, " images"]:
    """Combine p-values of the same images: the smallest, times how many there are, at most 1.

    Bonferroni's correction: however the scores hang together, P(result <= a) <= a holds if it does
    for each of them. Where they agree it asks for more than is needed.
    """
    smallest = np.minimum.reduce(list(by_score.values()))
    return np.minimum(1.0, len(by_score) * smallest)
