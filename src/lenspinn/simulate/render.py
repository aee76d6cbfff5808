"""Scenes to noise-free images, in batches, with torch.

Everything from the tensors of `scene_tensors` on is a pure function of tensors.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from lenspinn.compiled import compiled_function
from lenspinn.lensing.grid import pixel_grid
from lenspinn.lensing.light import SERSIC_CORE, interpolated_source, sersic
from lenspinn.lensing.profiles import (
    SIEConstants,
    deflection_epl,
    deflection_multipole,
    deflection_rod,
    deflection_shear,
    deflection_sie_with,
    deflection_tnfw,
    sie_constants,
)
from lenspinn.lensing.psf import convolve_kernel, convolve_separable, gaussian_kernel
from lenspinn.simulate.psf import load_psf
from lenspinn.simulate.scene import Scene
from lenspinn.simulate.tensors import (
    ClumpTensors,
    GalaxyTensors,
    HaloTensors,
    LensTensors,
    PointTensors,
    RodTensors,
    SceneTensors,
    SersicTensors,
    scene_tensors,
)

__all__ = [
    "Camera",
    "model_image",
    "render",
    "render_subtracted",
    "surface_brightness",
]

Image = Float[Tensor, "batch y x"]
Vectors = tuple[Tensor, Tensor]

# Arcsec^2, added to squared distances so that a pixel exactly on a point mass is not deflected, as
# in lenstronomy. Far below the float32 resolution of any other squared distance.
_POINT_CORE = 1e-30
_GPU_ELEMENTS = 2**25
"""Largest number of values in a map of deflections that a GPU computes at once: 128 MiB in
float32."""


@dataclass(frozen=True, kw_only=True)
class Camera:
    """Pixels and PSF that turn surface brightness into an image."""

    num_pix: int
    """Number of pixels along a side."""
    pixel_scale: float
    """Pixel scale, arcsec."""
    psf_fwhm: float
    """Full width at half maximum of the Gaussian PSF, arcsec; 0 for none."""
    psf_truncation: float = 5.0
    """Radius at which the PSF is cut off, in standard deviations."""
    psf_kernel: str | None = None
    """File with the PSF in pixels of the image, in the place of the Gaussian."""
    supersampling: int = 1
    """Number of points along a side of a pixel at which the surface brightness is sampled; 1: its
    centre alone."""
    source_core: float = SERSIC_CORE
    """Radius inside which a Sersic source is constant, arcsec, at least lenstronomy's 1e-4."""


def render(
    scene: Scene,
    camera: Camera,
    *,
    dtype: torch.dtype = torch.float32,
    device: torch.device | str | None = None,
    compiled: bool = False,
) -> Image:
    """Render noise-free images.

    Parameters
    ----------
    scene
        B scenes.
    dtype, device
        Type and device of the computation and of its result.
    compiled
        Whether to use `torch.compile`, which takes seconds once and is several times faster from
        then on. The pixels differ by float32 rounding, up to 1e-5 of the peak.

    Returns
    -------
    (B, num_pix, num_pix), e-/s

    Raises
    ------
    ConfigError
        If `compiled` is asked for where there is no compiler.

    Notes
    -----
    A pixel holds the mean surface brightness at its sampling points times its area, convolved with
    the PSF, as in lenstronomy. Differences from lenstronomy, in units of the peak: 1e-8 in float64,
    from the core of 1e-10 arcsec that lenstronomy gives its SIE; in float32 1e-6 to 1e-5, and up to
    1e-4 where the centre of a cuspy source falls on a pixel.
    """
    tensors = scene_tensors(scene, source_core=camera.source_core, dtype=dtype, device=device)
    return _exposed(_brightness, tensors, camera, compiled=compiled)


def render_subtracted(
    scene: Scene,
    camera: Camera,
    *,
    dtype: torch.dtype = torch.float32,
    device: torch.device | str | None = None,
) -> Image | None:
    """Render the light that was subtracted from the images, whose photons still make noise.

    Returns
    -------
    (B, num_pix, num_pix), e-/s, or None if nothing was subtracted
    """
    if scene.subtracted_light is None:
        return None
    tensors = scene_tensors(scene, dtype=dtype, device=device)
    return _exposed(_subtracted_brightness, tensors, camera)


def model_image(scene: SceneTensors, camera: Camera) -> Image:
    """Return noise-free images, (B, num_pix, num_pix) e-/s, differentiable; see `render`."""
    return _exposed(_brightness, scene, camera)


