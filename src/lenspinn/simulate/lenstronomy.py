"""The same scenes through lenstronomy: the reference that the fast engine is held against."""

from typing import Any

import numpy as np
from jaxtyping import Float
from lenstronomy.Data.imaging_data import ImageData
from lenstronomy.Data.psf import PSF
from lenstronomy.ImSim.image_model import ImageModel
from lenstronomy.LensModel.lens_model import LensModel
from lenstronomy.LightModel.light_model import LightModel

from lenspinn.lensing import sersic_total_flux
from lenspinn.lensing.light import SERSIC_CORE
from lenspinn.simulate.scene import Scene

__all__ = ["render_lenstronomy"]


def render_lenstronomy(
    scene: Scene,
    index: int,
    *,
    num_pix: int,
    pixel_scale: float,
    psf_fwhm: float,
    psf_truncation: float = 5.0,
    source_core: float = SERSIC_CORE,
) -> Float[np.ndarray, "y x"]:
    """Render one noise-free image with lenstronomy, in float64.

    Parameters
    ----------
    index
        Which of the scenes.
    num_pix, pixel_scale, psf_fwhm, psf_truncation, source_core
        See `lenspinn.simulate.render`.

    Returns
    -------
    (num_pix, num_pix), e-/s
    """
    corner = -(num_pix - 1) / 2 * pixel_scale
    data = ImageData(
        image_data=np.zeros((num_pix, num_pix)),
        ra_at_xy_0=corner,
        dec_at_xy_0=corner,
        transform_pix2angle=pixel_scale * np.eye(2),
    )
    psf = PSF(psf_type="NONE")
    if psf_fwhm > 0:
        psf = PSF(
            psf_type="GAUSSIAN",
            fwhm=psf_fwhm,
            pixel_size=pixel_scale,
            truncation=psf_truncation,
        )
    lenses = _lenses(scene, index)
    model = ImageModel(
        data,
        psf,
        lens_model_class=LensModel([name for name, _ in lenses]),
        source_model_class=LightModel(
            ["SERSIC_ELLIPSE"], profile_kwargs_list=[{"smoothing": source_core}]
        ),
    )
    image: np.ndarray = model.image([values for _, values in lenses], [_source(scene, index)])
    return image


def _lenses(scene: Scene, index: int) -> list[tuple[str, dict[str, Any]]]:
    main = {
        name: getattr(scene, name)[index]
        for name in ("theta_E", "e1", "e2", "center_x", "center_y")
    }
    shear = {"gamma1": scene.gamma1[index], "gamma2": scene.gamma2[index]}
    points = zip(
        scene.point_x[index], scene.point_y[index], scene.point_theta_E[index], strict=True
    )
    return [
        ("SIE", main),
        ("SHEAR", shear),
        *(
            ("POINT_MASS", {"theta_E": theta_E, "center_x": x, "center_y": y})
            for x, y, theta_E in points
            if theta_E > 0
        ),
    ]


def _source(scene: Scene, index: int) -> dict[str, Any]:
    R_sersic, n_sersic = scene.R_sersic[index], scene.n_sersic[index]
    return {
        "amp": scene.source_flux[index] / sersic_total_flux(R_sersic, n_sersic),
        "R_sersic": R_sersic,
        "n_sersic": n_sersic,
        "e1": scene.source_e1[index],
        "e2": scene.source_e2[index],
        "center_x": scene.source_x[index],
        "center_y": scene.source_y[index],
    }
