import numpy as np
import pytest

from lenspinn.apply import LensMeasurement
from lenspinn.apply.arcs import MASKED, Arcs, find_arcs, lensed_source

# Of a circle through a ring of elliptical lens and source.
RING = 0.1
# Noise and what the model misses, in units of both.
SIGMA = 1.3


def found(scene, lens_light) -> Arcs:
    return find_arcs(
        scene.image,
        pixel_scale=scene.pixel_scale,
        noise=scene.sigma,
        psf=scene.psf,
        mask=scene.mask,
        theta_E_guess=None,
        lens_light=lens_light,
    )


@pytest.fixture(scope="module")
def modelled(scene) -> Arcs:
    return found(scene, "model")


def test_the_ring_is_found_under_the_lens_light(modelled: Arcs, scene) -> None:
    assert modelled.radius == pytest.approx(scene.theta_E, rel=RING)
    assert modelled.guess == modelled.radius


def test_without_light_and_source_noise_is_left(modelled: Arcs, measured: LensMeasurement) -> None:
    frame, light = modelled.without_light(measured.smooth_parameters)
    assert light is not None
    assert light.model.shape == frame.image.shape
    left = (frame.image - lensed_source(measured.smooth_parameters, frame)) / frame.weighed_sigma
    assert left[np.isfinite(frame.sigma)].std() < SIGMA


def test_masked_lens_light_leaves_the_inner_part_out(scene) -> None:
    arcs = found(scene, "mask")
    inner = arcs.frame.radius < MASKED * arcs.guess
    assert np.isinf(arcs.frame.sigma[inner]).all()
    assert arcs.light is not None
    assert len(arcs.light.basis) == 1  # the sky


def test_without_lens_light_nothing_is_taken_away(scene, measured: LensMeasurement) -> None:
    arcs = found(scene, "none")
    frame, light = arcs.without_light(measured.smooth_parameters)
    assert light is None
    assert (frame.image == arcs.frame.image).all()
