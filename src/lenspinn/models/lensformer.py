"""Lensformer: a transformer that compares image, edges and source token by token.

The other physics model of Table 1 of the LensPINN paper (Ojha, Toomey, Gleyzer & Kumbam, NeurIPS
ML4PS 2024). A transformer predicts a factor for every pixel, which times the preprocessed image is
the Einstein radius that the inverse-lens layer uses at that pixel; an attention with queries from
the source, keys from the edges and values from the image gives the features. Differences from the
authors' code, each on purpose:

- The inverse-lens layer is differentiable (see `inverse_lens`), and a sigmoid bounds the factor, so
  that no pixel is traced out of the field.
- The network returns logits; theirs ends in a softmax under a loss that applies one more.
- Blocks are pre-norm, as in the other transformers here; theirs are post-norm.
- Modules that never act are left out, and the MLPs are wider for it.
"""

from itertools import pairwise

from torch import cat, nn
from torch.nn.functional import linear, pixel_shuffle

from lenspinn.data.transforms import min_max
from lenspinn.lensing.grid import Map
from lenspinn.models.classifier import Classifier, Features, Image, ImageOptions, Logits
from lenspinn.models.inverse_lens import InverseLens
from lenspinn.models.layers import (
    EqualizedLinear,
    LocalitySelfAttention,
    PatchMap,
    ShiftedPatchTokens,
    Tokens,
    TransformerBlock,
    TransformerSize,
    refuse_single_patch,
)
from lenspinn.models.registry import register_model

# Settings of the authors, except the MLP: theirs is 64 wide.
PAPER = TransformerSize(patch_size=32, dim=384, depth=1, num_heads=16, mlp_dim=448)
# Settings of lenspinn, with as many parameters.
PATCH8 = TransformerSize(patch_size=8, dim=384, depth=4, num_heads=6, mlp_dim=1440)
HEAD_DIM = 64
NUM_HIDDEN = 3
DROPOUT = 0.1
FACTOR_SPREAD = 0.1
"""Standard deviation of the initial scores, before the sigmoid: all factors start near 1/2."""


class CrossBlock(nn.Module):
    """A transformer block whose queries and keys come from other tokens than its values.

    Parameters
    ----------
    dim, mlp_dim
        See `TransformerBlock`.
    attention : its mask applies here too: position i never takes the value at i.

    Notes
    -----
    One layer normalisation serves all three inputs.
    """

    def __init__(self, dim: int, attention: LocalitySelfAttention, *, mlp_dim: int) -> None:
        super().__init__()
        self.block = TransformerBlock(dim, attention, mlp_dim=mlp_dim)

    def forward(self, tokens: Tokens, *, query: Tokens, key: Tokens) -> Tokens:
        """Tokens after attention and MLP, each added to its input."""
        norm, attention = self.block.attention_norm, self.block.attention
        weights = attention.query_key_value.weight.chunk(3)
        asked = zip((query, key, tokens), weights, strict=True)
        mixed = attention.mix(*(linear(norm(part), weight) for part, weight in asked))
        tokens = tokens + mixed
        return tokens + self.block.mlp(self.block.mlp_norm(tokens))


class FactorsOfAll(nn.Module):
    """Layer that reads a factor for every pixel off all tokens, as the authors do."""

    def __init__(self, num_pix: int, *, num_tokens: int, dim: int) -> None:
        super().__init__()
        self.num_pix = num_pix
        self.norm = nn.LayerNorm(num_tokens * dim)
        self.score = EqualizedLinear(num_tokens * dim, num_pix**2, std=FACTOR_SPREAD)

    def forward(self, tokens: Tokens) -> Map:
        """Factors in 0..1, (batch, y, x)."""
        scores = self.score(self.norm(tokens.flatten(1)))
        return scores.sigmoid().unflatten(1, (self.num_pix, self.num_pix))


class FactorsOfPatch(nn.Module):
    """Layer that reads a factor for every pixel off the token of its patch: for small patches."""

    def __init__(self, num_pix: int, *, patch_size: int, dim: int) -> None:
        super().__init__()
        self.num_pix = num_pix
        self.patch_size = patch_size
        self.norm = nn.LayerNorm(dim)
        self.score = EqualizedLinear(dim, patch_size**2, std=FACTOR_SPREAD)
        self.patch_map = PatchMap()

    def forward(self, tokens: Tokens) -> Map:
        """Factors in 0..1, (batch, y, x)."""
        scores = self.score(self.norm(tokens[:, 1:]))
        factors = pixel_shuffle(self.patch_map(scores), self.patch_size).sigmoid()
        return factors[:, 0, : self.num_pix, : self.num_pix]


