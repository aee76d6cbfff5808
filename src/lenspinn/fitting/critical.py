"""Critical curves and caustics of the smooth lens."""

import numpy as np
import torch
from contourpy import contour_generator
from jaxtyping import Float
from torch import Tensor

from lenspinn.fitting.smooth import by_name, smooth_deflection
from lenspinn.lensing.grid import pixel_grid

__all__ = ["caustics", "critical_curves"]

Curve = Float[np.ndarray, "_ 2"]
OneLens = Float[Tensor, "1 parameters"]
Plane = Float[Tensor, "y x"]

FINER = 4
"""Number of points along a side of a pixel at which the magnification is computed."""
CENTRE_LOOP = 2.0
"""Largest reach of the loop around a singular centre, in distances between these points."""
ISOTHERMAL = 2.0
"""Slope of the three-dimensional density of an isothermal lens."""


def critical_curves(parameters: OneLens, num_pix: int, pixel_scale: float) -> list[Curve]:
    """Return the lines of infinite magnification within an image, (x, y) in arcsec.

    Parameters
    ----------
    parameters : (1, parameters)
        Parameters in the order of `lenspinn.fitting.SMOOTH_PARAMETERS`; the centre of the image is
        (0, 0).
    num_pix, pixel_scale
        Pixels a side of the image, and side of a pixel, arcsec.

    Notes
    -----
    The singular centre of the lens adds a tiny loop, whose image in the source plane is the cut:
    a source within the cut is imaged at least twice. A lens steeper than an isothermal one has no
    cut, because its deflection at the centre has no limit: the loop is left out.
    """
    side, scale = FINER * num_pix, pixel_scale / FINER
    x, y = pixel_grid(side, scale, dtype=torch.float64)
    beta_x, beta_y = _source_plane(parameters, x, y)
    xx, xy = np.gradient(beta_x, scale)[::-1], np.gradient(beta_y, scale)[::-1]
    determinant = xx[0] * xy[1] - xx[1] * xy[0]
    lines = contour_generator(x.numpy(), y.numpy(), determinant).lines(0.0)
    curves = [np.asarray(line) for line in lines]
    p = by_name(parameters)
    if "gamma" not in p or p["gamma"] <= ISOTHERMAL:
        return curves
    centre = np.array([float(p["center_x"]), float(p["center_y"])])
    return [c for c in curves if np.abs(c - centre).max() > CENTRE_LOOP * scale]


def caustics(parameters: OneLens, curves: list[Curve]) -> list[Curve]:
    """Return the caustics, images of the critical curves in the source plane, (x, y) in arcsec."""
    lines = [torch.from_numpy(line).T[:, None] for line in curves]
    return [np.stack(_source_plane(parameters, *line))[:, 0].T for line in lines]


def _source_plane(parameters: OneLens, x: Plane, y: Plane) -> tuple[np.ndarray, np.ndarray]:
    alpha_x, alpha_y = smooth_deflection(parameters.to(x), x, y)
    return (x - alpha_x[0]).numpy(), (y - alpha_y[0]).numpy()
