import dataclasses
import json

import pytest

from lenspinn.data.info import DatasetInfo
from lenspinn.errors import StoreError
from lenspinn.simulate import get_recipe
from lenspinn.simulate.dataset import dataset_info

from .conftest import small_info


def test_info_survives_json_unchanged():
    info = small_info(4)
    assert DatasetInfo.from_json(json.loads(json.dumps(info.to_json()))) == info


def test_info_of_another_recipe_configuration_is_another_dataset():
    assert small_info(4) != dataclasses.replace(small_info(4), recipe_config={"centre": (0.0, 0.2)})


@pytest.mark.parametrize(
    ("name", "value"), [("num_images", 0), ("num_pix", 0), ("pixel_scale", -0.1)]
)
def test_info_without_images_or_pixels_is_refused(name, value):
    with pytest.raises(StoreError, match=f"{name} > 0, not {value}"):
        dataclasses.replace(small_info(4), **{name: value})


def survey_info(**changes):
    overrides = {f"instrument.{key}": value for key, value in changes.items()}
    return dataset_info(get_recipe("survey/euclid", **overrides), 3, 0, "torch")


def test_the_camera_of_simulated_images_is_that_of_their_recipe():
    info = survey_info()
    assert info.camera == {
        "supersampling": 2,
        "background_sigma": info.noise_sigma,
        "exposure_time": 4 * 566.0,
        "psf_fwhm": 0.16,
    }


def test_of_the_camera_only_what_is_one_number_is_told():
    assert "psf_fwhm" not in survey_info(psf_fwhm=0.0).camera
    varied = get_recipe("survey/euclid", exposure_time={"uniform": [100.0, 200.0]})
    assert dataset_info(varied, 3, 0, "torch").camera.keys() == {"supersampling", "psf_fwhm"}


def test_images_that_were_not_simulated_have_no_camera():
    assert small_info(4).camera == {}


@pytest.mark.parametrize("scale", [1e308, 1e-8, float("nan"), float("inf")])
def test_a_pixel_scale_of_no_image_is_refused(scale):
    with pytest.raises(StoreError, match="pixel_scale"):
        small_info(4, pixel_scale=scale)


@pytest.mark.parametrize("classes", [(), ("a", "a"), ("a", ""), tuple(map(str, range(200)))])
def test_classes_that_do_not_tell_images_apart_are_refused(classes):
    with pytest.raises(StoreError, match="classes of different names"):
        small_info(4, classes=classes)


@pytest.mark.parametrize("classes", [("a", "b"), ("a", "b", "c", "d")])
def test_classes_are_a_choice(classes):
    assert small_info(4, classes=classes).classes == classes


@pytest.mark.parametrize(
    "change",
    [
        {"num_pix": "8"},
        {"num_pix": True},
        {"num_images": 1e18},
        {"num_images": 10**18},
        {"num_pix": 10**9},
        {"pixel_scale": None},
        {"noise_sigma": float("nan")},
        {"noise_sigma": -1.0},
        {"lens_light": 0},
        {"recipe": ["x"]},
        {"recipe_config": []},
        {"seed": 1.5},
        {"classes": "cdm"},
        {"classes": [["cdm"], ["axion"]]},
        {"pixel_scale": 10**400},
        {"colour": "red"},
    ],
)
def test_what_anybody_wrote_in_place_of_an_info_gives_one_sentence(change):
    with pytest.raises(StoreError):
        DatasetInfo.from_json(small_info(4).to_json() | change)


def test_a_damaged_recipe_tells_of_no_camera():
    assert small_info(4, recipe_config={"instrument": {}}).camera == {}
    assert small_info(4, recipe_config={"source": [1]}).of_recipe("source") == {}
    odd = {"supersampling": "2", "instrument": {"psf_fwhm": [0.1], "exposure_time": None}}
    assert small_info(4, recipe_config=odd, noise_sigma=1.0).camera == {"background_sigma": 1.0}
