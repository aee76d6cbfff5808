import numpy as np
import pytest
from astropy.io.fits import Header

from lenspinn.data.celestial import celestial_of
from lenspinn.measure import LensMeasurement
from lenspinn.measure.sky_position import sky_position

SHAPE = (58, 58)


def test_the_lens_is_where_its_pixel_is_and_turned_as_the_image_is(measured: LensMeasurement):
    degrees = measured.pixel_scale / 3600
    cards = {"CTYPE1": "RA---TAN", "CTYPE2": "DEC--TAN", "NAXIS1": 58, "NAXIS2": 58}
    cards |= {"CRVAL1": 10.0, "CRVAL2": 0.0, "CRPIX1": 30.0, "CRPIX2": 28.0}
    celestial = celestial_of([Header(cards | {"CD1_1": -degrees, "CD2_2": degrees})])
    parameters = measured.to_json()["parameters"]
    found = sky_position(measured, parameters, celestial, SHAPE)
    column, row = measured.middle_pixel(SHAPE)
    x, y = (parameters["lens"][f"center_{axis}_arcsec"] for axis in "xy")
    east = -(column - 29) * measured.pixel_scale - x
    north = (row - 27) * measured.pixel_scale + y
    assert found["frame"] == "ICRS"
    assert found["lens"]["ra_deg"] == pytest.approx(10 + east / 3600, abs=1e-9)
    assert found["lens"]["dec_deg"] == pytest.approx(north / 3600, abs=1e-9)
    # East is left: from north, which is up, counter-clockwise.
    angles = found["position_angles_east_of_north_deg"]
    for name, angle in (
        ("lens", parameters["lens"]["position_angle_deg"]),
        ("shear", parameters["lens"]["shear_angle_deg"]),
        ("source", parameters["source"]["position_angle_deg"]),
        ("lens_light", parameters["lens_light"]["position_angle_deg"]),
    ):
        assert angles[name] == pytest.approx((angle - 90) % 180, abs=1e-3)
    assert np.isfinite(found["middle_of_frame"]["ra_deg"])
