"""Test of whether an image is like the calibration images of a network.

Two or more scores are used, each high for images unlike the calibration images: the distance of the
network's features from those of every class; the distance of noise, brightness and sharpness from
those of the calibration images; and for a physics model the distance of the fitted lens from their
lenses, and scores such as the chi^2 of its fit. A network may be blind to a change that its
transform takes away, and the pixels to a change that only a network sees.

The scores are combined by a second ranking: each image is ranked by the score in which it is most
unlike the others, among calibration images that are ranked in the same way.
"""

from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float, Int

from lenspinn.evaluate.conformal import p_values
from lenspinn.evaluate.distance import Cloud, FeatureSpace, fit_cloud, fit_feature_space
from lenspinn.evaluate.fitted import lens_coordinates
from lenspinn.evaluate.predict import Outputs

__all__ = ["FEATURES", "LENS", "PIXELS", "ShiftReference", "fit_reference"]

FEATURES, PIXELS = "features", "pixels"
"""Names of the scores that every model has."""
LENS = "lens"
"""Name of the further score of a model that fits the lens."""

PerImage = Float[np.ndarray, " images"]
Scores = dict[str, PerImage]


@dataclass(frozen=True, kw_only=True, eq=False)
class ShiftReference:
    """Distribution of the calibration images in features, pixel statistics and fitted lenses."""

    space: FeatureSpace
    features: Cloud
    """Cloud of the features, with one centre a class, in `space`."""
    pixels: Cloud
    """Cloud of the pixel statistics, with one centre."""
    lens: Cloud | None
    """Cloud of `lenspinn.evaluate.fitted.lens_coordinates`, with one centre; None where no lens is
    fitted."""
    ranked: Scores
    """Scores of calibration images to which nothing here was fitted, in one order."""

    def p_values(self, outputs: Outputs) -> tuple[PerImage, Scores]:
        """Return the p-value of each image, and that of each of its scores.

        Notes
        -----
        Scores of the model that the calibration images did not have are left out. The p-value of a
        score is that of `lenspinn.evaluate.conformal.p_values`. For all together, each calibration
        image is ranked among the others by each score, and the smallest of its ranks counts; new
        images are ranked by theirs among these. Unlike Bonferroni's correction this asks for no
        more than is needed where scores agree, and images like the calibration images still have
        P(p <= a) <= a for any a.
        """
        found = self.scores(outputs)
        own = np.min([_num_above(r, r) - 1 for r in self.ranked.values()], axis=0)
        new = np.min([_num_above(r, found[name]) for name, r in self.ranked.items()], axis=0)
        by_score = {name: p_values(r, found[name]) for name, r in self.ranked.items()}
        return p_values(-own, -new), by_score

    def scores(self, outputs: Outputs) -> Scores:
        """Return the scores of images by name: high for images unlike the calibration images."""
        lens = {}
        if self.lens is not None:
            lens[LENS] = self.lens.distance(lens_coordinates(outputs.fitted))
        return {
            FEATURES: self.features.distance(self.space.coordinates(outputs.features)),
            PIXELS: self.pixels.distance(outputs.pixels),
            **lens,
            **outputs.scores,
        }


def fit_reference(
    fitted: Outputs, labels: Int[np.ndarray, " images"], ranked: Outputs
) -> ShiftReference:
    """Learn the distribution of images.

    Parameters
    ----------
    fitted
        Outputs for the images to which centres and covariances are fitted.
    labels : (images,)
        Classes of these images.
    ranked
        Outputs for other images, among whose scores new ones are ranked: the scores of the fitted
        images are too small.
    """
    space = fit_feature_space(fitted.features)
    pixels = fitted.pixels.astype(np.float64)
    reference = ShiftReference(
        space=space,
        features=fit_cloud(space.coordinates(fitted.features), labels),
        pixels=fit_cloud(pixels, np.zeros_like(labels)),
        lens=_lens_cloud(fitted) if fitted.fitted else None,
        ranked={},
    )
    return replace(reference, ranked=reference.scores(ranked))


def _lens_cloud(fitted: Outputs) -> Cloud:
    """Fit the cloud of lenses; one whose fit failed is left out."""
    coordinates = lens_coordinates(fitted.fitted)
    coordinates = coordinates[np.isfinite(coordinates).all(axis=1)]
    return fit_cloud(coordinates, np.zeros(len(coordinates), dtype=np.int64))


def _num_above(calibration: Float[np.ndarray, " ranked"], scores: PerImage) -> PerImage:
    """Return the number of calibration images whose score is at least as high as each score."""
    lower = np.searchsorted(np.sort(calibration), scores, side="left")
    return (len(calibration) - lower).astype(np.float64)
