"""What an image may hold any amount of, beside what is fitted to it: light of the lens, the sky."""

import torch
from jaxtyping import Float
from torch import Tensor

__all__ = ["Span", "apart_from", "orthonormal_span"]

Span = Float[Tensor, "batch templates y x"]
"""Images that are orthonormal, or 0."""

Maps = Float[Tensor, "_ maps _ _"]

_LEAST_SHARE = 1e-6
"""Of the largest singular value: smaller ones are the rounding of templates that are alike."""


def orthonormal_span(templates: Float[Tensor, "batch templates y x"]) -> Span:
    """Return orthonormal images of which all templates are sums.

    Parameters
    ----------
    templates : (batch, templates, y, x)
        In units of the noise; there may be none.

    Returns
    -------
    (batch, templates, y, x)
        Some are 0 where templates are sums of others.
    """
    if not templates.shape[1]:
        return templates
    _, values, rows = torch.linalg.svd(templates.flatten(2).double(), full_matrices=False)
    needed = values > _LEAST_SHARE * values[:, :1]
    return (rows * needed[..., None]).to(templates.dtype).view_as(templates)


def apart_from(span: Span, maps: Maps) -> Maps:
    """Take away from maps what lies in a span; an empty one may be of other images."""
    if not span.shape[1]:
        return maps
    rows, flat = span.flatten(2), maps.flatten(2)
    return (flat - (flat @ rows.mT) @ rows).view_as(maps)
