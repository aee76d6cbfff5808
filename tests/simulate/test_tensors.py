import dataclasses

import numpy as np
import pytest
import torch

from lenspinn.lensing import sersic_total_flux
from lenspinn.simulate.scene import GalaxyLight
from lenspinn.simulate.tensors import GalaxyTensors, scene_tensors

from .conftest import plain_scene, with_clumps


def test_values_of_a_scene_broadcast_over_batch_y_x():
    tensors = scene_tensors(plain_scene(4, np.zeros((3, 4, 6))))
    assert tensors.lens.theta_E.shape == (4, 1, 1)
    assert tensors.points.x.shape == (6, 4, 1, 1)
    assert (tensors.halos, tensors.rods, tensors.lens_light, tensors.lens.gamma) == (None,) * 4


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_all_tensors_have_the_dtype_asked_for(dtype):
    tensors = scene_tensors(plain_scene(2, np.zeros((3, 2, 1))), dtype=dtype)
    values = (*tensors.lens, *tensors.points, *tensors.source)
    assert {value.dtype for value in values if value is not None} == {dtype}


def test_the_flux_becomes_an_amplitude():
    source = scene_tensors(plain_scene(source_flux=[3.0]), dtype=torch.float64).source
    total = sersic_total_flux(source.R_sersic, source.n_sersic, source.amplitude)
    assert total.item() == pytest.approx(3.0, rel=1e-12)


def test_the_brightest_point_is_at_the_edge_of_the_core():
    source = scene_tensors(plain_scene(), source_core=0.01, dtype=torch.float64).source
    b_n = 1.9992 - 0.3271
    expected = source.amplitude.item() * np.exp(-b_n * (0.01 / 0.25 - 1))
    assert source.brightest.item() == pytest.approx(expected, rel=1e-12)


def test_a_galaxy_keeps_its_image():
    images = np.random.default_rng(0).random((2, 5, 5)).astype(np.float32)
    numbers = dict.fromkeys(("flux", "center_x", "center_y", "angle", "size"), np.ones(2))
    galaxy = GalaxyLight(images=images, pixel_scale=0.03, **numbers)
    source = scene_tensors(dataclasses.replace(plain_scene(2), source=galaxy)).source
    assert isinstance(source, GalaxyTensors)
    np.testing.assert_array_equal(source.images.numpy(), images)
    assert source.size.shape == (2, 1, 1)
    assert source.pixel_scale == 0.03


def test_clumps_have_a_peak_and_a_steepness():
    values = {name: np.full((2, 3), 0.1) for name in ("flux", "x", "y")}
    scene = with_clumps(plain_scene(2), **values, sigma=np.full((2, 3), 0.05))
    source = scene_tensors(scene, dtype=torch.float64).source
    assert source.clumps.x.shape == (3, 2, 1, 1)
    assert source.clumps.steepness[0, 0].item() == pytest.approx(200.0, rel=1e-12)
    assert source.clumps.peak[0, 0].item() == pytest.approx(0.1 / (2 * np.pi * 0.05**2), rel=1e-12)
    total = sersic_total_flux(source.R_sersic, source.n_sersic, source.amplitude)
    assert total[0].item() == pytest.approx(0.7, rel=1e-12)
