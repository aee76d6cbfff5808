import pytest
import torch
from torch import nn

from lenspinn.errors import ModelError
from lenspinn.explain import grad_cam
from lenspinn.models import Classifier, ImageOptions, save_pretrained, wrap

IMAGES = ImageOptions(num_pix=8)


def network(num_classes: int = 3) -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(1, 4, 3, padding=1),
        nn.ReLU(),
        nn.Conv2d(4, 4, 3, padding=1),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(4, num_classes),
    )


def test_its_logits_are_those_of_the_module_for_preprocessed_images():
    module, image = network(), 100 * torch.rand(2, 1, 8, 8)
    model = wrap(module, IMAGES).eval()
    assert isinstance(model, Classifier)
    assert torch.equal(model(image), module(model.preprocess(image)))


def test_the_last_convolution_is_looked_at_unless_another_layer_is_named():
    model = wrap(network(), IMAGES)
    assert model.get_submodule(model.cam_layer) is model.module[2]
    assert grad_cam(model, torch.rand(2, 1, 8, 8)).shape == (2, 8, 8)
    assert wrap(network(), IMAGES, cam_layer="0").cam_layer == "module.0"


def test_without_a_convolution_a_layer_must_be_named():
    flat = nn.Sequential(nn.Flatten(), nn.Linear(64, 3))
    with pytest.raises(ModelError, match=r"no convolution for Grad-CAM.*by cam_layer"):
        wrap(flat, IMAGES)
    assert wrap(flat, IMAGES, cam_layer="0")(torch.rand(1, 1, 8, 8)).shape == (1, 3)


def test_a_layer_that_is_not_there_is_named():
    with pytest.raises(ModelError, match="has no layer 'head'"):
        wrap(network(), IMAGES, cam_layer="head")


def test_logits_of_another_number_of_classes_are_refused():
    with pytest.raises(ModelError, match=r"gives \(2, 4\) for 2 images of 3 classes"):
        wrap(network(4), IMAGES)(torch.rand(2, 1, 8, 8))


def test_what_nobody_can_make_again_is_not_saved(tmp_path):
    with pytest.raises(ModelError, match="register_model"):
        save_pretrained(wrap(network(), IMAGES), tmp_path / "model")
    assert not (tmp_path / "model").exists()


@pytest.mark.parametrize(
    ("module", "says"),
    [
        (nn.Sequential(nn.Conv2d(3, 3, 8), nn.Flatten()), r"be given \(2, 1, 8, 8\).*3 channels"),
        (nn.Sequential(nn.Conv2d(1, 4, 8), nn.Flatten(), nn.Linear(5, 3)), "must take that"),
        (nn.Sequential(nn.Conv2d(1, 4, 8), nn.Flatten(), nn.GRU(4, 3)), "gives a tuple"),
    ],
)
def test_a_network_that_does_not_fit_the_images_is_told_so(module: nn.Module, says: str):
    with pytest.raises(ModelError, match=says):
        wrap(module, IMAGES)(torch.rand(2, 1, 8, 8))


def test_lazy_layers_must_have_seen_an_image():
    module = nn.Sequential(nn.Conv2d(1, 4, 8), nn.Flatten(), nn.LazyLinear(3))
    with pytest.raises(ModelError, match=r"lazy layers.*before wrapping"):
        wrap(module, IMAGES)
    module(torch.zeros(1, 1, 8, 8))
    assert wrap(module, IMAGES)(torch.rand(2, 1, 8, 8)).shape == (2, 3)
