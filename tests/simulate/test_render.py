import numpy as np
import pytest
import torch

from lenspinn.lensing import deflection_point_mass, pixel_grid
from lenspinn.simulate import draw_scenes, get_recipe, render
from lenspinn.simulate.render import (
    Camera,
    _deflection_point,
    _summed,
)
from lenspinn.simulate.tensors import scene_tensors

from .conftest import plain_scene, with_clumps

# float32 rounds beta to about 1e-7 arcsec, which a cuspy source turns into a few 1e-5 of the peak.
FLOAT32_OF_PEAK = 1e-4
# The truth beside the images gives positions of point masses to 1e-8 arcsec.
TRUTH_OF_PEAK = 1e-6
# Compiled and eager code round in float32, in another order.
COMPILED_OF_PEAK = 5e-5


def of_peak(images: np.ndarray, expected: np.ndarray) -> float:
    """Largest difference of any image in units of its peak."""
    difference = np.abs(images - expected).max(axis=(1, 2))
    return float((difference / expected.max(axis=(1, 2))).max())


@pytest.mark.parametrize("suffix", ["", "_varied_mass"])
@pytest.mark.parametrize("model", ["I", "II", "III"])
def test_images_of_the_authors_simulator_are_rendered_again(deeplensesim, model, suffix):
    reference = deeplensesim(model, suffix)
    images = render(reference.scene, reference.recipe.camera, dtype=torch.float64).numpy()
    doubled = 2 if reference.recipe.faults.image_doubled else 1
    assert of_peak(doubled * images, reference.images.astype(float)) <= TRUTH_OF_PEAK


def test_the_published_image_is_rendered_again(shared_data):
    published = np.load(shared_data / "deeplense_published" / "nosub.npy")
    recipe = get_recipe("deeplense/model_3", **{"faults.convention_Om0": 0.2814})
    # The source position of the data's README, (-0.06170, 0.08447), fitted to more digits.
    at = {"source.center_x": -0.06169957, "source.center_y": 0.08446788}
    scene, _ = draw_scenes(get_recipe(**recipe.to_dict() | at), 0, [2])
    image = render(scene, recipe.camera, dtype=torch.float64)[0].numpy()
    scaled = (image - image.min()) / np.ptp(image)
    assert np.sqrt(np.mean((scaled - published) ** 2)) <= 1e-7


@pytest.mark.parametrize("name", ["deeplense/model_3", "survey/hst"])
def test_float32_agrees_with_float64(name):
    recipe = get_recipe(name)
    for label in range(3):
        scene, _ = draw_scenes(recipe, 1, np.arange(40) * 3 + label)
        single = render(scene, recipe.camera).numpy()
        double = render(scene, recipe.camera, dtype=torch.float64).numpy()
        assert single.dtype == np.float32
        assert of_peak(single, double) <= FLOAT32_OF_PEAK


def test_point_masses_deflect_as_the_lensing_room_says():
    rng = np.random.default_rng(2)
    scale = np.array([1, 1, 0.05])[:, None, None]
    scene = plain_scene(2, scale * rng.uniform(0, 2, (3, 2, 7)))
    theta_x, theta_y = pixel_grid(9, 0.2, dtype=torch.float64)
    points = scene_tensors(scene, dtype=torch.float64).points
    alpha = _summed(_deflection_point, points, theta_x[:1], theta_y[:, :1])
    expected = torch.zeros(2, 2, 9, 9, dtype=torch.float64)
    for x, y, theta_E in zip(*points, strict=True):
        expected += torch.stack(deflection_point_mass(theta_x - x, theta_y - y, theta_E))
    torch.testing.assert_close(torch.stack(alpha), expected, rtol=1e-12, atol=1e-14)


def test_a_point_mass_on_a_pixel_does_not_deflect_it():
    scene = plain_scene(points=np.array([0.0, 0.0, 0.1]).reshape(3, 1, 1))
    centre = torch.zeros(1, 1)
    for dtype in (torch.float32, torch.float64):
        points = scene_tensors(scene, dtype=dtype).points
        alpha = _summed(_deflection_point, points, centre.to(dtype), centre.to(dtype))
        assert [a.item() for a in alpha] == [0.0, 0.0]


CAMERA = Camera(num_pix=15, pixel_scale=0.2, psf_fwhm=0.3)


