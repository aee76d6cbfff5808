import json

import pytest
from torch import Tensor, nn

from lenspinn.errors import ModelError
from lenspinn.models import names
from lenspinn.models.classifier import Classifier, ImageOptions
from lenspinn.models.registry import create_model, list_options, register_model


class Mean(Classifier):
    """Three copies of an image's mean."""

    def __init__(self, num_pix: int) -> None:
        images = ImageOptions(num_pix=num_pix, pixel_scale=0.1, classes="abc")
        super().__init__(images, transform="raw", cam_layer="pool")
        self.pool = nn.AdaptiveAvgPool2d(1)

    def forward_features(self, image: Tensor) -> Tensor:
        return self.pool(self.preprocess(image)).flatten(1)

    def forward_head(self, features: Tensor) -> Tensor:
        return features.expand(-1, 3)


@pytest.fixture
def mean_model():
    @register_model
    def mean_model(*, num_pix: int = 8, weights: tuple[int, ...] = (1, 2)) -> Mean:
        return Mean(num_pix)

    yield mean_model
    del names.FACTORIES["mean_model"]


def test_a_registered_model_is_created_by_its_function_name(mean_model):
    assert create_model("mean_model", num_pix=16).num_pix == 16


@pytest.mark.parametrize("make", ["direct", "by name"])
def test_config_holds_every_option_as_json_would(mean_model, make):
    model = mean_model(num_pix=16) if make == "direct" else create_model("mean_model", num_pix=16)
    assert model.config == {"name": "mean_model", "options": {"num_pix": 16, "weights": [1, 2]}}
    assert json.loads(json.dumps(model.config)) == model.config


def test_the_fields_of_a_dataclass_are_options_of_their_own():
    @register_model
    def framed_model(images: ImageOptions, *, weight: float = 1.0) -> Mean:
        return Mean(images.num_pix)

    try:
        assert list_options("framed_model") == ["num_pix", "pixel_scale", "classes", "weight"]
        model = create_model("framed_model", num_pix=16, weight=2.0)
        assert model.num_pix == 16
        assert model.config["options"]["pixel_scale"] == ImageOptions().pixel_scale
        assert model.config["options"]["weight"] == 2.0
        with pytest.raises(ModelError, match="num_pix of 'framed_model' is 'wide'; it takes int"):
            create_model("framed_model", num_pix="wide")
    finally:
        del names.FACTORIES["framed_model"]


def test_a_name_registered_twice_is_refused(mean_model):
    def mean_model() -> Mean:
        return Mean(8)

    with pytest.raises(ModelError, match="'mean_model' is already registered"):
        register_model(mean_model)


def test_a_name_of_ours_is_taken_before_its_module_is_imported():
    def vit() -> Mean:
        return Mean(8)

    with pytest.raises(ModelError, match="'vit' is already registered"):
        register_model(vit)


def test_an_unknown_model_is_answered_with_the_nearest_name():
    with pytest.raises(ModelError, match=r"no model 'lenspin_smal'; did you mean 'lenspinn_small'"):
        create_model("lenspin_smal")


def test_a_name_near_nothing_is_answered_with_all_names():
    with pytest.raises(ModelError, match=r"known are .*lenspinn_large, lenspinn_small"):
        create_model("zzz")


def test_an_unknown_option_is_answered_with_the_nearest_option():
    with pytest.raises(ModelError, match="no option 'numpix'; did you mean 'num_pix'"):
        create_model("lenspinn_small", numpix=40)


def test_a_factory_that_is_told_no_images_is_refused_when_it_is_registered():
    with pytest.raises(ModelError, match=r"begin its parameters with `images: ImageOptions`"):

        @register_model
        def untold(images):
            return None


def test_a_factory_that_makes_no_classifier_is_told_to_wrap(monkeypatch):
    monkeypatch.setattr("lenspinn.models.names.FACTORIES", {})

    @register_model
    def bare(images: ImageOptions) -> nn.Module:
        return nn.Linear(2, 3)

    with pytest.raises(ModelError, match=r"makes a Linear.*lenspinn.wrap"):
        bare()
