"""A vision transformer for few tokens: shifted patch tokens and locality self-attention.

Both are from Lee, Lee & Song (2021), arXiv:2112.13492, made for training from scratch on small
data sets: a token that sees half of its neighbours, and an attention that cannot look at itself.
"""

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.functional import linear, pad

Tokens = Float[Tensor, "batch tokens dim"]


class ShiftedPatchTokens(nn.Module):
    """Cut an image and its four half-patch diagonal shifts into patches, one token a patch.

    Parameters
    ----------
    num_pix : pixels a side of the image; padded with zeros to whole patches.
    patch_size : pixels a side of a patch.
    dim : length of a token.

    Notes
    -----
    Shifts fill with zeros. Token 0 is a learnt class token; a learnt position is added to all.
    Section 3.1 of arXiv:2112.13492, without its layer normalisation of the patches: the image
    must come scaled.
    """

    def __init__(self, num_pix: int, *, patch_size: int, dim: int) -> None:
        super().__init__()
        self.patch_size = patch_size
        patches_a_side = -(-num_pix // patch_size)
        self.num_tokens = 1 + patches_a_side**2
        self.missing_pix = patches_a_side * patch_size - num_pix
        self.embed = nn.Linear(5 * patch_size**2, dim)  # the image and its four shifts
        self.class_token = nn.Parameter(torch.empty(1, 1, dim))
        self.position = nn.Parameter(torch.empty(1, self.num_tokens, dim))
        nn.init.trunc_normal_(self.class_token, std=0.02)
        nn.init.trunc_normal_(self.position, std=0.02)

    def forward(self, image: Float[Tensor, "batch 1 y x"]) -> Tokens:
        """Tokens of a batch of images, the class token first."""
        tokens = self.embed(self._patches(image))
        class_token = self.class_token.expand(len(image), -1, -1)
        return torch.cat([class_token, tokens], dim=1) + self.position

    def _patches(self, image: Tensor) -> Tensor:
        shift, size = self.patch_size // 2, self.patch_size
        before, after = shift, shift + self.missing_pix
        padded = pad(image[:, 0], (before, after, before, after))
        side = image.shape[-1] + self.missing_pix
        corners = [(shift, shift), (0, 0), (0, 2 * shift), (2 * shift, 0), (2 * shift, 2 * shift)]
        shifted = torch.stack([padded[:, y : y + side, x : x + side] for y, x in corners], dim=1)
        grid = shifted.unflatten(3, (-1, size)).unflatten(2, (-1, size))
        return grid.permute(0, 2, 4, 1, 3, 5).flatten(3).flatten(1, 2)


class LocalitySelfAttention(nn.Module):
    """Multi-head attention in which no token attends to itself and the temperature is learnt.

    Parameters
    ----------
    dim : length of a token, a multiple of `num_heads`.
    num_heads : attention heads.
    num_tokens : tokens in a sequence, at least 2.

    Notes
    -----
    Section 3.2 of arXiv:2112.13492. The keys have no bias: softmax would cancel it, so it could
    never learn.
    """

    is_self: Tensor

    def __init__(self, dim: int, *, num_heads: int, num_tokens: int) -> None:
        super().__init__()
        self.num_heads = num_heads
        self.query_key_value = nn.Linear(dim, 3 * dim, bias=False)
        self.temperature = nn.Parameter(torch.full((num_heads, 1, 1), (dim / num_heads) ** 0.5))
        self.project = nn.Linear(dim, dim)
        self.register_buffer("is_self", torch.eye(num_tokens, dtype=torch.bool), persistent=False)

    def forward(self, tokens: Tokens) -> Tokens:
        """Each token's mixture of all the others."""
        split = self.query_key_value(tokens).unflatten(-1, (3, self.num_heads, -1))
        query, key, value = split.permute(2, 0, 3, 1, 4)  # each (batch, heads, tokens, dim / heads)
        scores = (query / self.temperature) @ key.transpose(-2, -1)
        weights = scores.masked_fill(self.is_self, -torch.inf).softmax(dim=-1)
        return self.project((weights @ value).transpose(1, 2).flatten(2))


class LocalityBlock(nn.Module):
    """One pre-norm transformer block: locality self-attention, then an MLP on each token.

    Parameters
    ----------
    dim, num_heads, num_tokens
        See `LocalitySelfAttention`.
    mlp_dim : width of the MLP's one hidden layer.
    """

    def __init__(self, dim: int, *, num_heads: int, num_tokens: int, mlp_dim: int) -> None:
        super().__init__()
        self.attention_norm = nn.LayerNorm(dim)
        self.attention = LocalitySelfAttention(dim, num_heads=num_heads, num_tokens=num_tokens)
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

    def forward(self, values: Float[Tensor, "batch features"]) -> Float[Tensor, "batch outputs"]:
        """Return the outputs for a batch of inputs."""
        return linear(values / self.in_features**0.5, self.weight, self.bias)
