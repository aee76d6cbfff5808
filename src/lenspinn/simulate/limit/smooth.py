"""The smooth model of a scene: which of its numbers are free, and the image they make."""

from typing import Any

import torch
from torch import Tensor

from lenspinn.lensing import sersic
from lenspinn.simulate.limit.fit import Model, Parameters
from lenspinn.simulate.render import Camera, model_image
from lenspinn.simulate.tensors import GalaxyTensors, LensTensors, SceneTensors

__all__ = ["smooth_model"]

_MULTIPOLES = (3, 4)
_NOT_FREE = {"brightest", "images", "pixel_scale"}
"""Of a light profile: what follows from its other values, and what a galaxy looks like."""
_NO_MULTIPOLE = 1e-12
"""Added to a multipole's first component, so that its direction is defined where both are 0."""


def smooth_model(scene: SceneTensors, camera: Camera) -> tuple[Model, Parameters]:
    """Return the smooth model of scenes, and the parameters with which it makes them.

    Parameters
    ----------
    scene
        Substructure is left out.

    Returns
    -------
    model
        From some of the parameters to images, (B, y, x) e-/s; those that it is not given keep
        their value in the scene.
    parameters
        By dotted name, all numbers of lens, source and lens light that the scene has: an isothermal
        lens keeps its slope, a lens without multipoles gets none, and a source that is an image is
        free in flux, place, angle and size only. A multipole is free in its two components,
        ``a3_cos`` and ``a3_sin``, in place of amplitude and direction.
    """
    smooth = scene._replace(points=None, halos=None, rods=None)
    true = {f"lens.{name}": value for name, value in _lens_parameters(scene.lens).items()}
    for part in ("source", "lens_light"):
        light = getattr(scene, part)
        values = {} if light is None else light._asdict()
        true |= {f"{part}.{name}": v for name, v in values.items() if name not in _NOT_FREE}

    def image(parameters: Parameters) -> Tensor:
        values = _by_part({**true, **parameters})
        changed = smooth._replace(
            lens=_lens(smooth.lens, values["lens"]),
            source=_light(smooth.source, values["source"], camera.source_core),
        )
        if smooth.lens_light is not None:
            light = _light(smooth.lens_light, values["lens_light"], camera.source_core)
            changed = changed._replace(lens_light=light)
        return model_image(changed, camera)

    return image, true


def _lens_parameters(lens: LensTensors) -> Parameters:
    values = {name: value for name, value in lens._asdict().items() if value is not None}
    for m in _MULTIPOLES if lens.a3 is not None else ():
        amplitude, angle = values.pop(f"a{m}"), m * values.pop(f"phi{m}")
        values[f"a{m}_cos"] = amplitude * torch.cos(angle)
        values[f"a{m}_sin"] = amplitude * torch.sin(angle)
    return values


def _lens(lens: LensTensors, values: Parameters) -> LensTensors:
    """Undo `_lens_parameters`."""
    values = dict(values)
    for m in _MULTIPOLES if lens.a3 is not None else ():
        cos, sin = values.pop(f"a{m}_cos") + _NO_MULTIPOLE, values.pop(f"a{m}_sin")
        values |= {f"a{m}": torch.hypot(cos, sin), f"phi{m}": torch.atan2(sin, cos) / m}
    return lens._replace(**values)


def _light(light: Any, values: Parameters, core: float) -> Any:
    """Return a light profile, Sersic or galaxy, with other values."""
    light = light._replace(**values)
    if isinstance(light, GalaxyTensors):
        return light
    profile = {name: getattr(light, name) for name in ("amplitude", "R_sersic", "n_sersic")}
    x = torch.full_like(light.R_sersic, core)
    edge = sersic(x, 0 * x, **profile, e1=0.0, e2=0.0, center_x=0.0, center_y=0.0)
    return light._replace(brightest=edge)


def _by_part(parameters: Parameters) -> dict[str, Parameters]:
    parts: dict[str, Parameters] = {}
    for key, value in parameters.items():
        part, name = key.split(".")
        parts.setdefault(part, {})[name] = value
    return parts