def test_substructure_without_mass_is_no_substructure():
    massless = plain_scene(points=np.array([[[0.3, -0.2]], [[0.1, 0.0]], [[0.0, 0.0]]]))
    torch.testing.assert_close(
        render(massless, CAMERA), render(plain_scene(), CAMERA), rtol=0, atol=0
    )


def test_an_unlensed_source_keeps_its_flux():
    scene = plain_scene(theta_E=[0.0], gamma1=[0.0], source_flux=[3.0])
    image = render(scene, Camera(num_pix=160, pixel_scale=0.025, psf_fwhm=0.1))
    # The square of 4 arcsec cuts off 1e-4 of an exponential of R_sersic 0.25.
    assert image.sum().item() == pytest.approx(3.0, rel=1e-3)


def test_clumps_keep_the_flux_and_are_where_they_should_be():
    scene = with_clumps(
        plain_scene(theta_E=[0.0], gamma1=[0.0], source_flux=[3.0]),
        flux=np.array([[1.0, 0.5]]),
        x=np.array([[0.6, -0.5]]),
        y=np.array([[0.4, 0.0]]),
        sigma=np.array([[0.03, 0.08]]),
    )
    image = render(scene, Camera(num_pix=160, pixel_scale=0.025, psf_fwhm=0.0))[0]
    assert image.sum().item() == pytest.approx(3.0, rel=1e-3)
    smooth = plain_scene(theta_E=[0.0], gamma1=[0.0], source_flux=[1.5])
    clumps = image - render(smooth, Camera(num_pix=160, pixel_scale=0.025, psf_fwhm=0.0))[0]
    theta_x, theta_y = pixel_grid(160, 0.025)
    near = torch.hypot(theta_x - 0.6, theta_y - 0.4) < 0.2
    assert clumps[near].sum().item() == pytest.approx(1.0, rel=1e-3)


@pytest.mark.parametrize(
    ("R_sersic", "n_sersic", "at_one", "at_four"),
    # Of the peak. A broad disc needs no supersampling; a small cuspy source cannot do without.
    [(0.4, 0.7, 0.02, 0.002), (0.1, 3.0, 0.6, 0.25)],
)
def test_where_a_source_needs_supersampling(R_sersic, n_sersic, at_one, at_four):
    scene = plain_scene(source_R_sersic=[R_sersic], source_n_sersic=[n_sersic])

    def image(points: int) -> np.ndarray:
        camera = Camera(num_pix=64, pixel_scale=0.08, psf_fwhm=0.08, supersampling=points)
        return render(scene, camera, dtype=torch.float64).numpy()

    exact = image(16)
    assert at_one / 10 < of_peak(image(1), exact) <= at_one
    assert of_peak(image(4), exact) <= at_four


@pytest.mark.parametrize("name", ["survey/hst_shallow", "survey/hst_clumpy"])
@pytest.mark.parametrize("label", range(3))
def test_compiled_images_agree_with_eager_ones(name, label):
    recipe = get_recipe(name)
    scene, _ = draw_scenes(recipe, 5, np.arange(20) * 3 + label)
    eager = render(scene, recipe.camera).numpy()
    compiled = render(scene, recipe.camera, compiled=True).numpy()
    assert of_peak(compiled, eager) <= COMPILED_OF_PEAK


@pytest.mark.gpu
@pytest.mark.parametrize("name", ["survey/hst_shallow", "survey/hst_clumpy", "survey/hst_tnfw"])
@pytest.mark.parametrize("label", range(3))
def test_images_of_a_gpu_agree_with_those_of_a_cpu(name, label):
    recipe = get_recipe(name)
    scene, _ = draw_scenes(recipe, 5, np.arange(20) * 3 + label)
    there = render(scene, recipe.camera, device="cuda").cpu().numpy()
    assert of_peak(there, render(scene, recipe.camera).numpy()) <= COMPILED_OF_PEAK


def test_unused_places_change_no_bit():
    points = np.random.default_rng(0).uniform(0.1, 1, (3, 4, 9)) * [[[1]], [[1]], [[0.1]]]
    wide = np.concatenate([points, np.zeros((3, 4, 30))], axis=2)
    images = [render(plain_scene(4, table), CAMERA, compiled=True) for table in (points, wide)]
    torch.testing.assert_close(*images, rtol=0, atol=0)
