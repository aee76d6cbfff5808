import os
import subprocess
import sys

import numpy as np
import pytest
import torch

from lenspinn.simulate import draw_scenes, get_recipe, render
from lenspinn.simulate.compiled import compiled_function

from .conftest import plain_scene
from .test_render import CAMERA, of_peak

# Both round in float32, in another order.
COMPILED_OF_PEAK = 5e-5


def polynomial(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    return x.square() + 3 * y


def test_a_compiled_function_is_made_once():
    assert compiled_function(polynomial) is compiled_function(polynomial)


def test_a_compiled_function_takes_any_shape():
    for size in (2, 7, 64):
        x = torch.linspace(0, 1, size)
        torch.testing.assert_close(compiled_function(polynomial)(x, x), polynomial(x, x))


@pytest.mark.parametrize("label", range(3))
def test_compiled_images_agree_with_eager_ones(label):
    recipe = get_recipe("survey/hst_shallow")
    scene, _ = draw_scenes(recipe, 5, np.arange(20) * 3 + label)
    eager = render(scene, recipe.camera).numpy()
    compiled = render(scene, recipe.camera, compiled=True).numpy()
    assert of_peak(compiled, eager) <= COMPILED_OF_PEAK


def test_unused_places_change_no_bit():
    points = np.random.default_rng(0).uniform(0.1, 1, (3, 4, 9)) * [[[1]], [[1]], [[0.1]]]
    wide = np.concatenate([points, np.zeros((3, 4, 30))], axis=2)
    images = [render(plain_scene(4, table), CAMERA, compiled=True) for table in (points, wide)]
    torch.testing.assert_close(*images, rtol=0, atol=0)


WITHOUT_A_COMPILER = """
import warnings
from lenspinn.simulate import get_recipe, simulate_images
from lenspinn.errors import ConfigError
with warnings.catch_warnings(record=True) as said:
    warnings.simplefilter("always")
    images, _, _ = simulate_images("deeplense/model_3", 3, 0)
    eager, _, _ = simulate_images("deeplense/model_3", 3, 0, engine="eager")
assert (images == eager).all()
assert any("torch.compile does not work here" in str(item.message) for item in said), said
try:
    simulate_images("deeplense/model_3", 3, 0, engine="compiled")
except ConfigError as error:
    print(error)
"""


def test_without_a_compiler_images_are_rendered_eagerly_and_this_is_said(tmp_path):
    environment = os.environ | {
        "CXX": "/no/such/compiler",
        "TORCHINDUCTOR_CACHE_DIR": str(tmp_path),
    }
    run = subprocess.run(
        [sys.executable, "-c", WITHOUT_A_COMPILER], env=environment, capture_output=True, text=True
    )
    assert run.returncode == 0, run.stderr
    assert run.stdout.startswith("torch.compile does not work here")
    assert len(run.stdout.splitlines()) == 1
