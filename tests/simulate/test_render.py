import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter

from lenspinn.lensing import deflection_point_mass, pixel_grid
from lenspinn.simulate import draw_scenes, get_recipe, render
from lenspinn.simulate.render import (
    FWHM_PER_SIGMA,
    _convolved,
    _deflection_points,
    gaussian_kernel,
    scene_tensors,
)

from .conftest import plain_scene

# float32 rounds beta to about 1e-7 arcsec, which a cuspy source turns into a few 1e-5 of the peak.
FLOAT32_OF_PEAK = 1e-4
# The truth beside the images gives positions of point masses to 1e-8 arcsec.
TRUTH_OF_PEAK = 1e-6


def of_peak(images: np.ndarray, expected: np.ndarray) -> float:
    """Largest difference of any image in units of its peak."""
    difference = np.abs(images - expected).max(axis=(1, 2))
    return float((difference / expected.max(axis=(1, 2))).max())


@pytest.mark.parametrize("suffix", ["", "_varied_mass"])
@pytest.mark.parametrize("model", ["I", "II", "III"])
def test_images_of_the_authors_simulator_are_rendered_again(deeplensesim, model, suffix):
    reference = deeplensesim(model, suffix)
    images = render(reference.scene, dtype=torch.float64, **reference.recipe.camera).numpy()
    doubled = 2 if reference.recipe.faults.image_doubled else 1
    assert of_peak(doubled * images, reference.images.astype(float)) <= TRUTH_OF_PEAK


def test_the_published_image_is_rendered_again(shared_data):
    published = np.load(shared_data / "deeplense_published" / "nosub.npy")
    recipe = get_recipe("deeplense/model_3", **{"faults.convention_Om0": 0.2814})
    # The source position of the data's README, (-0.06170, 0.08447), fitted to more digits.
    at = {"source.center_x": -0.06169957, "source.center_y": 0.08446788}
    scene, _ = draw_scenes(get_recipe(**recipe.to_dict() | at), 0, [2])
    image = render(scene, dtype=torch.float64, **recipe.camera)[0].numpy()
    scaled = (image - image.min()) / np.ptp(image)
    assert np.sqrt(np.mean((scaled - published) ** 2)) <= 1e-7


@pytest.mark.parametrize("name", ["deeplense/model_3", "survey/hst"])
def test_float32_agrees_with_float64(name):
    recipe = get_recipe(name)
    for label in range(3):
        scene, _ = draw_scenes(recipe, 1, np.arange(40) * 3 + label)
        single = render(scene, **recipe.camera).numpy()
        double = render(scene, dtype=torch.float64, **recipe.camera).numpy()
        assert single.dtype == np.float32
        assert of_peak(single, double) <= FLOAT32_OF_PEAK


def test_point_masses_deflect_as_the_lensing_room_says():
    rng = np.random.default_rng(2)
    shape = (2, 7)
    scene = plain_scene(
        2,
        point_x=rng.uniform(-1, 1, shape),
        point_y=rng.uniform(-1, 1, shape),
        point_theta_E=rng.uniform(0, 0.1, shape),
    )
    theta_x, theta_y = pixel_grid(9, 0.2, dtype=torch.float64)
    tensors = scene_tensors(scene, dtype=torch.float64)
    alpha = _deflection_points(tensors, theta_x[:1], theta_y[:, :1])
    expected = torch.zeros(2, 2, 9, 9, dtype=torch.float64)
    for x, y, theta_E in zip(tensors.point_x, tensors.point_y, tensors.point_theta_E, strict=True):
        expected += torch.stack(deflection_point_mass(theta_x - x, theta_y - y, theta_E))
    torch.testing.assert_close(torch.stack(alpha), expected, rtol=1e-12, atol=1e-14)


def test_a_point_mass_on_a_pixel_does_not_deflect_it():
    scene = plain_scene(point_x=[[0.0]], point_y=[[0.0]], point_theta_E=[[0.1]])
    centre = torch.zeros(1, 1)
    for dtype in (torch.float32, torch.float64):
        tensors = scene_tensors(scene, dtype=dtype)
        alpha = _deflection_points(tensors, centre.to(dtype), centre.to(dtype))
        assert [a.item() for a in alpha] == [0.0, 0.0]


def test_substructure_without_mass_is_no_substructure():
    massless = plain_scene(point_x=[[0.3, -0.2]], point_y=[[0.1, 0.0]], point_theta_E=[[0.0, 0.0]])
    camera = dict(num_pix=15, pixel_scale=0.2, psf_fwhm=0.3)
    torch.testing.assert_close(
        render(massless, **camera), render(plain_scene(), **camera), rtol=0, atol=0
    )


def test_an_unlensed_source_keeps_its_flux():
    scene = plain_scene(theta_E=[0.0], gamma1=[0.0], source_flux=[3.0])
    image = render(scene, num_pix=160, pixel_scale=0.025, psf_fwhm=0.1)
    # The square of 4 arcsec cuts off 1e-4 of an exponential of R_sersic 0.25.
    assert image.sum().item() == pytest.approx(3.0, rel=1e-3)


@pytest.mark.parametrize("fwhm", [0.3, 1.0, 1.584, 4.0])
@pytest.mark.parametrize("truncation", [4.0, 5.0])
def test_the_psf_is_the_gaussian_filter_of_lenstronomy(fwhm, truncation):
    image = np.random.default_rng(0).random((1, 17, 20))
    expected = gaussian_filter(image[0], fwhm / FWHM_PER_SIGMA, mode="nearest", truncate=truncation)
    kernel = gaussian_kernel(fwhm, truncation)
    convolved = _convolved(_convolved(torch.from_numpy(image), kernel, dim=1), kernel, dim=2)
    np.testing.assert_allclose(convolved[0].numpy(), expected, rtol=1e-13)


@pytest.mark.parametrize("fwhm", [0.0, 1.0, 3.0])
def test_the_psf_sums_to_one(fwhm):
    assert sum(gaussian_kernel(fwhm, 5.0)) == pytest.approx(1.0, abs=1e-15)
