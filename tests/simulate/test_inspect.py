import dataclasses

import numpy as np
import pytest

from lenspinn.data.store import ImageStore
from lenspinn.simulate import SimulateConfig, get_recipe, simulate
from lenspinn.simulate.inspect import (
    _noise_in_words,
    _residuals,
    inspect_dataset,
    stored_recipe,
)


@pytest.fixture(scope="module")
def noisy(tmp_path_factory):
    out = tmp_path_factory.mktemp("noisy") / "hst.zarr"
    config = SimulateConfig(
        recipe="survey/hst", num=60, out=out, overrides={"source.magnitude": 21.0}, engine="eager"
    )
    return simulate(config, progress=False)


def test_three_pictures_are_drawn_beside_the_dataset(noisy):
    pictures = inspect_dataset(noisy, per_class=2)
    assert [picture.name for picture in pictures] == [
        "hst.png",
        "hst_residuals.png",
        "hst_truth.png",
    ]
    assert all(picture.read_bytes().startswith(b"\x89PNG") for picture in pictures)


def test_pictures_are_named_after_the_first(noisy, tmp_path):
    pictures = inspect_dataset(noisy, tmp_path / "b.png", per_class=1)
    assert [picture.name for picture in pictures] == ["b.png", "b_residuals.png", "b_truth.png"]


def test_clumpy_sources_have_no_residuals_of_a_smooth_fit(tmp_path):
    config = SimulateConfig(
        recipe="survey/hst_clumpy", num=6, out=tmp_path / "a.zarr", engine="eager"
    )
    pictures = inspect_dataset(simulate(config, progress=False), per_class=1)
    assert [picture.name for picture in pictures] == ["a.png", "a_truth.png"]


def test_the_recipe_of_a_dataset_is_found_with_its_overrides(noisy):
    assert stored_recipe(ImageStore.open(noisy)) == get_recipe(
        "survey/hst", **{"source.magnitude": 21.0}
    )


def test_an_imported_dataset_has_no_recipe(noisy):
    store = ImageStore.open(noisy)
    store.info = dataclasses.replace(store.info, recipe="imported", recipe_config={})
    assert stored_recipe(store) is None


def test_a_smooth_image_leaves_nothing_but_noise(noisy):
    store = ImageStore.open(noisy)
    numbers = np.flatnonzero(store.labels == 2)
    residuals = _residuals(store, stored_recipe(store), numbers)
    assert not residuals.significance.any()
    # 20 x 4,096 standard normal numbers: mean and variance are known to 0.0035 and 0.005.
    assert abs(residuals.maps.mean()) < 5 * 0.0035
    assert residuals.maps.var() == pytest.approx(1.0, abs=5 * 0.005)


def test_a_fit_takes_most_of_a_vortex_away_but_not_all(noisy):
    store = ImageStore.open(noisy)
    numbers = np.flatnonzero(store.labels == 0)[:5]
    residuals = _residuals(store, stored_recipe(store), numbers)
    assert residuals.converged.all()
    assert (residuals.significance < residuals.unfitted).all()
    assert (residuals.significance > 5).all()
    # Noise adds one to the mean square of each pixel, and what is left the rest.
    left = residuals.significance**2 / residuals.maps[0].size
    mean_square = np.square(residuals.maps).mean(axis=(1, 2))
    # 4,096 squares of normal numbers, and twice their sum with what is left.
    spread = np.sqrt((2 + 4 * left) / residuals.maps[0].size)
    assert (abs(mean_square - 1 - left) < 5 * spread).all()


@pytest.mark.parametrize("name", ["deeplense/model_1", "deeplense/model_3"])
def test_residuals_of_faulty_images_are_in_the_units_of_their_pixels(tmp_path, name):
    out = tmp_path / "a.zarr"
    simulate(SimulateConfig(recipe=name, num=3, out=out, engine="eager"), progress=False)
    store = ImageStore.open(out)
    residuals = _residuals(store, stored_recipe(store), np.array([2]))
    assert np.abs(residuals.maps).mean() < (2 if name.endswith("1") else 1e-2)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("survey/hst", "of hst_wfc3_f160w"),
        ("deeplense/model_1", "the images have more, and nothing below 0"),
        ("deeplense/model_3", "the images have none"),
    ],
)
def test_a_picture_says_which_noise_its_images_have(name, said):
    assert said in _noise_in_words(get_recipe(name))
