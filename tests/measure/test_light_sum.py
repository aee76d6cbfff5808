import numpy as np
import pytest

from lenspinn.fitting.gaussians import GAUSSIANS
from lenspinn.lensing.psf import gaussian_kernel
from lenspinn.measure.blurred_gaussians import blurred_gaussians
from lenspinn.measure.light_sum import LightSum, light_sum

SIDE, SCALE = 41, 0.1
SHAPE = np.array([0.02, -0.03, 0.1, 0.05, -0.2, 0.1])
SKY = -0.02
SAME = 1e-6


@pytest.fixture(scope="module")
def psf() -> np.ndarray:
    axis = np.array(gaussian_kernel(2.0, 4.0))
    return np.outer(axis, axis)


@pytest.fixture(scope="module")
def fluxes() -> np.ndarray:
    """Of the Gaussians of two groups."""
    found = np.zeros((2, GAUSSIANS))
    found[0, 3], found[0, 6], found[1, 5] = 40.0, 100.0, 70.0
    return found


def drawn(fluxes: np.ndarray, psf: np.ndarray | None) -> np.ndarray:
    places = np.indices((SIDE, SIDE)).reshape(2, -1) - SIDE // 2
    terms = blurred_gaussians(SHAPE, places, SIDE, SCALE, psf)
    return (fluxes.ravel() @ terms).reshape(SIDE, SIDE)


@pytest.fixture(scope="module")
def light(psf: np.ndarray, fluxes: np.ndarray) -> np.ndarray:
    return drawn(fluxes, psf) + SKY


@pytest.fixture(scope="module")
def found(light: np.ndarray, psf: np.ndarray) -> LightSum:
    return light_sum(light, SHAPE, pixel_scale=SCALE, psf=psf)


def test_it_finds_the_gaussians_that_light_was_made_of(found: LightSum, fluxes) -> None:
    np.testing.assert_allclose([group.flux for group in found.groups], fluxes, atol=1e-4)
    assert [(g.e1, g.e2) for g in found.groups] == [(0.1, 0.05), (-0.2, 0.1)]
    assert (found.center_x, found.center_y) == (0.02, -0.03)


def test_the_sky_may_be_negative_and_is_no_part_of_the_galaxy(found: LightSum, light) -> None:
    assert found.sky == pytest.approx(SKY, rel=SAME)
    assert found.flux_in_frame == pytest.approx((light - SKY).sum(), rel=SAME)


def test_light_that_a_fit_took_away_is_a_negative_gaussian(psf: np.ndarray) -> None:
    fluxes = np.zeros((2, GAUSSIANS))
    fluxes[0, 4], fluxes[0, 3] = 10.0, -2.0
    light = drawn(fluxes, psf) + SKY
    found = light_sum(light, SHAPE, pixel_scale=SCALE, psf=psf)
    given = np.array([group.flux for group in found.groups])
    np.testing.assert_allclose(drawn(given, psf) + found.sky, light, atol=SAME * light.max())
    assert given.min() < 0


def test_without_a_psf_its_gaussians_are_sharp(fluxes: np.ndarray) -> None:
    found = light_sum(drawn(fluxes, None), SHAPE, pixel_scale=SCALE, psf=None)
    np.testing.assert_allclose([group.flux for group in found.groups], fluxes, atol=1e-4)


def test_its_numbers_are_those_of_the_brighter_group_more(found: LightSum) -> None:
    content = found.to_json(None)
    assert content["e1"] == pytest.approx((140 * 0.1 - 70 * 0.2) / 210, abs=1e-6)
    assert content["e2"] == pytest.approx((140 * 0.05 + 70 * 0.1) / 210, abs=1e-6)
    assert content["position_angle_deg"] == pytest.approx(45.0, abs=1e-3)
    assert "magnitude_in_frame" not in content
    magnitude = 25 - 2.5 * np.log10(found.flux_in_frame)
    assert found.to_json(25.0)["magnitude_in_frame"] == pytest.approx(magnitude)


def test_without_negative_gaussians_a_sum_says_how_far_it_is_from_the_light(psf, found) -> None:
    fluxes = np.zeros((2, GAUSSIANS))
    fluxes[0, 4], fluxes[0, 3] = 10.0, -2.0
    light = drawn(fluxes, psf) + SKY
    near = light_sum(light, SHAPE, pixel_scale=SCALE, psf=psf, positive=True)
    assert all((group.flux >= 0).all() for group in near.groups)
    again = drawn(np.array([group.flux for group in near.groups]), psf) + near.sky
    off = np.abs(again - light).max() / np.abs(light).max()
    assert near.misfit == pytest.approx(off, rel=1e-3)
    assert off > 1e3 * found.misfit
