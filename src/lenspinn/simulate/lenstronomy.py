"""Scenes rendered by lenstronomy, the reference that the fast engine is compared with."""

from typing import Any

import numpy as np
from jaxtyping import Float
from lenstronomy.Data.imaging_data import ImageData
from lenstronomy.Data.psf import PSF
from lenstronomy.ImSim.image_model import ImageModel
from lenstronomy.LensModel.lens_model import LensModel
from lenstronomy.LightModel.light_model import LightModel

from lenspinn.errors import ConfigError
from lenspinn.lensing import sersic_total_flux
from lenspinn.simulate.populations import Halos, PointMasses
from lenspinn.simulate.psf import load_psf
from lenspinn.simulate.render import Camera
from lenspinn.simulate.scene import GalaxyLight, Scene, SersicLight

__all__ = ["lenstronomy_model", "render_lenstronomy"]


def render_lenstronomy(scene: Scene, index: int, camera: Camera) -> Float[np.ndarray, "y x"]:
    """Render one noise-free image with lenstronomy, in float64.

    Parameters
    ----------
    index
        Number of the scene to render.

    Returns
    -------
    (num_pix, num_pix), e-/s

    Raises
    ------
    ConfigError
        If the scene holds a continuous vortex, which lenstronomy has no profile for.
    """
    model, arguments = lenstronomy_model(scene, index, camera)
    image: np.ndarray = model.image(**arguments)
    light = scene.subtracted_light
    if light is not None:
        arguments["kwargs_lens_light"] = [_sersic(light, index)]
        image = image - model.image(**arguments, source_add=False)
    return image


def lenstronomy_model(
    scene: Scene, index: int, camera: Camera
) -> tuple[ImageModel, dict[str, Any]]:
    """Return lenstronomy's model of one image, and the arguments of its `image` method."""
    corner = -(camera.num_pix - 1) / 2 * camera.pixel_scale
    data = ImageData(
        image_data=np.zeros((camera.num_pix, camera.num_pix)),
        ra_at_xy_0=corner,
        dec_at_xy_0=corner,
        transform_pix2angle=camera.pixel_scale * np.eye(2),
    )
    lenses = _lenses(scene, index)
    sources = _sources(scene.source, index)
    lights = [] if scene.lens_light is None else [_sersic(scene.lens_light, index)]
    model = ImageModel(
        data,
        _psf(camera),
        lens_model_class=LensModel([name for name, _ in lenses]),
        source_model_class=LightModel(
            [name for name, _ in sources],
            profile_kwargs_list=[_core(name, camera) for name, _ in sources],
        ),
        lens_light_model_class=LightModel(["SERSIC_ELLIPSE"] * len(lights)),
        kwargs_numerics={"supersampling_factor": camera.supersampling},
    )
    return model, {
        "kwargs_lens": [values for _, values in lenses],
        "kwargs_source": [values for _, values in sources],
        "kwargs_lens_light": lights,
    }


def _psf(camera: Camera) -> PSF:
    if camera.psf_kernel is not None:
        kernel = load_psf(camera.psf_kernel, camera.pixel_scale).numpy()
        return PSF(psf_type="PIXEL", kernel_point_source=kernel)
    if camera.psf_fwhm == 0:
        return PSF(psf_type="NONE")
    return PSF(
        psf_type="GAUSSIAN",
        fwhm=camera.psf_fwhm,
        pixel_size=camera.pixel_scale,
        truncation=camera.psf_truncation,
    )


def _core(source: str, camera: Camera) -> dict[str, Any]:
    return {"smoothing": camera.source_core} if source == "SERSIC_ELLIPSE" else {}


def _lenses(scene: Scene, index: int) -> list[tuple[str, dict[str, Any]]]:
    if scene.rods is not None and scene.rods.theta_E[index].any():
        raise ConfigError(
            "lenstronomy has no continuous vortex: set populations.axion.continuous to false"
        )
    lens = scene.lens
    center = {"center_x": lens.center_x[index], "center_y": lens.center_y[index]}
    main = {name: getattr(lens, name)[index] for name in ("theta_E", "e1", "e2")} | center
    lenses = [
        ("SIE", main) if lens.gamma is None else ("EPL", main | {"gamma": lens.gamma[index]}),
        ("SHEAR", {"gamma1": lens.gamma1[index], "gamma2": lens.gamma2[index]}),
    ]
    for m, a_m, phi_m in ((3, lens.a3, lens.phi3), (4, lens.a4, lens.phi4)):
        if a_m is not None and phi_m is not None:
            amplitude = a_m[index] * lens.theta_E[index]
            shape = {"m": m, "a_m": amplitude, "phi_m": phi_m[index], "r_E": 1.0}
            lenses.append(("MULTIPOLE", shape | center))
    return lenses + _places("POINT_MASS", scene.points, index) + _places("TNFW", scene.halos, index)


def _places(profile: str, places: PointMasses | Halos | None, index: int) -> list[Any]:
    """Return lenstronomy's name and values of each place that holds a mass."""
    if places is None:
        return []
    columns = places._asdict()
    columns["center_x"], columns["center_y"] = columns.pop("x"), columns.pop("y")
    mass = columns.pop("mass")
    return [
        (profile, {name: values[index, n] for name, values in columns.items()})
        for n in np.flatnonzero(mass[index])
    ]


def _sources(source: SersicLight | GalaxyLight, index: int) -> list[tuple[str, dict[str, Any]]]:
    if isinstance(source, SersicLight):
        profile = ("SERSIC_ELLIPSE", _sersic(source, index))
        return [profile, *(("GAUSSIAN", values) for values in _clumps(source, index))]
    size = source.size[index]
    values = {
        "image": source.images[index],
        "amp": source.flux[index] / size**2,
        "center_x": source.center_x[index],
        "center_y": source.center_y[index],
        "phi_G": source.angle[index],
        "scale": source.pixel_scale * size,
    }
    return [("INTERPOL", values)]


def _clumps(source: SersicLight, index: int) -> list[dict[str, Any]]:
    if source.clumps is None:
        return []
    names = {"flux": "amp", "x": "center_x", "y": "center_y", "sigma": "sigma"}
    columns = {name: getattr(source.clumps, field)[index] for field, name in names.items()}
    return [
        dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)
    ]


def _sersic(light: SersicLight, index: int) -> dict[str, Any]:
    names = ("R_sersic", "n_sersic", "e1", "e2", "center_x", "center_y")
    values = {name: getattr(light, name)[index] for name in names}
    total = sersic_total_flux(values["R_sersic"], values["n_sersic"])
    return values | {"amp": light.smooth_flux[index] / total}
