import numpy as np
import pytest
import torch

from lenspinn.fitting.gaussians import light_sizes, light_templates
from lenspinn.lensing.psf import convolve_kernel, gaussian_kernel
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
    found = np.zeros((2, len(light_sizes(SIDE, SCALE))))
    found[0, 3], found[0, 6], found[1, 5] = 40.0, 100.0, 70.0
    return found


@pytest.fixture(scope="module")
def light(psf: np.ndarray, fluxes: np.ndarray) -> np.ndarray:
    templates = light_templates(torch.from_numpy(SHAPE)[None], SIDE, SCALE)[0, :-1]
    blurred = convolve_kernel(templates, torch.from_numpy(psf)).numpy()
    return np.tensordot(fluxes.ravel() * SCALE**2 / (2 * np.pi), blurred, axes=1) + SKY


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
    templates = light_templates(torch.from_numpy(SHAPE)[None], SIDE, SCALE)[0]
    templates[:-1] = convolve_kernel(templates[:-1], torch.from_numpy(psf))
    light = (templates[4] - 0.2 * templates[3] + 0.1 * templates[-1]).numpy()
    found = light_sum(light, SHAPE, pixel_scale=SCALE, psf=psf)
    fluxes = np.concatenate([group.flux for group in found.groups])
    again = np.tensordot(fluxes * SCALE**2 / (2 * np.pi), templates[:-1].numpy(), axes=1)
    np.testing.assert_allclose(again + found.sky, light, atol=SAME * light.max())
    assert fluxes.min() < 0


def test_fluxes_are_those_of_the_whole_sky_before_the_psf(light: np.ndarray) -> None:
    narrow = light_templates(torch.from_numpy(SHAPE)[None], SIDE, SCALE)[0, 4].numpy()
    found = light_sum(narrow, SHAPE, pixel_scale=SCALE, psf=None)
    assert found.groups[0].flux.sum() == pytest.approx(narrow.sum(), rel=0.01)


def test_its_numbers_are_those_of_the_brighter_group_more(found: LightSum) -> None:
    content = found.to_json(None)
    assert content["e1"] == pytest.approx((140 * 0.1 - 70 * 0.2) / 210, abs=1e-6)
    assert content["e2"] == pytest.approx((140 * 0.05 + 70 * 0.1) / 210, abs=1e-6)
    assert content["position_angle_deg"] == pytest.approx(45.0, abs=1e-3)
    assert "magnitude_in_frame" not in content
    magnitude = 25 - 2.5 * np.log10(found.flux_in_frame)
    assert found.to_json(25.0)["magnitude_in_frame"] == pytest.approx(magnitude)
