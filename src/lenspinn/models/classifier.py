"""Contract that every model keeps: image in, logits out, and the facts that others need to know.

Images are solved once: `Classifier.solve` finds what is costly to compute, such as the lens model
of each image. Logits, Grad-CAM and reconstruction read the `Solution` that it returns.
`Classifier.solve` finds. Logits, Grad-CAM and reconstruction read its `Solution`.
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

from lenspinn.data.transforms import TRANSFORMS
from lenspinn.errors import ModelError
from lenspinn.fitting.gaussians import LightShape
from lenspinn.fitting.smooth import SmoothParameters
from lenspinn.models.quantities import Prediction, Quantity
from lenspinn.models.reconstruction import Reconstruction

CLASSES = ("axion", "cdm", "no_sub")
"""Class names in the order of the logits: the alphabetical order of the DeepLense folders."""

Image = Float[Tensor, "batch 1 y x"]
Channels = Float[Tensor, "batch channels y x"]
Pixels = Float[np.ndarray, "batch 1 y x"] | Float[np.ndarray, "y x"]
Features = Float[Tensor, "batch features"]
Logits = Float[Tensor, "batch classes"]
PerImage = Float[Tensor, " batch"]

FEWEST_COMPILED = 64
"""Fewest images for which it pays to compile the fit of a network."""


@dataclass(frozen=True, kw_only=True)
class ImageOptions:
    """Size, pixel scale and classes of the images that a network takes: options of all networks.

    Raises
    ------
    ModelError
        An option is out of range.
    """

    num_pix: int = 64
    """Pixels a side of the square images."""
    pixel_scale: float = 0.08
    """Pixel scale, arcsec per pixel."""
    classes: Sequence[str] = CLASSES
    """Class names in the order of the logits."""

    def __post_init__(self) -> None:
        if self.num_pix < 2:
            raise ModelError(f"num_pix is {self.num_pix}; an image has at least 2 pixels a side")
        if not (math.isfinite(self.pixel_scale) and self.pixel_scale > 0):
            raise ModelError(
                f"pixel_scale is {self.pixel_scale}; it must be positive arcsec per pixel"
            )
        if len(set(self.classes)) != len(self.classes) or len(self.classes) < 2:
            raise ModelError(
                f"classes are {list(self.classes)}; two or more different names are needed"
            )


class NetworkInput(NamedTuple):
    """Images as a network takes them, and what is known of them; only the image is required.

    A network that fits the lens takes what is left out from its options, or guesses it; other
    networks need the image alone.
    """

    image: Image
    """Images in the unit that the network takes (`Classifier.takes_unit`)."""
    noise: Float[Tensor, "batch y x"] | None = None
    """Standard deviation of each pixel, in the unit of the image; ``inf`` leaves one out."""
    psf: Float[Tensor, "v u"] | None = None
    """PSF sampled in pixels of the image, of sum 1."""
    start: SmoothParameters | None = None
    """Parameters at which the fit of the lens begins."""
    lens_light: LightShape | None = None
    """Shape of the lens light that was subtracted, perhaps too little or too much of it."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Solution:
    """Findings of a network about images before it classifies them; in this base class none."""

    observed: NetworkInput

    @property
    def image(self) -> Image:
        """Images as they are classified: without the lens light that the solution found."""
        return self.observed.image


class Examination(NamedTuple):
    """Everything that a model says of images."""

    features: Features
    logits: Logits
    quantities: Prediction
    """Predictions of `Classifier.quantities` for each image, in their order; a quantity of one
    class is what the image would have if it were of that class."""
    shift_scores: dict[str, PerImage]
    """Scores by name, defined by the model: high for images unlike those it was trained for."""
    theta_E: PerImage | None = None
    """Einstein radius, arcsec; None for a model without one. It is a measurement of the lens only
    with `measures_theta_E`."""
    theta_E_error: PerImage | None = None
    """Standard error of `theta_E`, arcsec; None for a model that gives none."""
    fitted: dict[str, PerImage] | None = None
    """Fitted parameters by name (`LensSolution.fitted`); None for a model that fits no lens."""


