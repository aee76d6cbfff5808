"""The contract, checked on every registered model at a quarter of the usual pixels."""

import pytest
import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from lenspinn.errors import ModelError
from lenspinn.models import (
    CLASSES,
    Classifier,
    create_model,
    from_pretrained,
    list_models,
    save_pretrained,
)

# Convolutions and matrix products of another batch size are summed in another order: ten times
# the largest difference seen between logits of order 0.1 (5e-6).
OTHER_BATCH = 5e-5
# A gradient that is 0 but for rounding is below 1e-9; the smallest real one seen is 1e-5.
ROUNDING_OF_GRADIENT = 1e-7


@pytest.fixture(params=list_models())
def model(request: pytest.FixtureRequest, images: Tensor) -> Classifier:
    torch.manual_seed(0)
    return create_model(request.param, num_pix=images.shape[-1])


def test_an_image_gives_one_finite_logit_a_class(model, images, settle):
    logits = settle(model, images)(images)
    assert logits.shape == (len(images), len(CLASSES))
    assert logits.isfinite().all()


def test_forward_is_the_head_of_the_features(model, images, settle):
    settle(model, images)
    features = model.forward_features(images)
    assert features.ndim == 2
    assert torch.equal(model(images), model.forward_head(features))


def test_logits_are_not_probabilities(model, images, settle):
    assert not torch.allclose(
        settle(model, images)(images).sum(1), torch.ones(len(images)), rtol=0, atol=1e-3
    )


def test_every_parameter_acts_on_the_classification_loss(model, images, labels, settle):
    # In evaluation mode: in training, batch normalisation takes out any constant that a bias
    # before it adds, and what is left of its gradient is rounding.
    cross_entropy(settle(model, images)(images), labels).backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.isfinite().all(), name
        assert parameter.grad.abs().max() > ROUNDING_OF_GRADIENT, name


def test_every_parameter_gets_a_gradient_in_training(model, images, labels):
    cross_entropy(model(images), labels).backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.isfinite().all(), name


def test_an_answer_does_not_depend_on_the_batch(model, images, settle):
    settle(model, images)
    alone = torch.cat([model(image[None]) for image in images[:4]])
    assert torch.allclose(alone, model(images)[:4], rtol=0, atol=OTHER_BATCH)


def test_evaluation_is_bit_repeatable(model, images, settle):
    settle(model, images)
    assert torch.equal(model(images), model(images))


def test_the_unit_of_the_image_does_not_matter(model, images, settle):
    settle(model, images)
    # A power of two only moves the exponent of each pixel.
    assert torch.allclose(model(images), model(1024 * images), rtol=0, atol=OTHER_BATCH)


def test_channels_last_changes_nothing(model, images, settle):
    expected = settle(model, images)(images)
    model.to(memory_format=torch.channels_last)
    assert torch.allclose(model(images), expected, rtol=0, atol=OTHER_BATCH)


def test_it_overfits_32_images(model, images, labels, settle):
    model.to(memory_format=torch.channels_last)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
    for _ in range(10):
        optimizer.zero_grad()
        cross_entropy(model(images), labels).backward()
        optimizer.step()
    with torch.no_grad():
        assert (settle(model, images)(images).argmax(1) == labels).all()


def test_a_saved_model_answers_the_same(model, images, tmp_path, settle):
    expected = settle(model, images)(images)
    loaded = from_pretrained(save_pretrained(model, tmp_path / "model"))
    assert torch.equal(loaded(images), expected)
    assert loaded.config == model.config


def test_cam_layer_names_a_module_with_a_map_for_each_image(model, images, settle):
    outputs: list[Tensor] = []
    layer = model.get_submodule(model.cam_layer)
    layer.register_forward_hook(lambda module, args, output: outputs.append(output))
    settle(model, images)
    (output,) = outputs
    assert output.shape[0] == len(images)
    assert output.ndim == 4
    assert min(output.shape[2:]) >= 4


def test_a_model_knows_what_it_was_made_for(model, images):
    assert model.num_pix == images.shape[-1]
    assert model.classes == CLASSES
    assert model.config["options"]["pixel_scale"] == model.pixel_scale
    assert model.config["options"]["transform"] == model.transform


def test_an_image_of_another_size_is_refused(model):
    with pytest.raises(ModelError, match=r"shape \(1, 1, 48, 48\); this model takes"):
        model(torch.rand(1, 1, 48, 48))


def test_pixels_without_a_logarithm_are_refused_by_the_papers_transform(images):
    model = create_model("lenspinn_small", transform="paper").eval()
    images = torch.nn.functional.interpolate(images[:2], size=64)
    images[1, 0, 20, 30] = -1.0
    with pytest.raises(ModelError, match=r"'paper' has no value for 1 of 2 images.*noise_safe"):
        model(images)


class Plain(Classifier):
    """The preprocessed image itself as features, and the first of them as logits."""

    def __init__(self, transform: str) -> None:
        super().__init__(
            num_pix=8, pixel_scale=0.1, classes=CLASSES, transform=transform, cam_layer=""
        )

    def forward_features(self, image: Tensor) -> Tensor:
        return self.preprocess(image).flatten(1)

    def forward_head(self, features: Tensor) -> Tensor:
        return features[:, :3]


def test_joined_transforms_become_channels_in_their_order(generator):
    image = torch.rand(2, 1, 8, 8, generator=generator) + 0.1
    both = Plain("min_max+paper")
    assert both.num_channels == 2
    expected = [Plain(name).preprocess(image) for name in ("min_max", "paper")]
    assert torch.equal(both.preprocess(image), torch.cat(expected, dim=1))


def test_an_unknown_transform_among_joined_ones_is_named():
    with pytest.raises(ModelError, match="no transform 'sharpen'; the transforms are"):
        Plain("min_max+sharpen")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"num_pix": 1}, "num_pix is 1"),
        ({"num_pix": 32}, "num_pix is 32; LensPINN needs more than one patch"),
        ({"pixel_scale": -0.1}, "pixel_scale is -0.1"),
        ({"pixel_scale": float("nan")}, "pixel_scale is nan"),
        ({"classes": ["cdm"]}, "classes are"),
        ({"classes": ["cdm", "cdm"]}, "classes are"),
        ({"transform": "sharpen"}, "no transform 'sharpen'; the transforms are .*noise_safe"),
        ({"transform": "min_max+paper"}, "'min_max.paper'; LensPINN takes one transform, not 2"),
    ],
)
def test_an_option_out_of_range_is_named(options, message):
    with pytest.raises(ModelError, match=message):
        create_model("lenspinn_small", **options)
