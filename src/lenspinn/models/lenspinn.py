"""LensPINN: a classifier of the image, its edges and the source behind the lens.

Ojha, Toomey, Gleyzer & Kumbam, "LensPINN: Physics Informed Neural Network for Learning Dark
Matter Morphology in Lensing", NeurIPS ML4PS 2024. A vision transformer predicts the Einstein
radius, the inverse-lens layer reconstructs the source with it, and convolutional networks compare
source and image. Differences from the authors' code, each on purpose:

- The inverse-lens layer is differentiable (see `inverse_lens`); theirs gives the transformer no
  gradient.
- The network returns logits; theirs ends in a softmax under a loss that applies one more.
- Image and source pass the shared CNN as one batch, so batch normalisation sees in training the
  mixture that its running statistics describe in evaluation.
- Modules that never act are left out; the authors' parameter counts include almost a million of
  their parameters. As many went into a hidden layer that reads theta_E off the tokens, where each
  costs only one multiplication an image, so that the sizes agree with the paper's to 0.2 %.
"""

import math
from collections.abc import Mapping
from typing import Any, NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn

from lenspinn.data.transforms import min_max
from lenspinn.errors import ModelError
from lenspinn.lensing.raytrace import SourceImage, relens
from lenspinn.models.baselines import timm_cam_layer, timm_cnn
from lenspinn.models.classifier import (
    Classifier,
    Examination,
    Features,
    Image,
    ImageOptions,
    Logits,
    PerImage,
    Pixels,
    Solution,
)
from lenspinn.models.inverse_lens import InverseLens
from lenspinn.models.layers import (
    EqualizedLinear,
    LocalitySelfAttention,
    ShiftedPatchTokens,
    TransformerBlock,
    refuse_single_patch,
)
from lenspinn.models.quantities import Prediction
from lenspinn.models.reconstruction import Reconstruction
from lenspinn.models.registry import register_model
from lenspinn.models.self_consistency import radius_error, self_consistency

# Settings of the authors: four tokens of 32 x 32 pixels on a 64 x 64 image.
PATCH_SIZE = 32
TOKEN_DIM = 384
NUM_HEADS = 16
MLP_DIM = 64
READOUT_DIM = 640  # not the authors': brings the parameters to the published number
CNN_FEATURES = 1000  # the CNNs keep their 1000-way heads
HEAD_DIM = 64
DROPOUT = 0.1

EinsteinRadius = str | float
"""Origin of the Einstein radius; see `LensPINN`."""


SMALL, LARGE = "mobilenetv3_small_050", "efficientnet_b0"
"""timm's names of the paper's CNNs."""


class Look(NamedTuple):
    """Intermediate results of the network for a batch of images."""

    features: Features
    scaled: Image
    """Image, min-max scaled."""
    theta_E: PerImage | None
    """Einstein radius, arcsec; None, as `source`, for a network without a source branch."""
    source: SourceImage | None


class EinsteinRadiusEncoder(nn.Module):
    """One-block vision transformer from an image to its Einstein radius.

    Parameters
    ----------
    num_pix : pixels a side of the image.
    max_theta_E : upper bound of the prediction, arcsec.

    Notes
    -----
    A sigmoid keeps theta_E in (0, `max_theta_E`). Training starts close to the middle, a quarter
    of the field for `InverseLens.max_theta_E`, where the sigmoid is steepest.

    Trained by the classification loss alone, as in the paper, theta_E becomes whatever helps to
    tell the classes apart. It is no measurement: on data sets of equal lenses, training runs that
    classify equally well end at different values. `theta_E_weight` and `consistency_weight` of
    `LensPINN` make it one.
    """

    def __init__(self, num_pix: int, max_theta_E: float) -> None:
        super().__init__()
        self.max_theta_E = max_theta_E
        self.tokens = ShiftedPatchTokens(num_pix, patch_size=PATCH_SIZE, dim=TOKEN_DIM)
        num_tokens = self.tokens.num_tokens
        attention = LocalitySelfAttention(
            TOKEN_DIM, num_heads=NUM_HEADS, head_dim=TOKEN_DIM // NUM_HEADS, num_tokens=num_tokens
        )
        self.block = TransformerBlock(TOKEN_DIM, attention, mlp_dim=MLP_DIM)
        self.readout = nn.Sequential(
            nn.Flatten(),
            nn.LayerNorm(num_tokens * TOKEN_DIM),
            EqualizedLinear(num_tokens * TOKEN_DIM, READOUT_DIM, std=1.0),
            nn.GELU(),
            # Small, so that all images start near the middle; 0 would stop the gradient.
            EqualizedLinear(READOUT_DIM, 1, std=0.1),
        )

    def forward(self, image: Image) -> Float[Tensor, " batch"]:
        """Einstein radii in arcsec of images scaled to 0..1."""
        score = self.readout(self.block(self.tokens(image))).squeeze(1)
        return self.max_theta_E * torch.sigmoid(score)


