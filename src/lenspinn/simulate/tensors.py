"""Scenes as tensors, shaped to broadcast over (batch, y, x)."""

import math
from typing import Any, NamedTuple

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from lenspinn.lensing.light import SERSIC_CORE, sersic, sersic_total_flux
from lenspinn.simulate.scene import Clumps, GalaxyLight, Scene, SersicLight

__all__ = [
    "ClumpTensors",
    "GalaxyTensors",
    "HaloTensors",
    "LensTensors",
    "PointTensors",
    "RodTensors",
    "SceneTensors",
    "SersicTensors",
    "scene_tensors",
]

PerScene = Float[Tensor, "batch 1 1"]
Places = Float[Tensor, "places batch 1 1"]


class LensTensors(NamedTuple):
    """`SmoothLens` as tensors."""

    theta_E: PerScene
    e1: PerScene
    e2: PerScene
    center_x: PerScene
    center_y: PerScene
    gamma1: PerScene
    gamma2: PerScene
    gamma: PerScene | None
    a3: PerScene | None
    phi3: PerScene | None
    a4: PerScene | None
    phi4: PerScene | None


class PointTensors(NamedTuple):
    """`PointMasses` as tensors."""

    x: Places
    y: Places
    theta_E: Places


class HaloTensors(NamedTuple):
    """`Halos` as tensors."""

    x: Places
    y: Places
    alpha_Rs: Places
    Rs: Places
    r_trunc: Places


class RodTensors(NamedTuple):
    """`Rods` as tensors."""

    x0: Places
    y0: Places
    x1: Places
    y1: Places
    theta_E: Places


class ClumpTensors(NamedTuple):
    """`Clumps` as tensors; flux and sigma have become brightness and steepness."""

    peak: Places
    """Surface brightness at the centre, e-/s per square arcsec."""
    x: Places
    y: Places
    steepness: Places
    """Steepness 1 / (2 sigma^2), per square arcsec."""


class SersicTensors(NamedTuple):
    """`SersicLight` as tensors; its flux has become an amplitude."""

    amplitude: PerScene
    """Surface brightness at R_sersic, e-/s per square arcsec."""
    R_sersic: PerScene
    n_sersic: PerScene
    e1: PerScene
    e2: PerScene
    center_x: PerScene
    center_y: PerScene
    brightest: PerScene
    """Surface brightness at the edge of the core, the largest of the profile, e-/s per square
    arcsec."""
    clumps: ClumpTensors | None


class GalaxyTensors(NamedTuple):
    """`GalaxyLight` as tensors."""

    images: Float[Tensor, "batch v u"]
    flux: PerScene
    center_x: PerScene
    center_y: PerScene
    angle: PerScene
    size: PerScene
    pixel_scale: float


class SceneTensors(NamedTuple):
    """A `Scene` as tensors of one dtype, shaped to broadcast over (batch, y, x)."""

    lens: LensTensors
    points: PointTensors | None
    halos: HaloTensors | None
    rods: RodTensors | None
    source: SersicTensors | GalaxyTensors
    lens_light: SersicTensors | None
    subtracted_light: SersicTensors | None


def scene_tensors(
    scene: Scene,
    *,
    source_core: float = SERSIC_CORE,
    dtype: torch.dtype = torch.float32,
    device: torch.device | str | None = None,
) -> SceneTensors:
    """Turn a scene into tensors; the flux of Sersic profiles becomes their amplitude."""

    def tensor(values: np.ndarray | None) -> Any:
        if values is None:
            return None
        values = np.ascontiguousarray(values.T[..., None, None])
        return torch.as_tensor(values, dtype=dtype, device=device)

    def tensors(kind: Any, item: object) -> Any:
        return item and kind(*(tensor(getattr(item, name)) for name in kind._fields))

    def clumps(item: Clumps | None) -> Any:
        if item is None:
            return None
        variance = item.sigma**2
        peak, steepness = item.flux / (2 * math.pi * variance), 0.5 / variance
        return ClumpTensors(*map(tensor, (peak, item.x, item.y, steepness)))

    def sersic_light(item: SersicLight | None) -> Any:
        if item is None:
            return None
        amplitude = item.smooth_flux / np.asarray(sersic_total_flux(item.R_sersic, item.n_sersic))
        brightest = _brightest(amplitude, item.R_sersic, item.n_sersic, source_core)
        content = vars(item) | {"amplitude": amplitude, "brightest": brightest}
        values = {name: tensor(content[name]) for name in SersicTensors._fields[:-1]}
        return SersicTensors(**values, clumps=clumps(item.clumps))

    def galaxy_light(item: GalaxyLight) -> Any:
        images = torch.as_tensor(item.images, dtype=dtype, device=device)
        names = ("flux", "center_x", "center_y", "angle", "size")
        numbers = {name: tensor(getattr(item, name)) for name in names}
        return GalaxyTensors(images=images, pixel_scale=item.pixel_scale, **numbers)

    return SceneTensors(
        lens=tensors(LensTensors, scene.lens),
        points=tensors(PointTensors, scene.points),
        halos=tensors(HaloTensors, scene.halos),
        rods=tensors(RodTensors, scene.rods),
        source=galaxy_light(scene.source)
        if isinstance(scene.source, GalaxyLight)
        else sersic_light(scene.source),
        lens_light=sersic_light(scene.lens_light),
        subtracted_light=sersic_light(scene.subtracted_light),
    )


def _brightest(
    amplitude: np.ndarray, R_sersic: np.ndarray, n_sersic: np.ndarray, core: float
) -> np.ndarray:
    """Return the brightness of Sersic profiles at a radius, (B,)."""
    profile = {
        name: torch.as_tensor(values)[:, None, None]
        for name, values in (
            ("amplitude", amplitude),
            ("R_sersic", R_sersic),
            ("n_sersic", n_sersic),
        )
    }
    x = torch.tensor([[core]], dtype=torch.float64)
    at_core = sersic(x, 0 * x, **profile, e1=0.0, e2=0.0, center_x=0.0, center_y=0.0)
    return at_core[:, 0, 0].numpy()
