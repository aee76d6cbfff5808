import dataclasses
import json

import pytest

from lenspinn.data.info import DatasetInfo
from lenspinn.errors import StoreError

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
