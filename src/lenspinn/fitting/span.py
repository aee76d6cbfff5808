"""Templates of free amplitude beside the fitted model: light of the lens, the sky."""

import torch
from jaxtyping import Float
from torch import Tensor

__all__ = ["Span", "apart_from", "orthonormal_span"]

Span = Float[Tensor, "batch templates y x"]
"""Templates that are orthonormal, or 0, in units of the noise."""

Maps = Float[Tensor, "_ maps _ _"]

_LEAST_SHARE = 1e-6
"""Least singular value that counts, over the largest: smaller ones are rounding of equal
templates."""


def orthonormal_span(templates: Float[Tensor, "batch templates y x"]) -> Span:
    """Return orthonormal images of which all templates are sums.

    Parameters
    ----------
    templates : (batch, templates, y, x)
        Templates in units of the noise; there may be none.

    Returns
    -------
    (batch, templates, y, x)
        Orthonormal images; some are 0 where templates are sums of others.
    """
    if not templates.shape[1]:
        return templates
    _, values, rows = torch.linalg.svd(templates.flatten(2).double(), full_matrices=False)
    needed = values > _LEAST_SHARE * values[:, :1]
    return (rows * needed[..., None]).to(templates.dtype).view_as(templates)


def apart_from(span: Span, maps: Maps) -> Maps:
    """Return maps without their part in a span; an empty span may be of other images."""
    if not span.shape[1]:
        return maps
    rows, flat = span.flatten(2), maps.flatten(2)
    return (flat - (flat @ rows.mT) @ rows).view_as(maps)
