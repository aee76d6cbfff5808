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
    assert json.loads(json.dumps(measured.to_json()))["theta_E_arcsec"] == measured.theta_E


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
