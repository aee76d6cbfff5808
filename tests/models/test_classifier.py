"""The contract, checked on every registered model at a quarter of the usual pixels."""

import copy
from typing import NamedTuple

import pytest
import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from lenspinn.errors import ModelError
from lenspinn.models import (
    CLASSES,
    Classifier,
    ImageOptions,
    create_model,
    from_pretrained,
    list_models,
    save_pretrained,
)

# Convolutions and matrix products of another batch size are summed in another order: ten times
# the largest difference seen, relative to the largest logit.
OTHER_BATCH = 5e-4
# A gradient that is 0 but for rounding is below 1e-9; the smallest real one seen is 1e-5.
ROUNDING_OF_GRADIENT = 1e-7
NUM_PIX = 40
SMALL_NUM_PIX = 16
"""For networks that are slow on more pixels; still four patches of 8 pixels."""
SMALL = ("resnet18_stride1", "vit_patch8", "vitsd_patch8", "cait_patch8", "lensformer_patch8")
ONE_TRANSFORM = {"lenspinn_large", "lenspinn_small", "lensformer", "lensformer_patch8"}
"""Networks whose architecture takes one preprocessed map."""
NO_TRANSFORM = {"lenspinn_fit"}
"""Networks that scale images by their noise."""
OPTIONS = {"lenspinn_fit": {"steps": 1}}
"""More steps, from a start that an untrained encoder gives, multiply rounding."""
TRANSFORMERS = ("vit", "vitsd", "cait", "lensformer", *SMALL[1:])
LEARNING_RATE, TRANSFORMER_LEARNING_RATE = 1e-3, 5e-4
WARMUP_STEPS = 10
"""In which the learning rate rises: deep transformers stall without."""
NEARLY_LEARNT = 0.5
"""Training loss below which it is worth asking whether all images are."""
MOST_STEPS = 240
"""Three times as many as most networks need: rounding moves the number from 40 to 170."""


class Trained(NamedTuple):
    """A model that has learnt 32 images, settled on them in evaluation mode."""

    model: Classifier
    images: Tensor
    labels: Tensor

    @property
    def few(self) -> Tensor:
        return self.images[:4]


@pytest.fixture(scope="module", params=list_models())
def trained(request: pytest.FixtureRequest, draw_rings, settle) -> Trained:
    torch.manual_seed(0)
    num_pix = SMALL_NUM_PIX if request.param in SMALL else NUM_PIX
    images = draw_rings(32, num_pix, torch.Generator().manual_seed(0))
    labels = torch.arange(32) % 3
    model = create_model(request.param, num_pix=num_pix, **OPTIONS.get(request.param, {})).to(
        memory_format=torch.channels_last
    )
    lr = TRANSFORMER_LEARNING_RATE if request.param in TRANSFORMERS else LEARNING_RATE
    optimizer = torch.optim.AdamW(model.parameters(), lr=lr, fused=True)
    warmup = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda step: min(1.0, (step + 1) / WARMUP_STEPS)
    )
    for _ in range(MOST_STEPS):
        optimizer.zero_grad()
        loss = cross_entropy(model(images), labels)
        loss.backward()
        optimizer.step()
        warmup.step()
        if loss < NEARLY_LEARNT:
            with torch.no_grad():
                learnt = settle(model, images)(images).argmax(1) == labels
            if learnt.all():
                break
            model.train()
    return Trained(model, images, labels)


def assert_close(logits: Tensor, expected: Tensor) -> None:
    tolerance = OTHER_BATCH * expected.abs().max().item()
    torch.testing.assert_close(logits, expected, rtol=0, atol=tolerance)


def test_it_overfits_32_images(trained):
    with torch.no_grad():
        assert (trained.model(trained.images).argmax(1) == trained.labels).all()


def test_an_image_gives_one_finite_logit_a_class(trained):
    logits = trained.model(trained.few)
    assert logits.shape == (len(trained.few), len(CLASSES))
    assert logits.isfinite().all()


def test_forward_is_the_head_of_the_features(trained):
    features = trained.model.forward_features(trained.few)
    assert features.ndim == 2
    assert torch.equal(trained.model(trained.few), trained.model.forward_head(features))


def test_scores_of_the_model_itself_are_one_number_an_image(trained):
    for score in trained.model.examine(trained.few).shift_scores.values():
        assert score.shape == (len(trained.few),)
        assert score.isfinite().all()


def test_logits_are_not_probabilities(trained):
    sums = trained.model(trained.few).sum(1)
    assert not torch.allclose(sums, torch.ones_like(sums), rtol=0, atol=1e-3)


