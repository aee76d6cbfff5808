"""Scenes: lens, substructure, source and light of each image of a batch.

All values are float64 arrays, angles in arcsec, definitions lenstronomy's. They are the values that
act in the image: a value that a fault of the recipe scales is already scaled.
"""

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np

from lenspinn.simulate.populations import Halos, PointMasses, Rods

__all__ = ["Clumps", "GalaxyLight", "Scene", "SersicLight", "SmoothLens", "joined", "padded"]

Node = TypeVar("Node")
Rows = Sequence[int] | np.ndarray

_SUBSTRUCTURE: dict[str, Any] = {"points": PointMasses, "halos": Halos, "rods": Rods}
_UNUSED = {"Rs": 1.0, "r_trunc": 1.0, "x1": 1.0}
"""Values in the unused places of substructure, for fields in which 0 would make no sense."""


@dataclass(frozen=True, kw_only=True)
class SmoothLens:
    """Elliptical power laws with external shear, each value (B,)."""

    theta_E: np.ndarray
    e1: np.ndarray
    e2: np.ndarray
    center_x: np.ndarray
    center_y: np.ndarray
    gamma1: np.ndarray
    """External shear, as `gamma2`; its deflection is zero at the image centre."""
    gamma2: np.ndarray
    gamma: np.ndarray | None = None
    """Slope of the three-dimensional density; None: 2, isothermal."""
    a3: np.ndarray | None = None
    """Amplitude of the multipole of order 3 in units of theta_E; None, with the next three: no
    multipoles."""
    phi3: np.ndarray | None = None
    """Direction of the multipole of order 3, radians."""
    a4: np.ndarray | None = None
    phi4: np.ndarray | None = None


@dataclass(frozen=True, kw_only=True)
class Clumps:
    """Circular Gaussians, each value (B, n)."""

    flux: np.ndarray
    """Flux integrated to infinity, e-/s before lensing."""
    x: np.ndarray
    """Position of the centre, arcsec in the source plane, as `y`."""
    y: np.ndarray
    sigma: np.ndarray
    """Standard deviation of the Gaussian, arcsec."""


@dataclass(frozen=True, kw_only=True)
class SersicLight:
    """Elliptical Sersic profiles, each value (B,), and the clumps on them."""

    flux: np.ndarray
    """Flux integrated to infinity, with all clumps, e-/s; of a source, before lensing."""
    R_sersic: np.ndarray
    n_sersic: np.ndarray
    e1: np.ndarray
    e2: np.ndarray
    center_x: np.ndarray
    center_y: np.ndarray
    clumps: Clumps | None = None

    @property
    def smooth_flux(self) -> np.ndarray:
        """Flux of the Sersic profile without the clumps, (B,) e-/s."""
        return self.flux if self.clumps is None else self.flux - self.clumps.flux.sum(axis=1)


@dataclass(frozen=True, kw_only=True)
class GalaxyLight:
    """Images of galaxies as sources."""

    images: np.ndarray
    """Surface brightness for a flux of 1, (B, v, u) per square arcsec."""
    pixel_scale: float
    """Pixel scale of `images`, arcsec."""
    flux: np.ndarray
    """Flux before lensing, (B,) e-/s."""
    center_x: np.ndarray
    """Position of the centre, (B,) arcsec in the source plane, as `center_y`."""
    center_y: np.ndarray
    angle: np.ndarray
    """Angle by which the galaxy is turned from x towards y, (B,) radians."""
    size: np.ndarray
    """Factor by which the galaxy is larger than in `images`, (B,)."""


@dataclass(frozen=True, kw_only=True)
class Scene:
    """B lenses with their substructure, source and light."""

    lens: SmoothLens
    points: PointMasses | None = None
    halos: Halos | None = None
    rods: Rods | None = None
    source: SersicLight | GalaxyLight
    lens_light: SersicLight | None = None
    subtracted_light: SersicLight | None = None
    """Model of the lens light that is subtracted from the image; its photons still make noise."""

    def __len__(self) -> int:
        return len(self.lens.theta_E)

    def take(self, rows: Rows) -> "Scene":
        """Return some of the scenes, in any order and as often as asked."""
        return _mapped(lambda values: values[rows], self)

    def without_empty_places(self) -> "Scene":
        """Return the same scenes with as few places for substructure as they need."""
        return dataclasses.replace(
            self, **{name: _used_places(getattr(self, name)) for name in _SUBSTRUCTURE}
        )

    def smooth(self) -> "Scene":
        """Return the same scenes without substructure."""
        return dataclasses.replace(self, points=None, halos=None, rods=None)


def joined(scenes: Sequence[Scene]) -> Scene:
    """Put batches one after the other; substructure gets as many places as the richest needs."""
    substructure = {
        name: _joined_places(
            kind, [getattr(scene, name) for scene in scenes], list(map(len, scenes))
        )
        for name, kind in _SUBSTRUCTURE.items()
    }
    smooth = [scene.smooth() for scene in scenes]
    return dataclasses.replace(_joined(smooth), **substructure)


def padded(field: str, values: np.ndarray, width: int) -> np.ndarray:
    """Give each row of one `field` of substructure, (B, n), ``width`` places, unused ones last."""
    places = np.full((len(values), width), _UNUSED.get(field, 0.0))
    places[:, : values.shape[1]] = values
    return places


def _used_places(places: Any) -> Any:
    """Leave out the last places if they are empty in all scenes; None if all places are empty."""
    used = [] if places is None else np.flatnonzero(places.mass.any(axis=0)).tolist()
    return type(places)(*(values[:, : used[-1] + 1] for values in places)) if used else None


def _joined_places(kind: Any, parts: Sequence[Any], sizes: Sequence[int]) -> Any:
    width = max(part[0].shape[1] if part else 0 for part in parts)
    if width == 0:
        return None
    columns = [
        [
            padded(field, getattr(part, field) if part else np.empty((size, 0)), width)
            for part, size in zip(parts, sizes, strict=True)
        ]
        for field in kind._fields
    ]
    return kind(*map(np.concatenate, columns))


def _mapped(function: Any, node: Any) -> Any:
    """Apply a function to every array of a scene."""
    if isinstance(node, np.ndarray):
        return function(node)
    if isinstance(node, tuple):
        return type(node)(*(_mapped(function, item) for item in node))
    if dataclasses.is_dataclass(node) and not isinstance(node, type):
        fields = [field.name for field in dataclasses.fields(node)]
        return dataclasses.replace(
            node, **{name: _mapped(function, getattr(node, name)) for name in fields}
        )
    return node


def _joined(nodes: Sequence[Any]) -> Any:
    """Concatenate every array of nodes of one structure."""
    first: Any = nodes[0]
    if isinstance(first, np.ndarray):
        return np.concatenate(nodes)
    if dataclasses.is_dataclass(first) and not isinstance(first, type):
        fields = [field.name for field in dataclasses.fields(first)]
        return dataclasses.replace(
            first, **{name: _joined([getattr(node, name) for node in nodes]) for name in fields}
        )
    return first
