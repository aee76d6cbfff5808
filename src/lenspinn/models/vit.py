"""Vision transformers of the paper's comparison, and forms of them fit for small images.

ViT is from Dosovitskiy et al. (2021), arXiv:2010.11929; ViTSD, with shifted patch tokens and
locality self-attention, from Lee, Lee & Song (2021), arXiv:2112.13492. The authors cut a 64 x 64
image into four patches of 32 pixels, which leaves an attention little to do; each network has also
a
form with 64 patches of 8 pixels, deeper and narrower, of as many parameters.
"""

import torch
from torch import nn

from lenspinn.models.classifier import Classifier, Features, Image, ImageOptions, Logits
from lenspinn.models.layers import (
    HEAD_DIM,
    LocalitySelfAttention,
    PatchMap,
    PatchTokens,
    SelfAttention,
    ShiftedPatchTokens,
    TransformerBlock,
    TransformerSize,
    refuse_single_patch,
)
from lenspinn.models.registry import register_model

# Settings of the authors.
VIT = TransformerSize(patch_size=32, dim=1024, depth=2, num_heads=24, mlp_dim=16)
VITSD = TransformerSize(patch_size=32, dim=1024, depth=2, num_heads=16, mlp_dim=16)
# Settings of lenspinn, with as many parameters.
PATCH8 = TransformerSize(patch_size=8, dim=384, depth=8, num_heads=6, mlp_dim=1440)


class VisionTransformer(Classifier):
    """Vision transformer that reads the classes off its class token.

    Parameters
    ----------
    size : see `TransformerSize`.
    locality : whether patches are shifted and no token attends to itself (ViTSD).
    images, transform
        See `Classifier`.

    Raises
    ------
    ModelError
        An option is out of range.
    """

    def __init__(
        self, size: TransformerSize, images: ImageOptions, *, locality: bool, transform: str
    ) -> None:
        super().__init__(images, transform=transform, cam_layer="patch_map")
        if locality:
            refuse_single_patch("ViTSD", images.num_pix, size.patch_size)
        tokens = ShiftedPatchTokens if locality else PatchTokens
        self.tokens = tokens(
            images.num_pix,
            patch_size=size.patch_size,
            dim=size.dim,
            num_channels=self.num_channels,
            normalize=True,
        )
        self.patch_map = PatchMap()
        self.blocks = nn.ModuleList(self._block(size, locality) for _ in range(size.depth))
        self.norm = nn.LayerNorm(size.dim)
        self.head = nn.Linear(size.dim, len(self.classes))

    def _block(self, size: TransformerSize, locality: bool) -> TransformerBlock:
        attention = (
            LocalitySelfAttention(
                size.dim,
                num_heads=size.num_heads,
                head_dim=HEAD_DIM,
                num_tokens=self.tokens.num_tokens,
            )
            if locality
            else SelfAttention(size.dim, num_heads=size.num_heads, head_dim=HEAD_DIM)
        )
        return TransformerBlock(size.dim, attention, mlp_dim=size.mlp_dim)

    def forward_features(self, image: Image) -> Features:
        """Class token after the last block."""
        tokens = self.tokens(self.preprocess(image))
        for block in self.blocks[:-1]:
            tokens = block(tokens)
        # Grad-CAM takes the map before the last block: after it, patches no longer matter.
        patches = PatchMap.tokens(self.patch_map(tokens[:, 1:]))
        tokens = self.blocks[-1](torch.cat([tokens[:, :1], patches], dim=1))
        return self.norm(tokens[:, 0])

    def forward_head(self, features: Features) -> Logits:
        """Logits from the features of `forward_features`."""
        return self.head(features)


@register_model
def vit(images: ImageOptions, *, transform: str = "noise_safe") -> VisionTransformer:
    """ViT as in the paper, 13.73 million parameters; options as for `VisionTransformer`."""
    return VisionTransformer(VIT, images, locality=False, transform=transform)


@register_model
def vit_patch8(images: ImageOptions, *, transform: str = "noise_safe") -> VisionTransformer:
    """ViT for small images, 13.7 million parameters; options as for `VisionTransformer`."""
    return VisionTransformer(PATCH8, images, locality=False, transform=transform)


@register_model
def vitsd(images: ImageOptions, *, transform: str = "noise_safe") -> VisionTransformer:
    """ViTSD as in the paper, 13.73 million parameters; options as for `VisionTransformer`."""
    return VisionTransformer(VITSD, images, locality=True, transform=transform)


@register_model
def vitsd_patch8(images: ImageOptions, *, transform: str = "noise_safe") -> VisionTransformer:
    """ViTSD for small images, 13.8 million parameters; options as for `VisionTransformer`."""
    return VisionTransformer(PATCH8, images, locality=True, transform=transform)