def surface_brightness(
    scene: SceneTensors,
    theta_x: Float[Tensor, "*samples y x"],
    theta_y: Float[Tensor, "*samples y x"],
) -> Tensor:
    """Return the brightness at each position, e-/s per square arcsec, before the PSF.

    Parameters
    ----------
    theta_x, theta_y : (y, x), arcsec
        Rows of ``theta_x`` and columns of ``theta_y`` are equal, as `pixel_grid` makes them; or
        positions (samples, 1, 1), where a scene without substructure may have other values at each:
        (batch, samples, 1, 1).
    """
    return _brightness(scene, _macro_constants(scene.lens), theta_x, theta_y)


def sampling_points(
    camera: Camera, *, dtype: torch.dtype, device: torch.device | str | None = None
) -> tuple[Tensor, Tensor]:
    """Return the positions of a camera's samples: theta_x and theta_y, both (y, x), arcsec."""
    fine = camera.supersampling
    scale = camera.pixel_scale / fine
    return pixel_grid(camera.num_pix * fine, scale, dtype=dtype, device=device)


def expose(
    brightness: Image, camera: Camera, *, to_pixels: Callable[..., Tensor] | None = None
) -> Float[Tensor, "batch v u"]:
    """Average the brightness at the sampling points over each pixel, and convolve with the PSF.

    Parameters
    ----------
    brightness : (B, y, x)
        Surface brightness at `sampling_points`, e-/s per square arcsec.
    camera
    to_pixels
        Compiled form of the sum over each pixel and the separable convolution.
    """
    to_pixels = to_pixels or _to_pixels
    fine = camera.supersampling
    area = (camera.pixel_scale / fine) ** 2
    if camera.psf_kernel is not None:
        psf = load_psf(camera.psf_kernel, camera.pixel_scale)
        return convolve_kernel(to_pixels(brightness, fine, (area,)), psf)
    kernel = gaussian_kernel(camera.psf_fwhm / camera.pixel_scale, camera.psf_truncation)
    return to_pixels(brightness, fine, tuple(area**0.5 * weight for weight in kernel))


def _brightness(
    scene: SceneTensors, macro: SIEConstants | None, theta_x: Tensor, theta_y: Tensor
) -> Tensor:
    alpha_x, alpha_y = _deflection_smooth(scene.lens, macro, theta_x, theta_y)
    shear_x, shear_y = deflection_shear(
        theta_x[None], theta_y[None], scene.lens.gamma1, scene.lens.gamma2
    )
    for more_x, more_y in _deflections_substructure(scene, theta_x, theta_y):
        shear_x, shear_y = shear_x + more_x, shear_y + more_y
    beta_x, beta_y = theta_x - alpha_x - shear_x, theta_y - alpha_y - shear_y
    if isinstance(scene.source, GalaxyTensors):
        brightness = _galaxy(scene.source, beta_x, beta_y)
    else:
        brightness = _sersic(scene.source, beta_x, beta_y)
        if scene.source.clumps is not None:
            brightness = brightness + _clumps(scene.source.clumps, beta_x, beta_y)
    if scene.lens_light is not None:
        brightness = brightness + _sersic(scene.lens_light, theta_x[None], theta_y[None])
    if scene.subtracted_light is not None:
        brightness = brightness - _sersic(scene.subtracted_light, theta_x[None], theta_y[None])
    return brightness


def _exposed(
    brightness: Callable[..., Image],
    scene: SceneTensors,
    camera: Camera,
    *,
    compiled: bool = False,
) -> Image:
    """Sample a brightness, average it over each pixel, and convolve with the PSF."""
    theta_E = scene.lens.theta_E
    theta_x, theta_y = sampling_points(camera, dtype=theta_E.dtype, device=theta_E.device)
    to_pixels = None
    if compiled:
        brightness = compiled_function(brightness, inline=True)
        to_pixels = compiled_function(_to_pixels)
    image = brightness(scene, _macro_constants(scene.lens), theta_x, theta_y)
    return expose(image, camera, to_pixels=to_pixels)


def _to_pixels(brightness: Tensor, fine: int, kernel: tuple[float, ...]) -> Tensor:
    """Add up the sampling points of each pixel and convolve along both axes."""
    if fine > 1:
        # Faster than a sum over two axes.
        brightness = functional.avg_pool2d(brightness[:, None], fine, divisor_override=1)[:, 0]
    return convolve_separable(brightness, kernel)


def _macro_constants(lens: LensTensors) -> SIEConstants | None:
    return sie_constants(lens.theta_E, lens.e1, lens.e2) if lens.gamma is None else None


def _deflection_smooth(
    lens: LensTensors, macro: SIEConstants | None, theta_x: Tensor, theta_y: Tensor
) -> Vectors:
    """Return the deflection of the lens without its external shear."""
    x, y = theta_x - lens.center_x, theta_y - lens.center_y
    if macro is not None:
        alpha_x, alpha_y = deflection_sie_with(x, y, macro)
    else:
        assert lens.gamma is not None  # _macro_constants made the other choice
        alpha_x, alpha_y = deflection_epl(x, y, lens.theta_E, lens.gamma, lens.e1, lens.e2)
    if lens.a3 is not None:
        for m, a_m, phi_m in ((3, lens.a3, lens.phi3), (4, lens.a4, lens.phi4)):
            assert a_m is not None  # all four or none
            assert phi_m is not None
            more_x, more_y = deflection_multipole(x, y, m, a_m * lens.theta_E, phi_m)
            alpha_x, alpha_y = alpha_x + more_x, alpha_y + more_y
    return alpha_x, alpha_y


