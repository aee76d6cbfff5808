import pytest
import torch

from lenspinn.errors import ModelError
from lenspinn.explain import grad_cam
from lenspinn.models import Classifier, create_model, list_models

FLOAT32 = 1e-6  # rounding of float32 numbers of order 1


@pytest.fixture
def images(generator: torch.Generator) -> torch.Tensor:
    return torch.rand(3, 1, 64, 64, generator=generator)


@pytest.mark.parametrize("name", list_models())
def test_every_registered_model_gives_a_map_between_0_and_1(
    name: str, images: torch.Tensor
) -> None:
    cam = grad_cam(create_model(name), images)
    assert cam.shape == (3, 64, 64)
    assert cam.min() >= 0
    # An untrained network may find nothing for its class: then the map is 0 everywhere.
    assert set(cam.amax(dim=(1, 2)).tolist()) <= {0.0, 1.0}


def test_a_network_that_takes_the_mean_gives_the_image_itself(
    mean_classifier: Classifier, generator: torch.Generator
) -> None:
    image = torch.rand(2, 1, 8, 8, generator=generator)
    cam = grad_cam(mean_classifier, image)
    expected = image[:, 0] / image.amax(dim=(1, 2, 3))[:, None, None]
    torch.testing.assert_close(cam, expected, atol=FLOAT32, rtol=0)


def test_a_class_nothing_speaks_for_gives_zero_everywhere(mean_classifier: Classifier) -> None:
    cam = grad_cam(mean_classifier, torch.rand(1, 1, 8, 8), target=torch.tensor([1]))
    assert not cam.any()


def test_the_default_target_is_the_most_probable_class(images: torch.Tensor) -> None:
    model = create_model("lenspinn_small").eval()
    target = model(images).argmax(dim=1)
    assert torch.equal(grad_cam(model, images), grad_cam(model, images, target))


def test_the_map_of_an_image_does_not_depend_on_its_batch(images: torch.Tensor) -> None:
    model = create_model("lenspinn_small")
    target = torch.tensor([0, 1, 2])
    together = grad_cam(model, images, target)
    alone = torch.cat([grad_cam(model, images[i : i + 1], target[i : i + 1]) for i in range(3)])
    # A batch changes the order of sums in matrix products: 1e-5 of a map that goes to 1.
    torch.testing.assert_close(together, alone, atol=1e-4, rtol=0)


@pytest.mark.parametrize("training", [True, False])
def test_the_model_is_left_as_it_was(training: bool, images: torch.Tensor) -> None:
    model = create_model("lenspinn_small").train(training)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    grad_cam(model, images)
    assert model.training == training
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())
    assert all(parameter.grad is None for parameter in model.parameters())


def test_a_model_with_frozen_weights_can_be_explained(images: torch.Tensor) -> None:
    model = create_model("lenspinn_small")
    target = torch.tensor([0, 1, 2])
    trainable = grad_cam(model, images, target)
    assert torch.equal(grad_cam(model.requires_grad_(False), images, target), trainable)


def test_an_unknown_layer_is_named(images: torch.Tensor) -> None:
    model = create_model("lenspinn_small")
    model.cam_layer = "preprocessed_cnn.nowhere"
    with pytest.raises(ModelError, match=r"no layer 'preprocessed_cnn\.nowhere'"):
        grad_cam(model, images)


@pytest.mark.parametrize("layer", ["shared_cnn.blocks", "head"])
def test_a_layer_without_one_map_an_image_is_refused(layer: str, images: torch.Tensor) -> None:
    model = create_model("lenspinn_small")
    model.cam_layer = layer
    with pytest.raises(ModelError, match="one map of features an image"):
        grad_cam(model, images)
