"""Networks from timm, whole or as a part of other models; timm is imported here alone, and late.

The convolutional rivals of LensPINN: ResNet-18 (He et al. 2016, arXiv:1512.03385) of the paper's
Table 1, MobileNetV3 (Howard et al. 2019, arXiv:1905.02244) and EfficientNet-B0 (Tan & Le 2019,
arXiv:1905.11946) of its Table 2, EfficientNet-Lite0, the latter's form without squeeze and
excitation, of which ImageNet weights can be had as a package; and the transformer CaiT (Touvron et
al. 2021, arXiv:2103.17239) of its Table 1.
"""

from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from torch import nn

from lenspinn.errors import ModelError
from lenspinn.models.classifier import Classifier, Features, Image, ImageOptions, Logits
from lenspinn.models.layers import PatchMap, TransformerSize, pad_to_patches
from lenspinn.models.registry import register_model

# Settings of the authors: two blocks among patches, one in which the class token looks at them.
CAIT = TransformerSize(patch_size=32, dim=1024, depth=2, num_heads=16, mlp_dim=16)
# Settings of lenspinn, with as many parameters.
CAIT_PATCH8 = TransformerSize(patch_size=8, dim=384, depth=7, num_heads=6, mlp_dim=1440)
LAYER_SCALE = 0.1  # value of arXiv:2103.17239 for up to 18 blocks
DROP_PATH = 0.05
CAM_STRIDE = 8
"""Side of a pixel of the map for Grad-CAM, image pixels."""


def timm_cnn(
    name: str, *, in_chans: int = 1, num_classes: int = 1000, pretrained: bool | str = False
) -> nn.Module:
    """Build a timm network, by default for one channel and with its 1000-way ImageNet head.

    Parameters
    ----------
    name : timm's name of the architecture.
    in_chans : channels of the images; timm adapts pretrained weights of the first layer to it.
    num_classes : length of the output.
    pretrained : True downloads timm's ImageNet weights (or takes them from the cache of an
        earlier download); a path reads them from a `.safetensors` file instead, or from the file
        `<name>.safetensors` of a folder, for machines without network; False starts from random
        weights.

    Raises
    ------
    ModelError
        timm has no such network, or the weights cannot be had or do not fit.
    """
    import timm  # with torchvision; readers of other networks need neither

    if not timm.is_model(name):
        raise ModelError(f"timm has no network '{name}'")
    overlay = None
    if isinstance(pretrained, str):
        if Path(pretrained).is_dir():
            pretrained = str(Path(pretrained) / f"{name}.safetensors")
        if not pretrained.endswith(".safetensors"):
            raise ModelError(f"pretrained weights '{pretrained}' are not a .safetensors file")
        overlay = {"file": pretrained}
    try:
        return timm.create_model(
            name,
            pretrained=bool(pretrained),
            pretrained_cfg_overlay=overlay,
            in_chans=in_chans,
            num_classes=num_classes,
        )
    except OSError as error:  # what huggingface_hub raises without network is an OSError too
        if overlay:
            raise ModelError(f"there are no weights of {name} at '{pretrained}'") from error
        raise ModelError(
            f"the pretrained weights of {name} could not be downloaded; connect to the network, "
            "or pass pretrained=FILE.safetensors or a folder of such files, or pretrained=False to "
            "start from random weights"
        ) from error
    except (RuntimeError, SafetensorError) as error:
        raise ModelError(f"the weights in '{pretrained}' are not those of {name}") from error


def timm_cam_layer(name: str, num_pix: int) -> str:
    """Name of the layer of a timm network whose map suits Grad-CAM: 1/8 of the image on each side.

    Raises
    ------
    ModelError
        timm has no such network, or the network is not convolutional, or does not fit the images.
    """
    import timm  # as above

    if not timm.is_model(str(name)):
        raise ModelError(
            f"cnn is '{name}', which timm does not have; efficientnet_b0, tf_efficientnet_lite0, "
            "mobilenetv3_small_050 or resnet18 would do"
        )
    unfit = ModelError(
        f"cnn is '{name}', which is no convolutional network for images of {num_pix} x {num_pix} "
        "pixels; efficientnet_b0, tf_efficientnet_lite0, mobilenetv3_small_050 or resnet18 would do"
    )
    try:
        with torch.device("meta"):  # shapes alone: nothing is computed
            network: Any = timm.create_model(name, in_chans=1, num_classes=2)
            logits = network.eval()(torch.empty(1, 1, num_pix, num_pix))
            has_classifier = isinstance(network.get_classifier(), nn.Linear)
        stages = [one["module"] for one in network.feature_info if one["reduction"] == CAM_STRIDE]
    except Exception as error:  # timm's networks refuse images in their own ways
        raise unfit from error
    if not stages or not has_classifier or logits.shape != (1, 2):
        raise unfit
    return str(stages[-1])


class TimmCNN(Classifier):
    """A convolutional network of timm on the preprocessed image.

    Parameters
    ----------
    cnn : timm's name of the network.
    cam_layer : name, inside the network, of the layer for Grad-CAM.
    images, transform
        See `Classifier`.
    pretrained
        See `timm_cnn`; the layer that gives the logits always starts from random weights.

    Raises
    ------
    ModelError
        An option is out of range, or pretrained weights cannot be had.
    """

    cnn: Any  # with the methods that all networks of timm have

    def __init__(
        self,
        cnn: str,
        images: ImageOptions,
        *,
        cam_layer: str,
        transform: str,
        pretrained: bool | str,
    ) -> None:
        super().__init__(images, transform=transform, cam_layer=f"cnn.{cam_layer}")
        self.cnn = timm_cnn(
            cnn, in_chans=self.num_channels, num_classes=len(self.classes), pretrained=pretrained
        )

    def forward_features(self, image: Image) -> Features:
        """Features of the preprocessed image, averaged over its pixels."""
        maps = self.cnn.forward_features(self.preprocess(image))
        return self.cnn.forward_head(maps, pre_logits=True)

    def forward_head(self, features: Features) -> Logits:
        """Logits from the features of `forward_features`."""
        return self.cnn.get_classifier()(features)


