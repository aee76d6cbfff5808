"""Layers of the vision transformers.

Shifted patch tokens and locality self-attention are from Lee, Lee & Song (2021),
arXiv:2112.13492, made for training from scratch on small data sets: a token that sees half of its
neighbours, and an attention that cannot look at itself.
"""

import math
from typing import ClassVar, NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.functional import linear, pad

from lenspinn.errors import ModelError
from lenspinn.models.classifier import Channels

Tokens = Float[Tensor, "batch tokens dim"]
Projected = Float[Tensor, "batch tokens head_dims"]
Heads = Float[Tensor, "batch heads tokens head_dim"]


class TransformerSize(NamedTuple):
    """Numbers that fix the size of a vision transformer."""

    patch_size: int
    """Side of a patch, pixels."""
    dim: int
    """Length of a token."""
    depth: int
    """Number of transformer blocks."""
    num_heads: int
    """Number of attention heads; each has length `HEAD_DIM` in ViT and ViTSD."""
    mlp_dim: int
    """Width of the hidden layer of each block's MLP."""


HEAD_DIM = 64
"""Length of an attention head in ViT and ViTSD, whatever the length of a token."""


class PatchTokens(nn.Module):
    """Cut an image into patches, one token a patch.

    Parameters
    ----------
    num_pix : pixels a side of the image; padded with zeros to whole patches.
    patch_size : pixels a side of a patch.
    dim : length of a token.
    num_channels : channels of the image.
    normalize : whether patches and tokens are layer-normalised; otherwise the image must come
        scaled.

    Notes
    -----
    Token 0 is a learnt class token; a learnt position is added to all. Section 3.1 of Dosovitskiy
    et al. (2021), arXiv:2010.11929.
    """

    copies: ClassVar[int] = 1
    """Number of versions of the image (itself and its shifts) that a patch is cut from."""

    def __init__(
        self,
        num_pix: int,
        *,
        patch_size: int,
        dim: int,
        num_channels: int = 1,
        normalize: bool = False,
    ) -> None:
        super().__init__()
        self.patch_size = patch_size
        self.num_tokens = 1 + (-(-num_pix // patch_size)) ** 2
        patch_length = self.copies * num_channels * patch_size**2
        embed = nn.Linear(patch_length, dim)
        self.embed = (
            nn.Sequential(nn.LayerNorm(patch_length), embed, nn.LayerNorm(dim))
            if normalize
            else embed
        )
        self.class_token = nn.Parameter(torch.empty(1, 1, dim))
        self.position = nn.Parameter(torch.empty(1, self.num_tokens, dim))
        nn.init.trunc_normal_(self.class_token, std=0.02)
        nn.init.trunc_normal_(self.position, std=0.02)

    def forward(self, image: Channels) -> Tokens:
        """Tokens of a batch of images, the class token first."""
        tokens = self.embed(self._patches(image))
        class_token = self.class_token.expand(image.shape[0], -1, -1)
        return torch.cat([class_token, tokens], dim=1) + self.position

    def _patches(self, image: Tensor) -> Tensor:
        size = self.patch_size
        stacked = self._stack(pad_to_patches(image, size))
        grid = stacked.unflatten(3, (-1, size)).unflatten(2, (-1, size))
        return grid.permute(0, 2, 4, 1, 3, 5).flatten(3).flatten(1, 2)

    def _stack(self, image: Tensor) -> Tensor:
        return image


class ShiftedPatchTokens(PatchTokens):
    """Cut an image and its four half-patch diagonal shifts into patches, one token a patch.

    Shifts fill with zeros. Section 3.1 of arXiv:2112.13492; parameters as for `PatchTokens`.
    """

    copies = 5

    def _stack(self, image: Tensor) -> Tensor:
        shift, side = self.patch_size // 2, image.shape[-1]
        padded = pad(image, (shift, shift, shift, shift))
        corners = [(shift, shift), (0, 0), (0, 2 * shift), (2 * shift, 0), (2 * shift, 2 * shift)]
        return torch.cat([padded[..., y : y + side, x : x + side] for y, x in corners], dim=1)


def pad_to_patches(
    image: Channels, patch_size: int
) -> Float[Tensor, "batch channels padded padded"]:
    """Pad the end of both axes with zeros to whole patches."""
    missing = -image.shape[-1] % patch_size
    return pad(image, (0, missing, 0, missing)) if missing else image


def refuse_single_patch(model: str, num_pix: int, patch_size: int) -> None:
    """Refuse an image of one patch for a model with locality self-attention.

    Raises
    ------
    ModelError
        The image has one patch.
    """
    if num_pix <= patch_size:
        raise ModelError(
            f"num_pix is {num_pix}; {model} needs more than one patch of {patch_size} pixels, "
            "or its attention has nothing to choose from"
        )


class PatchMap(nn.Module):
    """Arrange the tokens of patches, without a class token, as the map they were cut from.

    Models pass their tokens through this layer so that Grad-CAM finds a map in a transformer.
    """

    def forward(self, patches: Tokens) -> Float[Tensor, "batch dim y x"]:
        """Return the map of a square image's patches."""
        side = math.isqrt(patches.shape[1])
        return patches.transpose(1, 2).unflatten(2, (side, side))

    @staticmethod
    def tokens(patch_map: Float[Tensor, "batch dim y x"]) -> Tokens:
        """Undo `forward`."""
        return patch_map.flatten(2).transpose(1, 2)


class SelfAttention(nn.Module):
    """Multi-head attention of tokens to each other.

    Parameters
    ----------
    dim : length of a token.
    num_heads : attention heads.
    head_dim : length of a query, a key and a value in each head.

    Notes
    -----
    Vaswani et al. (2017), arXiv:1706.03762, section 3.2. The keys have no bias: softmax would
    cancel it, so it could never learn.
    """

    def __init__(self, dim: int, *, num_heads: int, head_dim: int) -> None:
        super().__init__()
        self.num_heads = num_heads
        self.head_dim = head_dim
        self.query_key_value = nn.Linear(dim, 3 * num_heads * head_dim, bias=False)
        self.project = nn.Linear(num_heads * head_dim, dim)

    def forward(self, tokens: Tokens) -> Tokens:
        """Weighted mean of all tokens, for each token."""
        return self.mix(*self.query_key_value(tokens).chunk(3, dim=-1))

    def mix(self, query: Projected, key: Projected, value: Projected) -> Tokens:
        """Mix the values by how well their keys fit the queries."""
        query, key, value = (
            part.unflatten(-1, (self.num_heads, -1)).transpose(1, 2) for part in (query, key, value)
        )
        weights = self.scores(query, key).softmax(dim=-1)
        return self.project((weights @ value).transpose(1, 2).flatten(2))

    def scores(self, query: Heads, key: Heads) -> Float[Tensor, "batch heads tokens tokens"]:
        """Attention of each token (query) to each other one (key), before softmax."""
        return query @ key.transpose(-2, -1) / self.head_dim**0.5


class LocalitySelfAttention(SelfAttention):
    """Multi-head attention in which no token attends to itself and the temperature is learnt.

    Parameters
    ----------
    dim, num_heads, head_dim
        See `SelfAttention`.
    num_tokens : tokens in a sequence, at least 2.

    Notes
    -----
    Section 3.2 of arXiv:2112.13492.
    """

    is_self: Tensor

    def __init__(self, dim: int, *, num_heads: int, head_dim: int, num_tokens: int) -> None:
        super().__init__(dim, num_heads=num_heads, head_dim=head_dim)
        self.temperature = nn.Parameter(torch.full((num_heads, 1, 1), head_dim**0.5))
        self.register_buffer("is_self", torch.eye(num_tokens, dtype=torch.bool), persistent=False)

    def scores(self, query: Heads, key: Heads) -> Float[Tensor, "batch heads tokens tokens"]:
        """Attention of each token to each other one, before softmax; -inf to itself."""
        scores = (query / self.temperature) @ key.transpose(-2, -1)
        return scores.masked_fill(self.is_self, -torch.inf)


class TransformerBlock(nn.Module):
    """One pre-norm transformer block: an attention, then an MLP on each token.

    Parameters
    ----------
    dim : length of a token.
    attention : layer in which tokens attend to each other.
    mlp_dim : width of the MLP's one hidden layer.
    """

    def __init__(self, dim: int, attention: SelfAttention, *, mlp_dim: int) -> None:
        super().__init__()
        self.attention_norm = nn.LayerNorm(dim)
        self.attention = attention
        self.mlp_norm = nn.LayerNorm(dim)
        self.mlp = nn.Sequential(nn.Linear(dim, mlp_dim), nn.GELU(), nn.Linear(mlp_dim, dim))

    def forward(self, tokens: Tokens) -> Tokens:
        """Tokens after attention and MLP, each added to its input."""
        tokens = tokens + self.attention(self.attention_norm(tokens))
        return tokens + self.mlp(self.mlp_norm(tokens))


class EqualizedLinear(nn.Linear):
    """A linear layer whose inputs are divided by the square root of their number.

    Parameters
    ----------
    in_features, out_features : lengths of input and output.
    std : standard deviation of the initial weights, and so of the output for unit inputs.

    Notes
    -----
    The outputs start as those of an ordinary layer, but Adam, which moves every weight by the
    learning rate, moves them sqrt(in_features) times less: a scalar read off a thousand numbers
    does not leap from one end of its range to the other at the first steps. Section 4.1 of Karras
    et al. (2018), arXiv:1710.10196.
    """

    def __init__(self, in_features: int, out_features: int, *, std: float) -> None:
        super().__init__(in_features, out_features)
        nn.init.normal_(self.weight, std=std)
        nn.init.zeros_(self.bias)

    def forward(self, values: Float[Tensor, "*batch features"]) -> Float[Tensor, "*batch outputs"]:
        """Return the outputs for a batch of inputs."""
        return linear(values / self.in_features**0.5, self.weight, self.bias)