def test_every_parameter_acts_on_the_classification_loss(trained):
    # In evaluation mode: in training, batch normalisation takes out any constant that a bias
    # before it adds, and what is left of its gradient is rounding. With wrong labels, for the
    # right ones are learnt and hardly pull.
    trained.model.zero_grad()
    cross_entropy(trained.model(trained.images), trained.labels.roll(1)).backward()
    for name, parameter in trained.model.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.isfinite().all(), name
        assert parameter.grad.abs().max() > ROUNDING_OF_GRADIENT, name


def test_every_parameter_gets_a_gradient_in_training(trained):
    model = copy.deepcopy(trained.model).train()
    model.zero_grad()
    cross_entropy(model(trained.few), trained.labels[:4]).backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.isfinite().all(), name


def test_an_answer_does_not_depend_on_the_batch(trained):
    alone = torch.cat([trained.model(image[None]) for image in trained.few])
    assert_close(alone, trained.model(trained.few))


def test_evaluation_is_bit_repeatable(trained):
    assert torch.equal(trained.model(trained.few), trained.model(trained.few))


def test_the_unit_of_the_image_does_not_matter_unless_the_model_says_so(trained):
    if trained.model.takes_unit:
        assert not torch.allclose(trained.model(1024 * trained.few), trained.model(trained.few))
        return
    # A power of two only moves the exponent of each pixel.
    assert_close(trained.model(1024 * trained.few), trained.model(trained.few))


def test_channels_last_changes_nothing(trained):
    contiguous = copy.deepcopy(trained.model).to(memory_format=torch.contiguous_format)
    assert_close(contiguous(trained.few), trained.model(trained.few))


def test_a_saved_model_answers_the_same(trained, tmp_path):
    loaded = from_pretrained(save_pretrained(trained.model, tmp_path / "model"))
    loaded.to(memory_format=torch.channels_last)
    assert torch.equal(loaded(trained.few), trained.model(trained.few))
    assert loaded.config == trained.model.config


def test_cam_layer_names_a_module_with_a_map_for_each_image(trained):
    outputs: list[Tensor] = []
    layer = trained.model.get_submodule(trained.model.cam_layer)
    handle = layer.register_forward_hook(lambda module, args, output: outputs.append(output))
    trained.model(trained.few)
    handle.remove()
    (output,) = outputs
    assert output.shape[0] == len(trained.few)
    assert output.ndim == 4
    assert min(output.shape[2:]) >= 2  # as of the paper's transformers: patches of half an image


def test_a_model_knows_what_it_was_made_for(trained):
    model = trained.model
    assert model.num_pix == trained.images.shape[-1]
    assert model.classes == CLASSES
    assert model.config["options"]["pixel_scale"] == model.pixel_scale
    assert model.config["options"].get("transform", "raw") == model.transform


def test_an_image_of_another_size_is_refused(trained):
    with pytest.raises(ModelError, match=r"shape \(1, 1, 48, 48\); this model takes"):
        trained.model(torch.rand(1, 1, 48, 48))


@pytest.mark.parametrize("name", sorted(set(list_models()) - ONE_TRANSFORM - NO_TRANSFORM))
def test_a_rival_takes_the_raw_and_the_preprocessed_image_together(name, images):
    model = create_model(name, num_pix=images.shape[-1], transform="min_max+paper")
    assert model(images[:2]).isfinite().all()


def test_pixels_without_a_logarithm_are_refused_by_the_papers_transform(images):
    model = create_model("lenspinn_small", transform="paper").eval()
    images = torch.nn.functional.interpolate(images[:2], size=64)
    images[1, 0, 20, 30] = -1.0
    with pytest.raises(ModelError, match=r"'paper' has no value for 1 of 2 images.*noise_safe"):
        model(images)


def test_pixels_that_are_not_finite_are_not_called_a_fault_of_the_transform(images):
    model = create_model("lenspinn_small", transform="noise_safe").eval()
    images = torch.nn.functional.interpolate(images[:2], size=64)
    images[1, 0, 20, 30:32] = torch.tensor([torch.nan, torch.inf])
    with pytest.raises(ModelError, match="1 of 2 images have 2 pixels that are NaN or infinite"):
        model(images)


class Plain(Classifier):
    """The preprocessed image itself as features, and the first of them as logits."""

    def __init__(self, transform: str) -> None:
        images = ImageOptions(num_pix=8, pixel_scale=0.1)
        super().__init__(images, transform=transform, cam_layer="")

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
        ({"pixel_scale": float("nan")}, "pixel_scale of .* is nan; it takes a finite number"),
        ({"classes": ["cdm"]}, "classes are"),
        ({"classes": ["cdm", "cdm"]}, "classes are"),
        ({"transform": "sharpen"}, "no transform 'sharpen'; the transforms are .*noise_safe"),
        ({"transform": "min_max+paper"}, "'min_max.paper'; LensPINN takes one transform, not 2"),
    ],
)
def test_an_option_out_of_range_is_named(options, message):
    with pytest.raises(ModelError, match=message):
        create_model("lenspinn_small", **options)
