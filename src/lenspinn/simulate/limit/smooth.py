"""Smooth model of a scene: its free parameters, and the image that they make."""

from dataclasses import dataclass, replace
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from lenspinn.errors import ConfigError
from lenspinn.lensing.light import sersic
from lenspinn.simulate.limit.fit import Model, Parameters
from lenspinn.simulate.recipes import Recipe
from lenspinn.simulate.render import (
    Camera,
    expose,
    model_image,
    sampling_points,
    surface_brightness,
)
from lenspinn.simulate.tensors import GalaxyTensors, LensTensors, SceneTensors

__all__ = ["check_smooth", "smooth_model"]

Values = dict[str, Float[Tensor, "*batch 1 1"]]
"""Values of parameters: `Parameters`, or copies of them for every place, (batch, places, 1, 1)."""

_MULTIPOLES = (3, 4)
_NOT_FREE = {"brightest", "clumps", "images", "pixel_scale"}
"""Fields of a light profile that are not free: they follow from other fields, or describe the
clumps or the image of a galaxy."""
SAMPLES_TOGETHER = 2**16
"""Number of places of which derivatives are taken at once: as many as fit the cache of a CPU."""
_NO_MULTIPOLE = 1e-12
"""Number added to a multipole's first component, so that its direction is defined where both
components are 0."""


def check_smooth(recipe: Recipe) -> None:
    """Refuse a recipe whose scenes have no smooth model.

    Raises
    ------
    ConfigError
        If its sources have clumps.
    """
    if recipe.has_clumps:
        raise ConfigError(
            f"sources of {recipe.name} have clumps, which the smooth model that is fitted has not: "
            "take a recipe without"
        )


def smooth_model(scene: SceneTensors, camera: Camera) -> tuple[Model, Parameters]:
    """Return the smooth model of scenes, and the parameters with which it makes them.

    Parameters
    ----------
    scene
        Scenes, whose substructure is left out.

    Returns
    -------
    model
        Function from some of the parameters to images, (B, y, x) e-/s; parameters that are not
        given keep their value in the scene.
    parameters
        All numbers of lens, source and lens light that the scene has, by dotted name: an isothermal
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
    if isinstance(scene.source, GalaxyTensors):
        return _SmoothModel(smooth, true, camera), true
    return _LocalModel(smooth, true, camera), true


@dataclass(frozen=True, eq=False)
class _SmoothModel:
    """Function from parameters to images; see `smooth_model`."""

    scene: SceneTensors
    true: Parameters
    camera: Camera

    def __call__(self, parameters: Parameters) -> Tensor:
        return model_image(self.changed({**self.true, **parameters}), self.camera)

    def changed(self, parameters: Values) -> SceneTensors:
        """Return the scene with other values of all its parameters."""
        values, core = _by_part(parameters), self.camera.source_core
        changed = self.scene._replace(
            lens=_lens(self.scene.lens, values["lens"]),
            source=_light(self.scene.source, values["source"], core),
        )
        if self.scene.lens_light is not None:
            light = _light(self.scene.lens_light, values["lens_light"], core)
            changed = changed._replace(lens_light=light)
        return changed


class _LocalModel(_SmoothModel):
    """A smooth model whose brightness at a place depends on the numbers of the scene alone."""

    def jacobian(self, at: Parameters) -> Tensor:
        """Return the derivative of each pixel by each parameter, (B, y x, P).

        Before the PSF a place depends on its own copy of the parameters alone, so one reverse pass
        gives every derivative everywhere, at the cost of three images; forward mode takes two for
        each parameter.
        """
        num_samples = (self.camera.num_pix * self.camera.supersampling) ** 2
        together = max(1, SAMPLES_TOGETHER // num_samples)
        rows = torch.arange(len(next(iter(self.true.values())))).split(together)
        return torch.cat([self._columns(at, chosen) for chosen in rows])

    def _columns(self, at: Parameters, rows: Tensor) -> Tensor:
        here = {name: value[rows, None] for name, value in self.true.items()}
        one = next(iter(here.values()))
        theta_x, theta_y = sampling_points(self.camera, dtype=one.dtype, device=one.device)
        places = (theta_x.reshape(-1, 1, 1), theta_y.reshape(-1, 1, 1))
        copies = [value[rows, None].expand(-1, theta_x.numel(), 1, 1) for value in at.values()]
        bare = replace(self, scene=self.scene._replace(subtracted_light=None))

        def brightness(*values: Tensor) -> Tensor:
            changed = bare.changed({**here, **dict(zip(at, values, strict=True))})
            return surface_brightness(changed, *places)

        made, pull_back, *_ = torch.func.vjp(brightness, *copies)
        derivatives = torch.stack(pull_back(torch.ones_like(made)), dim=1)
        images = expose(derivatives.reshape(-1, *theta_x.shape), self.camera)
        return images.unflatten(0, derivatives.shape[:2]).flatten(2).mT


def _lens_parameters(lens: LensTensors) -> Parameters:
    values = {name: value for name, value in lens._asdict().items() if value is not None}
    for m in _MULTIPOLES if lens.a3 is not None else ():
        amplitude, angle = values.pop(f"a{m}"), m * values.pop(f"phi{m}")
        values[f"a{m}_cos"] = amplitude * torch.cos(angle)
        values[f"a{m}_sin"] = amplitude * torch.sin(angle)
    return values


def _lens(lens: LensTensors, values: Values) -> LensTensors:
    """Undo `_lens_parameters`."""
    values = dict(values)
    for m in _MULTIPOLES if lens.a3 is not None else ():
        cos, sin = values.pop(f"a{m}_cos") + _NO_MULTIPOLE, values.pop(f"a{m}_sin")
        values |= {f"a{m}": torch.hypot(cos, sin), f"phi{m}": torch.atan2(sin, cos) / m}
    return lens._replace(**values)


def _light(light: Any, values: Values, core: float) -> Any:
    """Return a light profile, Sersic or galaxy, with other values."""
    light = light._replace(**values)
    if isinstance(light, GalaxyTensors):
        return light
    profile = {name: getattr(light, name) for name in ("amplitude", "R_sersic", "n_sersic")}
    x = torch.full_like(light.R_sersic, core)
    edge = sersic(x, 0 * x, **profile, e1=0.0, e2=0.0, center_x=0.0, center_y=0.0)
    return light._replace(brightest=edge)


def _by_part(parameters: Values) -> dict[str, Values]:
    parts: dict[str, Values] = {}
    for key, value in parameters.items():
        part, name = key.split(".")
        parts.setdefault(part, {})[name] = value
    return parts
