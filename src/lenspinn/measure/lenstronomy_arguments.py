"""The model of a measurement as lenstronomy's lists of profiles and keyword arguments.

Names and units of `lenspinn` and lenstronomy are the same (docs/concepts/conventions.md). The
amplitude of the source is surface brightness, flux per arcsec^2; that of each Gaussian of the lens
light is its flux.
"""

import math
from collections.abc import Mapping
from typing import Any

from lenspinn.measure.light_sum import LightGroup, LightSum

__all__ = ["lenstronomy_arguments"]


def lenstronomy_arguments(
    parameters: Mapping[str, float],
    galaxy: LightSum | None,
    *,
    num_pix: int,
    pixel_scale: float,
    supersampling: int,
) -> dict[str, Any]:
    """Return lenstronomy's arguments for drawing the model, as plain lists and numbers.

    Parameters
    ----------
    parameters
        Parameters by their names in `lenspinn.fitting.SMOOTH_PARAMETERS`.
    galaxy
        Modelled lens light; None if it was not modelled.
    num_pix, pixel_scale
        Pixels a side of the frame, an odd number, and side of a pixel, arcsec.
    supersampling
        Number of samples of the source along a side of a pixel.

    Returns
    -------
    dict
        Lists of profiles, their ``kwargs_*``, and ``kwargs_data``: lenstronomy's coordinates of the
        frame, with (0, 0) in its middle pixel. The sky is not included. The model of a measurement
        is the sum of lenstronomy's image of the lensed source, drawn with
        ``supersampling_factor["source"]``, and of its image of the lens light, drawn without
        supersampling.
    """
    p = parameters
    corner = -(num_pix // 2) * pixel_scale
    lights = [] if galaxy is None else [_gaussians(group, galaxy) for group in galaxy.groups]
    return {
        "lens_model_list": ["SIE", "SHEAR"],
        "kwargs_lens": [
            {name: p[name] for name in ("theta_E", "e1", "e2", "center_x", "center_y")},
            {name: p[name] for name in ("gamma1", "gamma2")},
        ],
        "source_light_model_list": ["SERSIC_ELLIPSE"],
        "kwargs_source": [_sersic(p)],
        "lens_light_model_list": ["MULTI_GAUSSIAN_ELLIPSE"] * len(lights),
        "kwargs_lens_light": lights,
        "kwargs_data": {
            "ra_at_xy_0": corner,
            "dec_at_xy_0": corner,
            "transform_pix2angle": [[pixel_scale, 0.0], [0.0, pixel_scale]],
        },
        "supersampling_factor": {"source": supersampling, "lens_light": 1},
    }


def _sersic(p: Mapping[str, float]) -> dict[str, float]:
    return {
        "amp": math.exp(p["log_amplitude"]),
        "R_sersic": math.exp(p["log_R_sersic"]),
        "n_sersic": math.exp(p["log_n_sersic"]),
        "e1": p["source_e1"],
        "e2": p["source_e2"],
        "center_x": p["source_x"],
        "center_y": p["source_y"],
    }


def _gaussians(group: LightGroup, galaxy: LightSum) -> dict[str, Any]:
    used = group.flux != 0
    return {
        "amp": group.flux[used].tolist(),
        "sigma": group.sigma[used].tolist(),
        "e1": group.e1,
        "e2": group.e2,
        "center_x": galaxy.center_x,
        "center_y": galaxy.center_y,
    }
