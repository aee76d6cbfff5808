"""Batches solved a few images at a time: as many as the cache of a CPU holds."""

from collections.abc import Callable
from typing import Any, TypeVar

import torch
from torch import Tensor

__all__ = ["solved_in_parts"]

Solved = TypeVar("Solved", bound=tuple | Tensor)


def solved_in_parts(solve: Callable[..., Solved], *batch: Any, at_once: int) -> Solved:
    """Solve a batch part by part on a CPU, all at once on a GPU.

    Parameters
    ----------
    solve
        Function of tensors, or of named tuples of tensors, that returns one of these and treats
        each image by itself.
    batch
        Arguments of `solve`; the first axis of all tensors is that of images.
    at_once
        Number of images that are treated together on a CPU: intermediate tensors of more
        images do not fit into its cache.
    """
    first = _tensors_of(batch[0])[0]
    count = max(1, -(-len(first) // at_once)) if first.device.type == "cpu" else 1
    if count == 1:
        return solve(*batch)
    # Parts of nearly equal length: none is a single image, for which a compiler would start again.
    parts = (_part(batch, n, count) for n in range(count))
    return _mapped(lambda *tensors: torch.cat(tensors), *(solve(*part) for part in parts))


def _part(batch: tuple[Any, ...], number: int, count: int) -> tuple[Any, ...]:
    return _mapped(lambda tensor: tensor.tensor_split(count)[number], batch)


def _mapped(function: Callable[..., Tensor], *values: Any) -> Any:
    """Apply a function to the tensors at each place of tuples of the same structure."""
    kind = type(values[0])
    if issubclass(kind, Tensor):
        return function(*values)
    fields = [_mapped(function, *field) for field in zip(*values, strict=True)]
    return kind(*fields) if hasattr(kind, "_fields") else kind(fields)


def _tensors_of(value: Any) -> list[Tensor]:
    if isinstance(value, Tensor):
        return [value]
    return [tensor for field in value for tensor in _tensors_of(field)]