class ConstantEinsteinRadius(nn.Module):
    """Constant Einstein radius for every image, in the place of an encoder.

    Parameters
    ----------
    theta_E : Einstein radius, arcsec.
    max_theta_E : upper bound, arcsec.

    Raises
    ------
    ModelError
        The radius is not in (0, `max_theta_E`].
    """

    def __init__(self, theta_E: float, max_theta_E: float) -> None:
        super().__init__()
        if not 0 < theta_E <= max_theta_E:
            raise ModelError(
                f"einstein_radius is {theta_E}; it must be positive and at most {max_theta_E:.3g} "
                "arcsec, half of the field"
            )
        self.theta_E = theta_E

    def forward(self, image: Image) -> Float[Tensor, " batch"]:
        """Return the radius, arcsec, for each image."""
        return image.new_full((image.shape[0],), self.theta_E)


class LensPINN(Classifier):
    """Network of the paper; `lenspinn_small` and `lenspinn_large` choose its CNNs.

    Parameters
    ----------
    cnn : timm's name of both convolutional networks.
    images, transform
        See `Classifier`.
    pretrained
        See `timm_cnn`; the transformer and the head always start from random weights.
    einstein_radius : "learnt" by the encoder, or an ablation: "frozen", an encoder that keeps its
        random weights; a number, arcsec, in the place of the encoder; "none", a network without a
        source, in which the features of the image take the place of image minus source.
    integer_scatter : an ablation; see `InverseLens`.
    theta_E_weight : weight in the training loss of the encoder's error against the true Einstein
        radius; with 0, as in the paper, no truth is read. Images of unknown truth do not count.
    consistency_weight : weight in the training loss of `self_consistency`, which needs no truth.

    Raises
    ------
    ModelError
        An option is out of range, or pretrained weights cannot be had.
    """

    one_transform = True

    shared_cnn: Any  # with the methods that all networks of timm have

    def __init__(
        self,
        cnn: str,
        images: ImageOptions,
        *,
        transform: str,
        pretrained: bool | str,
        einstein_radius: EinsteinRadius,
        integer_scatter: bool,
        theta_E_weight: float = 0.0,
        consistency_weight: float = 0.0,
    ) -> None:
        super().__init__(
            images,
            transform=transform,
            # The CNN of the preprocessed image: the shared one sees each image twice, as itself
            # and as its source, so its maps do not match the batch.
            cam_layer=f"preprocessed_cnn.{timm_cam_layer(cnn, images.num_pix)}",
        )
        num_pix = images.num_pix
        refuse_single_patch("LensPINN", num_pix, PATCH_SIZE)
        self.inverse_lens = InverseLens(
            num_pix, images.pixel_scale, integer_scatter=integer_scatter
        )
        self.encoder = _encoder(einstein_radius, num_pix, self.inverse_lens.max_theta_E)
        for name, weight in _weights(theta_E_weight, consistency_weight).items():
            if weight and einstein_radius != "learnt":
                raise ModelError(
                    f"{name} is {weight}, but einstein_radius is {einstein_radius!r}: an encoder "
                    f"learns only where that is 'learnt'; leave one of the two out"
                )
        self.theta_E_weight, self.consistency_weight = theta_E_weight, consistency_weight
        self.truth_keys = ("theta_E",) if theta_E_weight else ()
        self.measures_theta_E = bool(theta_E_weight or consistency_weight)
        shared_cnn: Any = timm_cnn(cnn, num_classes=CNN_FEATURES, pretrained=pretrained)
        # A bias would cancel in the difference of image and source features and never learn.
        shared_cnn.get_classifier().register_parameter("bias", None)
        self.shared_cnn = shared_cnn
        self.preprocessed_cnn = timm_cnn(cnn, num_classes=CNN_FEATURES, pretrained=pretrained)
        self.head = nn.Sequential(
            nn.Linear(2 * CNN_FEATURES, HEAD_DIM),
            nn.ELU(),
            nn.Dropout(DROPOUT),
            nn.Linear(HEAD_DIM, HEAD_DIM),
            nn.ELU(),
            nn.Dropout(DROPOUT),
            nn.Linear(HEAD_DIM, len(self.classes)),
        )

    def forward_features(self, image: Image) -> Features:
        """Features of image minus source, and of the preprocessed image: (batch, 2000)."""
        return self._look(image).features

    def _look(self, image: Image) -> Look:
        preprocessed = self.preprocess(image)
        scaled = min_max(image)
        theta_E, source = None, None
        if self.encoder is None:
            compared = self.shared_cnn(scaled)
        else:
            theta_E = self.encoder(scaled)
            source = self.inverse_lens(scaled[:, 0], theta_E)
            both = torch.cat([scaled, source.source[:, None]])
            of_image, of_source = self.shared_cnn(both).unflatten(0, (2, -1))
            compared = of_image - of_source
        features = torch.cat([compared, self.preprocessed_cnn(preprocessed)], dim=1)
        return Look(features, scaled, theta_E, source)

    def forward_head(self, features: Features) -> Logits:
        """Logits from the features of `forward_features`."""
        return self.head(features)

    def training_outputs(
        self, image: Image, truth: Mapping[str, PerImage]
    ) -> tuple[Logits, Tensor | float]:
        """Return the logits, and the losses that teach the encoder to measure theta_E."""
        look = self._look(image)
        loss: Tensor | float = 0.0
        if look.theta_E is not None and self.theta_E_weight:
            loss = loss + self.theta_E_weight * radius_error(look.theta_E, truth["theta_E"])
        if look.theta_E is not None and look.source is not None and self.consistency_weight:
            rays = self.inverse_lens.rays(look.theta_E)
            scores = self_consistency(look.scaled[:, 0], rays, look.source, self.pixel_scale)
            loss = loss + self.consistency_weight * scores.mean()
        return self.forward_head(look.features), loss

    def examine(self, image: Image | Solution) -> Examination:
        """Return features and logits, and the Einstein radii of an encoder."""
        look = self._look(self.solved(image).image)
        return Examination(
            features=look.features,
            logits=self.forward_head(look.features),
            quantities=Prediction.of_nothing(look.features),
            shift_scores={},
            theta_E=look.theta_E if isinstance(self.encoder, EinsteinRadiusEncoder) else None,
        )

    def reconstruct(self, image: Image | Pixels | Solution) -> Reconstruction | None:
        """Predict the lens, and with it the source and the residual of the image.

        The result is None if the model has no source branch.

        Parameters
        ----------
        image : (batch, 1, y, x), e-/s or any other linear unit; or the solution of such images
        """
        if self.encoder is None:
            return None
        scaled = min_max(self.solved(image).image)
        theta_E = self.encoder(scaled)
        rays = self.inverse_lens.rays(theta_E)
        source = self.inverse_lens(scaled[:, 0], theta_E)
        again = relens(source.source, rays.beta_x, rays.beta_y, pixel_scale=self.pixel_scale)
        return Reconstruction(
            theta_E=theta_E, **rays._asdict(), **source._asdict(), residual=again - scaled[:, 0]
        )


