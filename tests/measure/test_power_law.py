from lenspinn.measure import LensMeasurement
from lenspinn.measure.power_law import SLOPE_SYSTEMATIC


def test_an_isothermal_lens_is_found_to_be_one(measured: LensMeasurement, scene) -> None:
    found = measured.power_law
    assert abs(found.theta_E - scene.theta_E) < measured.theta_E_error
    assert abs(found.slope - 2) < found.slope_error


def test_the_error_of_the_slope_is_between_what_is_known_and_what_is_wrong(
    measured: LensMeasurement,
) -> None:
    assert SLOPE_SYSTEMATIC < measured.power_law.slope_error < 0.3