@register_model
def resnet18(
    images: ImageOptions, *, transform: str = "noise_safe", pretrained: bool | str = False
) -> TimmCNN:
    """ResNet-18 as in the paper, 11.17 million parameters; options as for `TimmCNN`."""
    return TimmCNN(
        "resnet18", images, cam_layer="layer2", transform=transform, pretrained=pretrained
    )


@register_model
def resnet18_stride1(
    images: ImageOptions, *, transform: str = "noise_safe", pretrained: bool | str = False
) -> TimmCNN:
    """ResNet-18 for small images, 11.17 million parameters; options as for `TimmCNN`.

    Its first convolution is 3 x 3 with stride 1 and no pooling follows, so that a 64 x 64 image
    ends as a map of 8 x 8, not 2 x 2: the form of He et al. (2016, section 4.2) for images of 32
    pixels. That convolution always starts from random weights.
    """
    model = TimmCNN(
        "resnet18", images, cam_layer="layer4", transform=transform, pretrained=pretrained
    )
    model.cnn.conv1 = nn.Conv2d(model.num_channels, 64, 3, padding=1, bias=False)
    model.cnn.maxpool = nn.Identity()
    return model


@register_model
def mobilenetv3(
    images: ImageOptions, *, transform: str = "noise_safe", pretrained: bool | str = False
) -> TimmCNN:
    """MobileNetV3 small at half width, 0.57 million parameters; options as for `TimmCNN`."""
    return TimmCNN(
        "mobilenetv3_small_050",
        images,
        cam_layer="blocks.1",
        transform=transform,
        pretrained=pretrained,
    )


@register_model
def efficientnet_b0(
    images: ImageOptions, *, transform: str = "noise_safe", pretrained: bool | str = False
) -> TimmCNN:
    """EfficientNet-B0, 4.01 million parameters; options as for `TimmCNN`."""
    return TimmCNN(
        "efficientnet_b0", images, cam_layer="blocks.2", transform=transform, pretrained=pretrained
    )


@register_model
def efficientnet_lite0(
    images: ImageOptions, *, transform: str = "noise_safe", pretrained: bool | str = False
) -> TimmCNN:
    """EfficientNet-Lite0, 3.37 million parameters; options as for `TimmCNN`."""
    return TimmCNN(
        "tf_efficientnet_lite0",
        images,
        cam_layer="blocks.2",
        transform=transform,
        pretrained=pretrained,
    )


class CaiT(Classifier):
    """The transformer CaiT: patches attend to each other, then a class token to them.

    Parameters
    ----------
    size : see `TransformerSize`; the block of the class token comes on top of its depth.
    images, transform
        See `Classifier`.

    Raises
    ------
    ModelError
        An option is out of range.

    Notes
    -----
    In training a block is skipped by 5 % of the images; the authors skip blocks for whole batches,
    and in evaluation too, so that their accuracy changes from call to call.
    """

    cait: Any  # as `TimmCNN.cnn`

    def __init__(self, size: TransformerSize, images: ImageOptions, *, transform: str) -> None:
        from timm.models.cait import Cait

        super().__init__(images, transform=transform, cam_layer="patch_map")
        self.patch_map = PatchMap()
        mlp_ratio = size.mlp_dim / size.dim
        self.cait = Cait(
            img_size=images.num_pix + -images.num_pix % size.patch_size,
            patch_size=size.patch_size,
            in_chans=self.num_channels,
            num_classes=len(self.classes),
            embed_dim=size.dim,
            depth=size.depth,
            num_heads=size.num_heads,
            mlp_ratio=mlp_ratio,
            qkv_bias=False,
            drop_path_rate=DROP_PATH,
            init_values=LAYER_SCALE,
            depth_token_only=1,
            mlp_ratio_token_only=mlp_ratio,
        )
        for block in self.cait.blocks:
            # Softmax would cancel a bias on the scores of a head, so it could never learn.
            block.attn.proj_l.register_parameter("bias", None)

    def forward_features(self, image: Image) -> Features:
        """Class token after its block."""
        padded = pad_to_patches(self.preprocess(image), self.cait.patch_embed.patch_size[0])
        patches = self.cait.blocks(self.cait.patch_embed(padded) + self.cait.pos_embed)
        patches = PatchMap.tokens(self.patch_map(patches))
        return self.cait.norm(self.cait.forward_cls(patches)[:, 0])

    def forward_head(self, features: Features) -> Logits:
        """Logits from the features of `forward_features`."""
        return self.cait.head(features)


@register_model
def cait(images: ImageOptions, *, transform: str = "noise_safe") -> CaiT:
    """CaiT as in the paper, 13.77 million parameters; options as for `CaiT`."""
    return CaiT(CAIT, images, transform=transform)


@register_model
def cait_patch8(images: ImageOptions, *, transform: str = "noise_safe") -> CaiT:
    """CaiT for small images, 13.7 million parameters; options as for `CaiT`."""
    return CaiT(CAIT_PATCH8, images, transform=transform)
