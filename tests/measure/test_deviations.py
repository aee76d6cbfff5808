import numpy as np
import pytest

from lenspinn.measure.deviations import kind_of_noise, standard_deviations


@pytest.mark.parametrize(
    ("role", "unit", "image_unit", "kind"),
    [
        ("variance", "nJy", "nJy", "variance"),
        ("weight", None, None, "weight"),
        ("noise", None, None, "noise"),
        ("noise", "nJy", "nJy", "noise"),
        ("noise", "nJy2", "nJy", "variance"),
        ("noise", "nJy**2", None, "variance"),
        ("unknown", "1/nJy**2", "nJy", "weight"),
        ("unknown", "electron2/s2", "ELECTRONS/S", "variance"),
        ("unknown", "erg/s/cm2/A", "erg/s/cm2/A", "noise"),
        ("unknown", "no unit at all", "nJy", "noise"),
    ],
)
def test_names_and_units_tell_what_a_noise_map_holds(role, unit, image_unit, kind) -> None:
    assert kind_of_noise(role, unit, image_unit) == kind


@pytest.mark.parametrize(
    ("kind", "values"),
    [("noise", [2.0, 0.0, 0.5]), ("variance", [4.0, 0.0, 0.25]), ("weight", [0.25, np.inf, 4.0])],
)
def test_they_are_converted_to_standard_deviations(kind, values) -> None:
    found = standard_deviations(np.array([values], dtype=">f4"), kind)
    np.testing.assert_allclose(found, [[2.0, 0.0, 0.5]])


def test_a_pixel_without_weight_has_infinite_noise() -> None:
    assert standard_deviations(np.zeros((1, 1)), "weight") == np.inf


def test_what_is_negative_stays_so_for_the_check_of_noise_maps() -> None:
    assert (standard_deviations(np.full((2, 2), -4.0), "variance") == -2).all()