def _deflections_substructure(
    scene: SceneTensors, theta_x: Tensor, theta_y: Tensor
) -> Iterator[Vectors]:
    """Yield the summed deflection of each kind of substructure."""
    if scene.points is not None:
        yield _summed(_deflection_point, scene.points, theta_x[:1], theta_y[:, :1])
    if scene.halos is not None:
        yield _summed(_deflection_halo, scene.halos, theta_x[:1], theta_y[:, :1])
    if scene.rods is not None:
        yield _summed(_deflection_rod, scene.rods, theta_x[:1], theta_y[:, :1])


def _summed(
    deflection: Callable[..., Vectors], places: Any, row: Tensor, column: Tensor
) -> Vectors:
    """Add up deflections, on a CPU one after the other in their order.

    Never holds (places, batch, y, x): a compiler fuses the sum into one loop, and without one the
    loop is here. A GPU takes as many at once as keep it busy.
    """
    if torch.compiler.is_compiling():
        alpha_x, alpha_y = deflection(places, row, column)
        return alpha_x.sum(dim=0), alpha_y.sum(dim=0)
    total_x = total_y = torch.zeros((), dtype=row.dtype, device=row.device)
    num, batch = places[0].shape[:2]
    pixels = batch * row.numel() * column.numel()
    at_once = 1 if row.device.type == "cpu" else max(1, _GPU_ELEMENTS // pixels)
    for n in range(0, num, at_once):
        some = type(places)(*(values[n : n + at_once] for values in places))
        alpha_x, alpha_y = deflection(some, row, column)
        total_x, total_y = total_x + alpha_x.sum(dim=0), total_y + alpha_y.sum(dim=0)
    return total_x, total_y


def _deflection_point(points: PointTensors, row: Tensor, column: Tensor) -> Vectors:
    dx, dy = row - points.x, column - points.y
    weight = points.theta_E.square() / (dx.square() + (dy.square() + _POINT_CORE))
    return weight * dx, weight * dy


def _deflection_halo(halos: HaloTensors, row: Tensor, column: Tensor) -> Vectors:
    x, y = torch.broadcast_tensors(row - halos.x, column - halos.y)
    return deflection_tnfw(x, y, halos.alpha_Rs, halos.Rs, halos.r_trunc)


def _deflection_rod(rods: RodTensors, row: Tensor, column: Tensor) -> Vectors:
    x, y = torch.broadcast_tensors(row, column)
    return deflection_rod(x, y, rods.x0, rods.y0, rods.x1, rods.y1, rods.theta_E)


def _sersic(light: SersicTensors, x: Tensor, y: Tensor) -> Tensor:
    brightness = sersic(
        x,
        y,
        amplitude=light.amplitude,
        R_sersic=light.R_sersic,
        n_sersic=light.n_sersic,
        e1=light.e1,
        e2=light.e2,
        center_x=light.center_x,
        center_y=light.center_y,
    )
    return torch.minimum(brightness, light.brightest)  # constant in the core: it falls with radius


def _clumps(clumps: ClumpTensors, x: Tensor, y: Tensor) -> Tensor:
    """Add up clumps one after the other: never holds (places, batch, y, x), as `_summed`.

    Also compiled it is this loop, so that x and y are worked out once for all clumps.
    """
    total = torch.zeros_like(x)
    for n in range(len(clumps.x)):
        peak, center_x, center_y, steepness = (values[n] for values in clumps)
        squared = (x - center_x).square() + (y - center_y).square()
        total = total + peak * torch.exp(-steepness * squared)
    return total


def _subtracted_brightness(
    scene: SceneTensors, macro: SIEConstants | None, theta_x: Tensor, theta_y: Tensor
) -> Image:
    assert scene.subtracted_light is not None  # render_subtracted has seen to it
    return _sersic(scene.subtracted_light, theta_x[None], theta_y[None])


def _galaxy(source: GalaxyTensors, x: Tensor, y: Tensor) -> Image:
    dx, dy = (x - source.center_x) / source.size, (y - source.center_y) / source.size
    cos, sin = torch.cos(source.angle), torch.sin(source.angle)
    turned = (cos * dx + sin * dy, cos * dy - sin * dx)
    brightness = interpolated_source(source.images, source.pixel_scale, *turned)
    return brightness * source.flux / source.size.square()