class Classifier(nn.Module, ABC):
    """Base of all models: `forward(image) -> logits`, without softmax.

    A model owns its preprocessing, so it cannot be fed wrong pixels: it takes images as they are
    stored (e-/s) and applies the transform named in its options itself.

    Parameters
    ----------
    images : size, pixel scale and classes of the images that the model takes.
    transform : name of the preprocessing, a key of `lenspinn.data.transforms.TRANSFORMS`; or
        several joined by "+", such as "min_max+paper", each of which becomes one input channel.
    cam_layer : dotted name of the submodule whose output is the natural map for Grad-CAM.

    Raises
    ------
    ModelError
        The transform is unknown, or names several where the model takes one.
    """

    one_transform: ClassVar[bool] = False
    """Whether the architecture takes a single input channel, and so the name of one transform."""

    config: dict[str, Any]
    """Name and options, `{"name": ..., "options": {...}}`, with which `create_model` builds this
    model again."""
    takes_unit: str | None = None
    """Unit that the images must have; None where only ratios of pixels matter."""
    truth_keys: tuple[str, ...] = ()
    """Names of the true values of each image that `training_outputs` reads."""
    quantities: tuple[Quantity, ...] = ()
    """Numbers that the model predicts of an image beside the class."""
    measures_theta_E: bool = False
    """Whether the Einstein radii that the model gives are measurements of the lenses."""

    checks_values: bool = True
    """Whether images that have no finite value after preprocessing are refused in evaluation. A
    graph that is traced cannot do that: it holds no decision that depends on pixels."""

    def __init__(self, images: ImageOptions, *, transform: str, cam_layer: str) -> None:
        super().__init__()
        names = transform.split("+")
        for name in names:
            if name not in TRANSFORMS:
                known = ", ".join(TRANSFORMS)
                raise ModelError(f"there is no transform '{name}'; the transforms are {known}")
        if self.one_transform and len(names) > 1:
            raise ModelError(
                f"transform is '{transform}'; {type(self).__name__} takes one transform, not "
                f"{len(names)}"
            )
        self.num_pix = images.num_pix
        self.pixel_scale = images.pixel_scale
        self.classes = tuple(images.classes)
        self.transform = transform
        self.num_channels = len(names)
        self.cam_layer = cam_layer

    def forward(self, image: Image) -> Logits:
        """Logits of a batch of images: unbounded scores, one a class; softmax is the caller's."""
        return self.forward_head(self.forward_features(image))

    @abstractmethod
    def forward_features(self, image: Image) -> Features:
        """Feature vector of each image."""

    @abstractmethod
    def forward_head(self, features: Features) -> Logits:
        """Logits from feature vectors."""

    def solve(self, observed: NetworkInput, *, compiled: bool = True) -> Solution:
        """Find out what is costly to compute about images, once; all other methods read it.

        Parameters
        ----------
        observed
        compiled
            Whether a fit may be compiled: compilation takes a minute or more, which pays from
            `FEWEST_COMPILED` images on.
        """
        return Solution(observed=observed)

    def classifier_of(self, solution: Solution) -> tuple[Channels, Callable[[Channels], Logits]]:
        """Return the maps that classification begins with, and the function from them to logits.

        Grad-CAM explains this part of a network, which contains the layer `cam_layer`; in this base
        class it is the whole network.
        """
        return solution.image, self

    def examine(self, image: Image | Solution) -> Examination:
        """Return all that the model says of images or of their solution: features and logits."""
        pixels = self.solved(image).image
        features = self.forward_features(pixels)
        logits = self.forward_head(features)
        return Examination(features, logits, Prediction.of_nothing(pixels), shift_scores={})

    def reconstruct(self, image: Image | Pixels | Solution) -> Reconstruction | None:
        """Return lens and source of images or of their solution; None of a model without physics.

        Parameters
        ----------
        image : (batch, 1, y, x), tensor or array, or an array (y, x), in the unit the model takes;
            or the solution that `solve` returned for them
        """
        return None

    def solved(self, image: Image | Pixels | Solution) -> Solution:
        """Return the solution of images, tensors or arrays, unless it is one already."""
        if isinstance(image, Solution):
            return image
        if isinstance(image, np.ndarray):
            device = next(self.parameters()).device
            pixels = np.array(image, dtype=np.float32).reshape(-1, 1, *image.shape[-2:])
            image = torch.from_numpy(pixels).to(device)
        return self.solve(NetworkInput(image))

    def training_outputs(
        self, image: Image, truth: Mapping[str, PerImage]
    ) -> tuple[Logits, Tensor | float]:
        """Return the logits, and the loss that training adds to their cross-entropy: 0 by default.

        Parameters
        ----------
        truth
            True values by name (`truth_keys`), each (batch,); NaN where a value is unknown, or is a
            quantity that the class of the image does not have.
        """
        return self(image), 0.0

    def preprocess(self, image: Image) -> Channels:
        """Apply the model's named transforms, as `forward` does: `num_channels` maps an image.

        Raises
        ------
        ModelError
            The images are not single-channel squares of `num_pix` pixels a side; or, in evaluation
            mode and with `checks_values`, the transform has no finite value for one of them.
        """
        expected = (1, self.num_pix, self.num_pix)
        if tuple(image.shape[1:]) != expected:
            raise ModelError(
                f"images have shape {tuple(image.shape)}; this model takes (batch, 1, "
                f"{self.num_pix}, {self.num_pix})"
            )
        transforms = [TRANSFORMS[name] for name in self.transform.split("+")]
        preprocessed = torch.cat([transform(image) for transform in transforms], dim=1)
        if self.checks_values and not self.training:  # training stops at a loss that is not finite
            finite = preprocessed.isfinite().flatten(1).all(dim=1)
            if not finite.all():
                raise ModelError(self._why_not_finite(image[~finite], len(image)))
        return preprocessed

    def _why_not_finite(self, images: Image, num_images: int) -> str:
        """Say what is wrong with images for which the transforms have no finite value."""
        of = f"{len(images)} of {num_images} images"
        num_bad = int((~images.isfinite()).sum())
        if num_bad:
            return (
                f"{of} have {num_bad} pixels that are NaN or infinite: give the images without "
                "them, or a mask that leaves them out"
            )
        names = [
            name
            for name in self.transform.split("+")
            if not TRANSFORMS[name](images).isfinite().all()
        ]
        num_dark = int((images <= 0).sum())
        reason = f", of which {num_dark} pixels are <= 0" if num_dark else ""
        return (
            f"the network's transform '{'+'.join(names)}' has no value for {of}{reason}: use a "
            "network trained with the transform 'noise_safe'"
        )