class Lensformer(Classifier):
    """Transformer with physics of the paper.

    Parameters
    ----------
    size : see `TransformerSize`; ``depth`` blocks predict the lens, and ``depth`` more compare
        image and source.
    local_factors : whether the factor of a pixel is read off the token of its patch, not off all
        tokens.
    images, transform
        See `Classifier`.

    Raises
    ------
    ModelError
        An option is out of range.

    Notes
    -----
    An Einstein radius that differs from pixel to pixel, in proportion to the brightness of the
    edges, describes no lens: the model reconstructs none.
    """

    one_transform = True

    def __init__(
        self, size: TransformerSize, images: ImageOptions, *, local_factors: bool, transform: str
    ) -> None:
        super().__init__(images, transform=transform, cam_layer="patch_map")
        num_pix, patch_size, dim = images.num_pix, size.patch_size, size.dim
        refuse_single_patch("Lensformer", num_pix, patch_size)
        self.inverse_lens = InverseLens(num_pix, images.pixel_scale)
        self.image_tokens = ShiftedPatchTokens(num_pix, patch_size=patch_size, dim=dim)
        self.source_tokens = ShiftedPatchTokens(num_pix, patch_size=patch_size, dim=dim)
        self.preprocessed_tokens = ShiftedPatchTokens(num_pix, patch_size=patch_size, dim=dim)
        num_tokens = self.image_tokens.num_tokens
        attention = {
            "num_heads": size.num_heads,
            "head_dim": dim // size.num_heads,
            "num_tokens": num_tokens,
        }

        def blocks(depth: int) -> nn.Sequential:
            return nn.Sequential(
                *(
                    TransformerBlock(
                        dim, LocalitySelfAttention(dim, **attention), mlp_dim=size.mlp_dim
                    )
                    for _ in range(depth)
                )
            )

        self.lens_blocks = blocks(size.depth)
        self.factors = (
            FactorsOfPatch(num_pix, patch_size=patch_size, dim=dim)
            if local_factors
            else FactorsOfAll(num_pix, num_tokens=num_tokens, dim=dim)
        )
        self.compare = CrossBlock(
            dim, LocalitySelfAttention(dim, **attention), mlp_dim=size.mlp_dim
        )
        self.blocks = blocks(size.depth - 1)
        self.patch_map = PatchMap()
        self.norm = nn.LayerNorm(dim)
        self.head = _mlp(num_tokens * dim, len(self.classes))

    def forward_features(self, image: Image) -> Features:
        """Tokens after the comparison with the source, all in one vector."""
        preprocessed, scaled = self.preprocess(image), min_max(image)
        of_image = self.image_tokens(scaled)
        # An Einstein radius must be finite and within the field, whatever the transform gives.
        strength = preprocessed[:, 0].nan_to_num(0).clamp(0, 1)
        factors = self.factors(self.lens_blocks(of_image))
        theta_E = self.inverse_lens.max_theta_E * factors * strength
        source = self.inverse_lens(scaled[:, 0], theta_E).source[:, None]
        of_source = self.source_tokens(source)
        of_edges = self.preprocessed_tokens(preprocessed)
        tokens = self.blocks(self.compare(of_image, query=of_source, key=of_edges))
        patches = PatchMap.tokens(self.patch_map(tokens[:, 1:]))
        return self.norm(cat([tokens[:, :1], patches], dim=1)).flatten(1)

    def forward_head(self, features: Features) -> Logits:
        """Logits from the features of `forward_features`."""
        return self.head(features)


def _mlp(num_features: int, num_classes: int) -> nn.Sequential:
    widths = [num_features] + [HEAD_DIM] * (NUM_HIDDEN + 1)
    layers: list[nn.Module] = []
    for before, after in pairwise(widths):
        layers += [nn.Linear(before, after), nn.ELU(), nn.Dropout(DROPOUT)]
    return nn.Sequential(*layers, nn.Linear(HEAD_DIM, num_classes))


@register_model
def lensformer(images: ImageOptions, *, transform: str = "noise_safe") -> Lensformer:
    """Lensformer as in the paper, 15.8 million parameters; options as for `Lensformer`."""
    return Lensformer(PAPER, images, local_factors=False, transform=transform)


@register_model
def lensformer_patch8(images: ImageOptions, *, transform: str = "noise_safe") -> Lensformer:
    """Lensformer for small images, 15.8 million parameters; options as for `Lensformer`."""
    return Lensformer(PATCH8, images, local_factors=True, transform=transform)
