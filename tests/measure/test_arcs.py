import numpy as np
import pytest
import torch

from lenspinn.errors import ImageError
from lenspinn.fitting import SMOOTH_PARAMETERS, make_optics, smooth_image
from lenspinn.measure import LensMeasurement
from lenspinn.measure.arcs import MASKED, Arcs, find_arcs, lensed_source

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


def test_another_ring_leaves_other_pixels_out(modelled: Arcs) -> None:
    smaller = modelled.with_ring(0.5 * modelled.guess)
    assert smaller.guess == 0.5 * modelled.guess
    assert smaller.light is modelled.light  # not fitted again
    used, before = np.isfinite(smaller.frame.sigma), np.isfinite(modelled.frame.sigma)
    assert used.sum() < before.sum()
    assert np.array_equal(modelled.with_ring(modelled.guess).frame.sigma, modelled.frame.sigma)


def test_rings_are_those_of_the_image_without_lens_light_where_that_is_masked(scene) -> None:
    masked = found(scene, "mask")
    again = masked.with_ring(1.2 * masked.guess)
    assert np.array_equal(again.bare, masked.bare)
    assert np.isinf(again.frame.sigma).sum() > np.isinf(masked.frame.sigma).sum()


def test_a_guess_that_is_given_leaves_no_other_ring() -> None:
    assert arcs_of(dark_ring(1.0, 61, 0.1), 0.1, 1.0).others == ()


def test_without_light_and_source_noise_is_left(modelled: Arcs, measured: LensMeasurement) -> None:
    parameters = measured.in_unit(1 / modelled.unit).smooth_parameters
    frame, light = modelled.without_light(parameters)
    assert light is not None
    assert light.model.shape == frame.image.shape
    left = (frame.image - lensed_source(parameters, frame)) / frame.weighted_sigma
    assert left[np.isfinite(frame.sigma)].std() < SIGMA


def test_masked_lens_light_leaves_the_inner_part_out(scene) -> None:
    arcs = found(scene, "mask")
    inner = arcs.frame.radius < MASKED * arcs.guess
    assert np.isinf(arcs.frame.sigma[inner]).all()
    assert len(arcs.light.basis) == 1  # the sky


def test_without_lens_light_nothing_is_taken_away(scene, measured: LensMeasurement) -> None:
    arcs = found(scene, "none")
    frame, light = arcs.without_light(measured.smooth_parameters)
    assert light is None
    assert (frame.image == arcs.frame.image).all()


def test_a_galaxy_that_shows_is_modelled(scene) -> None:
    assert found(scene, None).lens_light == "model"


def dark_ring(theta_E: float, num_pix: int, scale: float) -> np.ndarray:
    y, x = (np.indices((num_pix, num_pix)) - (num_pix - 1) / 2) * scale
    image = 30 * np.exp(-0.5 * ((np.hypot(x, y) - theta_E) / (2 * scale)) ** 2)
    return image + np.random.default_rng(2).standard_normal(image.shape)


def arcs_of(image: np.ndarray, scale: float, guess: float | None = None) -> Arcs:
    return find_arcs(
        image,
        pixel_scale=scale,
        noise=np.ones_like(image),
        psf=None,
        mask=None,
        theta_E_guess=guess,
        lens_light=None,
    )


def test_a_dark_lens_has_a_sky_alone() -> None:
    arcs = arcs_of(dark_ring(1.0, 61, 0.1) + 50, 0.1)
    assert arcs.lens_light == "none"
    assert arcs.light.galaxy == pytest.approx(0)
    assert arcs.light.sky == pytest.approx(50, abs=1)


@pytest.mark.parametrize(("radius", "guess"), [(4.2, None), (6.0, 6.5)])
def test_a_ring_that_is_larger_than_a_galaxy_s_is_found(radius: float, guess: float | None) -> None:
    arcs = arcs_of(dark_ring(radius, 81, 0.25), 0.25, guess)
    assert arcs.radius == pytest.approx(radius, rel=RING)
    assert arcs.reach > 1.4 * arcs.radius


@pytest.mark.parametrize("guess", [0.0, -1.0, 0.05, 3.2, float("nan"), float("inf")])
def test_a_guess_that_is_no_einstein_radius_is_refused(guess: float) -> None:
    with pytest.raises(ImageError, match=r"theta_E_guess is .* between a pixel, 0\.1"):
        arcs_of(dark_ring(1.0, 61, 0.1), 0.1, guess)


def test_an_image_with_few_pixels_left_is_refused() -> None:
    image = dark_ring(1.0, 121, 0.1)
    noise = np.ones_like(image)
    noise[19:102, 19:102] = 0
    noise[60, 55:65] = 1
    with pytest.raises(ImageError, match="leave 10 pixels around the lens"):
        find_arcs(
            image,
            pixel_scale=0.1,
            noise=noise,
            psf=None,
            mask=None,
            theta_E_guess=None,
            lens_light="none",
        )


def test_a_dark_lens_beside_the_middle_is_in_the_middle_of_its_frame() -> None:
    truth = {"theta_E": 0.9, "center_x": 0.5, "center_y": -0.3, "source_x": 0.6, "source_y": -0.3}
    truth |= {"log_R_sersic": -1.6, "log_amplitude": 7.0}
    values = torch.tensor([[truth.get(name, 0.0) for name in SMOOTH_PARAMETERS]])
    image = smooth_image(values, make_optics(61, 0.1, (1.0,)))[0].double().numpy()
    arcs = arcs_of(image + np.random.default_rng(3).standard_normal(image.shape), 0.1)
    assert arcs.lens_light == "none"
    assert arcs.frame.middle == pytest.approx((0.5, -0.3), abs=0.1)


def test_arcs_in_smaller_angles_are_the_same_arcs(modelled: Arcs) -> None:
    half = modelled.shrunk(2.0)
    assert (half.frame.image == modelled.frame.image).all()
    assert half.guess == modelled.guess / 2
    assert half.light_of(half.frame).model == pytest.approx(
        modelled.light_of(modelled.frame).model, rel=1e-3
    )
