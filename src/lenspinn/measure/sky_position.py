"""Position of a measured lens on the sky, and position angles."""

from collections.abc import Mapping
from typing import Any

from lenspinn.data.celestial import Celestial
from lenspinn.measure.lens_measurement import LensMeasurement

__all__ = ["sky_position"]

DIRECTIONS = {
    "lens": ("lens", "position_angle_deg"),
    "shear": ("lens", "shear_angle_deg"),
    "source": ("source", "position_angle_deg"),
    "lens_light": ("lens_light", "position_angle_deg"),
}
"""Part and name of each direction among the plain parameters."""


def sky_position(
    measured: LensMeasurement,
    parameters: Mapping[str, Mapping[str, float]],
    celestial: Celestial,
    shape: tuple[int, ...],
) -> dict[str, Any]:
    """Return the position of lens and frame, and position angles from north to east, degrees.

    Parameters
    ----------
    measured
        Measurement of the lens.
    parameters
        Parameters in plain units of lens, source and, where it was modelled, lens light.
    celestial
        Celestial coordinates of the whole image.
    shape
        Shape of the whole image, rows and columns.
    """
    column, row = measured.middle_pixel(shape)
    middle = (float(column), float(row))
    lens = parameters["lens"]
    at = (
        column + lens["center_x_arcsec"] / measured.pixel_scale,
        row + lens["center_y_arcsec"] / measured.pixel_scale,
    )
    names = ("ra_deg", "dec_deg") if celestial.equatorial else ("longitude_deg", "latitude_deg")
    return {
        "frame": celestial.frame,
        "lens": dict(zip(names, celestial.position(*at), strict=True)),
        "middle_of_frame": dict(zip(names, celestial.position(*middle), strict=True)),
        "position_angles_east_of_north_deg": {
            name: celestial.east_of_north(*at, parameters[part][key])
            for name, (part, key) in DIRECTIONS.items()
            if part in parameters
        },
    }