def _weights(theta_E_weight: float, consistency_weight: float) -> dict[str, float]:
    """Return the weights of losses by name, none of them below 0."""
    weights = {"theta_E_weight": theta_E_weight, "consistency_weight": consistency_weight}
    for name, weight in weights.items():
        is_number = isinstance(weight, int | float) and not isinstance(weight, bool)
        if not is_number or not 0 <= weight < math.inf:
            raise ModelError(f"{name} is {weight}; it must be 0 or a positive number")
    return weights


def _encoder(
    einstein_radius: EinsteinRadius, num_pix: int, max_theta_E: float
) -> EinsteinRadiusEncoder | ConstantEinsteinRadius | None:
    """Build the encoder, or its substitute, that gives the Einstein radius."""
    if isinstance(einstein_radius, int | float):
        return ConstantEinsteinRadius(einstein_radius, max_theta_E)
    if einstein_radius == "none":
        return None
    if einstein_radius not in ("learnt", "frozen"):
        raise ModelError(
            f"einstein_radius is '{einstein_radius}'; 'learnt', 'frozen', 'none' or a number in "
            "arcsec is needed"
        )
    return EinsteinRadiusEncoder(num_pix, max_theta_E).requires_grad_(einstein_radius == "learnt")


@register_model
def lenspinn_small(
    images: ImageOptions,
    *,
    cnn: str = SMALL,
    transform: str = "noise_safe",
    pretrained: bool | str = False,
    einstein_radius: EinsteinRadius = "learnt",
    integer_scatter: bool = False,
    theta_E_weight: float = 0.0,
    consistency_weight: float = 0.0,
) -> LensPINN:
    """LensPINN with MobileNetV3, 7.16 million parameters; options as for `LensPINN`."""
    return LensPINN(
        cnn,
        images,
        transform=transform,
        pretrained=pretrained,
        einstein_radius=einstein_radius,
        integer_scatter=integer_scatter,
        theta_E_weight=theta_E_weight,
        consistency_weight=consistency_weight,
    )


@register_model
def lenspinn_large(
    images: ImageOptions,
    *,
    cnn: str = LARGE,
    transform: str = "noise_safe",
    pretrained: bool | str = False,
    einstein_radius: EinsteinRadius = "learnt",
    integer_scatter: bool = False,
    theta_E_weight: float = 0.0,
    consistency_weight: float = 0.0,
) -> LensPINN:
    """LensPINN with EfficientNet-B0, 14.55 million parameters; options as for `LensPINN`."""
    return LensPINN(
        cnn,
        images,
        transform=transform,
        pretrained=pretrained,
        einstein_radius=einstein_radius,
        integer_scatter=integer_scatter,
        theta_E_weight=theta_E_weight,
        consistency_weight=consistency_weight,
    )
