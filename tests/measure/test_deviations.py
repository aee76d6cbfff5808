import numpy as np
import pytest

from lenspinn.measure.deviations import kind_of_noise, standard_deviations, weights_fit

SIDE = 40
SIGMA = 0.3


@pytest.fixture
def image() -> np.ndarray:
    y, x = np.indices((SIDE, SIDE)) - SIDE / 2
    light = 20 * np.exp(-np.hypot(x, y) / 3)
    return light + SIGMA * np.random.default_rng(4).standard_normal((SIDE, SIDE))


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


def test_weights_in_the_unit_of_the_image_give_its_scatter(image) -> None:
    assert weights_fit(image, np.full_like(image, SIGMA))


def test_exposure_times_do_not(image) -> None:
    assert not weights_fit(image, np.full_like(image, 1 / np.sqrt(2000)))


def test_nothing_fits_an_image_without_a_border(image) -> None:
    assert not weights_fit(np.full_like(image, np.nan), np.full_like(image, SIGMA))
