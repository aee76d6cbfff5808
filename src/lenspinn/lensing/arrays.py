"""Lens physics for numpy: functions of tensors that take numbers and arrays too.

A function that is given a tensor returns tensors; one that is given none returns arrays. Code that
runs many times imports the functions of tensors from their own modules instead.
"""

import functools
import inspect
import typing
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, TypeVar

import numpy as np
import torch
from jaxtyping import AbstractArray
from torch import Tensor

from lenspinn.lensing import light, profiles, raytrace

__all__ = [
    "axis_ratio_to_ellipticity",
    "convergence_epl",
    "convergence_multipole",
    "convergence_point_mass",
    "convergence_rod",
    "convergence_shear",
    "convergence_sie",
    "convergence_sis",
    "convergence_tnfw",
    "deflection_epl",
    "deflection_multipole",
    "deflection_point_mass",
    "deflection_rod",
    "deflection_shear",
    "deflection_sie",
    "deflection_sis",
    "deflection_tnfw",
    "delens",
    "ellipticity_to_axis_ratio",
    "interpolated_source",
    "potential_epl",
    "potential_multipole",
    "potential_point_mass",
    "potential_rod",
    "potential_shear",
    "potential_sie",
    "potential_sis",
    "potential_tnfw",
    "ray_trace",
    "relens",
    "sersic",
]

_PLANE = ("y", "x")

F = TypeVar("F", bound=Callable[..., Any])


class Axes(NamedTuple):
    """Axes that a parameter of a function of tensors must have."""

    number: int
    """Number of axes, at least; axes of a batch are not counted where these may be left out."""
    per_lens: bool
    """Whether the parameter is one value a lens, the same at all positions."""
    or_number: bool
    """Whether the function itself takes a number in the place of this tensor."""


def takes_arrays(function: F) -> F:
    """Return a function of tensors that takes numbers and arrays too.

    Parameters
    ----------
    function
        Function whose annotations say which parameters are tensors. Where positions or images have
        fewer axes than the function needs, such as single numbers, the result has as many axes as
        were given.
    """
    hints = typing.get_type_hints(function)
    needed = {name: axes for name, hint in hints.items() if (axes := _axes(hint)) is not None}
    needed.pop("return", None)
    signature = inspect.signature(function)

    @functools.wraps(function)
    def call(*arguments: Any, **options: Any) -> Any:
        bound = signature.bind(*arguments, **options)
        given = {
            name: value
            for name, value in bound.arguments.items()
            if name in needed and not (needed[name].or_number and isinstance(value, float | int))
        }
        if all(isinstance(value, Tensor) for value in given.values()):
            return function(*arguments, **options)
        dtype = _common_type(given)
        tensors = {name: _as_tensor(value, dtype) for name, value in given.items()}
        at_places = [name for name in tensors if not needed[name].per_lens] or list(tensors)
        least = needed[at_places[0]].number
        missing = max(0, min(least - tensors[name].ndim for name in at_places))
        tensors = {name: _with_axes(value, needed[name]) for name, value in tensors.items()}
        if least == len(_PLANE):  # positions, of which one may be the same for all
            shape = torch.broadcast_shapes(*(tensors[name].shape[-least:] for name in at_places))
            for name in at_places:
                tensors[name] = tensors[name].expand(*tensors[name].shape[:-least], *shape)
        bound.arguments.update(tensors)
        result = function(*bound.args, **bound.kwargs)
        as_array = not any(isinstance(value, Tensor) for value in given.values())
        return _given_back(result, tuple(range(-least, missing - least)), as_array)

    return typing.cast(F, call)


def _axes(hint: Any) -> Axes | None:
    """Return the axes that an annotation asks of a tensor; None if it is not that of a tensor."""
    arrays = [
        kind
        for kind in typing.get_args(hint) or (hint,)
        if isinstance(kind, type) and issubclass(kind, AbstractArray)
    ]
    if not arrays:
        return None
    axes = [axis for axis in arrays[0].dim_str.split() if not axis.startswith("*")]
    return Axes(len(axes), axes[-1] == "1", float in typing.get_args(hint))


def _common_type(given: Mapping[str, Any]) -> torch.dtype:
    """Return the type of the given tensors, else that of the arrays; single numbers have none."""
    for value in given.values():
        if isinstance(value, Tensor):
            return value.dtype
    arrays = [value for value in given.values() if isinstance(value, np.ndarray) and value.ndim]
    single = all(value.dtype.kind == "f" and value.dtype.itemsize <= 4 for value in arrays)
    return torch.float32 if arrays and single else torch.float64


def _as_tensor(value: Any, dtype: torch.dtype) -> Tensor:
    if isinstance(value, Tensor):
        return value
    # A copy in the byte order of the machine: FITS files have another byte order.
    return torch.from_numpy(np.array(value, dtype=np.float64)).to(dtype)


def _with_axes(value: Tensor, axes: Axes) -> Tensor:
    if axes.per_lens and value.ndim == 1:  # one value a lens, of each of a batch
        return value[:, None, None]
    return value[(None,) * max(0, axes.number - value.ndim)]


def _given_back(result: Any, added: tuple[int, ...], as_array: bool) -> Any:
    if isinstance(result, tuple):
        parts = [_given_back(part, added, as_array) for part in result]
        return type(result)(*parts) if hasattr(result, "_fields") else tuple(parts)
    result = result.squeeze(added) if added else result
    return result.numpy()[()] if as_array else result


axis_ratio_to_ellipticity = takes_arrays(profiles.axis_ratio_to_ellipticity)
convergence_epl = takes_arrays(profiles.convergence_epl)
convergence_multipole = takes_arrays(profiles.convergence_multipole)
convergence_point_mass = takes_arrays(profiles.convergence_point_mass)
convergence_rod = takes_arrays(profiles.convergence_rod)
convergence_shear = takes_arrays(profiles.convergence_shear)
convergence_sie = takes_arrays(profiles.convergence_sie)
convergence_sis = takes_arrays(profiles.convergence_sis)
convergence_tnfw = takes_arrays(profiles.convergence_tnfw)
deflection_epl = takes_arrays(profiles.deflection_epl)
deflection_multipole = takes_arrays(profiles.deflection_multipole)
deflection_point_mass = takes_arrays(profiles.deflection_point_mass)
deflection_rod = takes_arrays(profiles.deflection_rod)
deflection_shear = takes_arrays(profiles.deflection_shear)
deflection_sie = takes_arrays(profiles.deflection_sie)
deflection_sis = takes_arrays(profiles.deflection_sis)
deflection_tnfw = takes_arrays(profiles.deflection_tnfw)
ellipticity_to_axis_ratio = takes_arrays(profiles.ellipticity_to_axis_ratio)
potential_epl = takes_arrays(profiles.potential_epl)
potential_multipole = takes_arrays(profiles.potential_multipole)
potential_point_mass = takes_arrays(profiles.potential_point_mass)
potential_rod = takes_arrays(profiles.potential_rod)
potential_shear = takes_arrays(profiles.potential_shear)
potential_sie = takes_arrays(profiles.potential_sie)
potential_sis = takes_arrays(profiles.potential_sis)
potential_tnfw = takes_arrays(profiles.potential_tnfw)
interpolated_source = takes_arrays(light.interpolated_source)
sersic = takes_arrays(light.sersic)
delens = takes_arrays(raytrace.delens)
ray_trace = takes_arrays(raytrace.ray_trace)
relens = takes_arrays(raytrace.relens)
