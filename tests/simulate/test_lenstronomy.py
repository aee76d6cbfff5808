import numpy as np
import pytest
import torch

from lenspinn.simulate import draw_scenes, get_recipe, render
from lenspinn.simulate.lenstronomy import render_lenstronomy
from lenspinn.simulate.render import Camera

from .conftest import RECIPES, plain_scene
from .test_render import FLOAT32_OF_PEAK, of_peak

SCENES = 4
# lenstronomy gives its SIE a core of 1e-10 arcsec; that, in a cuspy source, is 1e-8 of the peak.
FLOAT64_OF_PEAK = 1e-7


@pytest.mark.parametrize("label", range(3))
@pytest.mark.parametrize("name", RECIPES)
def test_both_engines_give_the_same_image(name, label):
    recipe = get_recipe(name)
    num = 2 if recipe.num_pix > 64 else SCENES
    scene, _ = draw_scenes(recipe, 3, np.arange(num) * 3 + label)
    expected = np.stack([render_lenstronomy(scene, row, recipe.camera) for row in range(num)])
    double = render(scene, recipe.camera, dtype=torch.float64).numpy()
    single = render(scene, recipe.camera).numpy()
    assert of_peak(double, expected) <= FLOAT64_OF_PEAK
    assert of_peak(single, expected) <= FLOAT32_OF_PEAK


def test_both_engines_do_without_a_psf():
    camera = Camera(num_pix=11, pixel_scale=0.3, psf_fwhm=0.0)
    scene = plain_scene()
    expected = render_lenstronomy(scene, 0, camera)[None]
    assert of_peak(render(scene, camera, dtype=torch.float64).numpy(), expected) <= 1e-7
