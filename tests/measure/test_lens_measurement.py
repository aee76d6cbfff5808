import dataclasses
import json

import numpy as np
import pytest

from lenspinn.measure import LensMeasurement

AREA = 0.03


def test_the_critical_curve_encloses_the_area_of_theta_E(measured: LensMeasurement) -> None:
    x, y = max(measured.critical_curves(), key=len).T
    area = 0.5 * abs(np.sum(x * np.roll(y, 1) - y * np.roll(x, 1)))
    assert area == pytest.approx(np.pi * measured.theta_E**2, rel=AREA)


def test_there_is_a_caustic_for_each_critical_curve(measured: LensMeasurement) -> None:
    curves, caustics = measured.critical_curves(), measured.caustics()
    assert [len(curve) for curve in curves] == [len(caustic) for caustic in caustics]


def test_its_numbers_are_json(measured: LensMeasurement) -> None:
    content = json.loads(json.dumps(measured.to_json(25.0)))
    assert content["theta_E_arcsec"] == measured.theta_E
    assert content["parameters"]["lens"]["e1"] == measured.parameters["e1"]
    errors, parameters = content["errors"], content["parameters"]
    for part in ("lens", "source"):
        assert errors[part].keys() == parameters[part].keys()
    assert {"magnitude", "R_sersic_arcsec", "n_sersic"} < parameters["source"].keys()
    assert "magnitude_in_frame" in parameters["lens_light"]
    assert not [name for part in parameters.values() for name in part if "log" in name]


def test_numbers_at_a_bound_of_the_fit_are_named(measured: LensMeasurement) -> None:
    assert measured.to_json()["at_bounds"] == []
    wide = dataclasses.replace(measured, at_bounds=("log_R_sersic",))
    assert wide.to_json()["at_bounds"] == ["R_sersic"]


def test_errors_are_those_of_the_covariance(measured: LensMeasurement) -> None:
    np.testing.assert_allclose(
        np.sqrt(measured.covariance.diagonal()), list(measured.errors.values()), rtol=1e-6
    )


def test_the_middle_of_the_frame_is_told_in_pixels(measured: LensMeasurement, scene) -> None:
    column, row = measured.middle_pixel(scene.image.shape)
    half = len(measured.image) // 2
    cut = scene.image[row - half : row + half + 1, column - half : column + half + 1]
    np.testing.assert_allclose(cut, measured.image, rtol=1e-6)


def test_a_systematic_error_is_added_in_quadrature(measured: LensMeasurement) -> None:
    wider = measured.with_systematic_error(0.04)
    more = 0.04 * measured.theta_E
    assert wider.theta_E_error == pytest.approx(np.hypot(measured.theta_E_error, more))
    assert wider.systematic_error == pytest.approx(np.hypot(measured.systematic_error, more))


def test_another_reason_speaks_against_it(measured: LensMeasurement) -> None:
    assert measured.doubted("a reason").reasons == (*measured.reasons, "a reason")


def test_reasons_against_it_are_in_its_verdict(measured: LensMeasurement) -> None:
    doubtful = dataclasses.replace(measured, reasons=("too faint",))
    assert not doubtful.trusted
    assert "NOT TO BE TRUSTED: too faint" in doubtful.verdict


def test_angles_are_larger_by_a_factor_and_brightness_is_kept(measured: LensMeasurement) -> None:
    twice = measured.enlarged(2.0)
    assert twice.theta_E == pytest.approx(2 * measured.theta_E)
    assert twice.pixel_scale == pytest.approx(2 * measured.pixel_scale)
    assert twice.parameters["e1"] == measured.parameters["e1"]
    assert np.array_equal(twice.source_image, measured.source_image)
    assert twice.middle[1] == pytest.approx(2 * measured.middle[1])
    assert twice.galaxy.sky == pytest.approx(measured.galaxy.sky, rel=1e-6)
    ours, theirs = measured.plain, twice.plain
    for name in ("theta_E_arcsec", "center_x_arcsec"):
        assert theirs.lens[name] == pytest.approx(2 * ours.lens[name], rel=1e-5)
        assert theirs.lens_errors[name] == pytest.approx(2 * ours.lens_errors[name], rel=1e-5)
    assert theirs.source["R_sersic_arcsec"] == pytest.approx(2 * ours.source["R_sersic_arcsec"])
    for name in ("flux", "magnification"):
        assert theirs.source[name] == pytest.approx(ours.source[name], rel=1e-5)
        assert theirs.source_errors[name] == pytest.approx(ours.source_errors[name], rel=1e-4)
