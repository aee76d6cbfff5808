from pathlib import Path

import huggingface_hub.constants
import pytest
import safetensors.torch
import timm
import torch

from lenspinn.errors import ModelError
from lenspinn.models import create_model
from lenspinn.models.baselines import timm_cam_layer, timm_cnn

CNN = "mobilenetv3_small_050"


@pytest.fixture
def weights_file(tmp_path: Path) -> Path:
    """Three-channel weights as timm publishes them, here random."""
    file = tmp_path / "weights.safetensors"
    safetensors.torch.save_file(timm.create_model(CNN).state_dict(), file)
    return file


@pytest.fixture
def offline(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path / "empty"))


def test_a_network_takes_one_channel_and_gives_a_thousand_numbers():
    assert timm_cnn(CNN).eval()(torch.rand(2, 1, 32, 32)).shape == (2, 1000)


def test_weights_come_from_a_file_with_the_first_layer_summed_over_colours(weights_file):
    stored = safetensors.torch.load_file(weights_file)
    loaded = timm_cnn(CNN, pretrained=str(weights_file)).state_dict()
    stem = stored.pop("conv_stem.weight").sum(dim=1, keepdim=True)
    # three terms summed in float32, in whatever order
    assert torch.allclose(loaded.pop("conv_stem.weight"), stem, rtol=1e-6, atol=1e-7)
    assert all(torch.equal(loaded[name], stored[name]) for name in stored)


def test_of_a_folder_the_file_with_the_name_of_the_network_is_read(weights_file):
    weights_file.rename(weights_file.with_name(f"{CNN}.safetensors"))
    stored = safetensors.torch.load_file(weights_file.with_name(f"{CNN}.safetensors"))
    loaded = timm_cnn(CNN, in_chans=3, pretrained=str(weights_file.parent)).state_dict()
    assert all(torch.equal(loaded[name], stored[name]) for name in stored)
    with pytest.raises(ModelError, match=r"no weights of resnet18 at '.*resnet18\.safetensors'"):
        timm_cnn("resnet18", pretrained=str(weights_file.parent))


def test_weights_of_another_network_are_refused(weights_file):
    with pytest.raises(ModelError, match=r"weights\.safetensors' are not those of resnet18"):
        timm_cnn("resnet18", pretrained=str(weights_file))


def test_a_missing_weights_file_is_named(tmp_path):
    with pytest.raises(ModelError, match=r"no weights .* at '.*none\.safetensors'"):
        timm_cnn(CNN, pretrained=str(tmp_path / "none.safetensors"))


def test_a_file_that_holds_no_tensors_is_refused(tmp_path):
    file = tmp_path / "text.safetensors"
    file.write_text("not weights")
    with pytest.raises(ModelError, match=r"text\.safetensors' are not those of"):
        timm_cnn(CNN, pretrained=str(file))


def test_a_pickle_is_refused_unread(tmp_path):
    with pytest.raises(ModelError, match=r"'.*weights\.pth' are not a \.safetensors file"):
        timm_cnn(CNN, pretrained=str(tmp_path / "weights.pth"))


@pytest.mark.usefixtures("offline")
def test_offline_the_message_says_what_to_do():
    with pytest.raises(
        ModelError, match=r"could not be downloaded; connect .* or pass pretrained="
    ):
        timm_cnn(CNN, pretrained=True)


@pytest.mark.parametrize(
    ("name", "layer"),
    [(CNN, "blocks.1"), ("efficientnet_b0", "blocks.2"), ("resnet18", "layer2")],
)
def test_the_layer_for_grad_cam_has_an_eighth_of_the_side(name, layer):
    before = torch.get_rng_state()
    assert timm_cam_layer(name, 64) == layer
    # Published cells were trained from the random numbers that follow.
    assert torch.equal(torch.get_rng_state(), before)


def test_an_unknown_network_is_named():
    with pytest.raises(ModelError, match="timm has no network 'resnet_of_doom'"):
        timm_cnn("resnet_of_doom")


@pytest.mark.parametrize(
    ("name", "parameters"),
    [
        ("resnet18", 11_171_779),  # the authors' count
        ("resnet18_stride1", 11_169_219),
        ("mobilenetv3", 571_011),
        ("efficientnet_b0", 4_010_815),
        ("efficientnet_lite0", 3_374_275),
        ("cait", 13_766_739),
        ("cait_patch8", 13_654_437),
    ],
)
def test_parameter_counts_are_golden(name, parameters):
    with torch.device("meta"):
        model = create_model(name)
    assert sum(parameter.numel() for parameter in model.parameters()) == parameters


def test_a_registered_network_starts_from_the_weights_of_a_file(weights_file):
    stored = safetensors.torch.load_file(weights_file)
    model = create_model("mobilenetv3", pretrained=str(weights_file))
    name = "blocks.1.0.conv_pw.weight"
    assert torch.equal(model.cnn.state_dict()[name], stored[name])


@pytest.mark.parametrize(("name", "side"), [("resnet18", 2), ("resnet18_stride1", 8)])
def test_the_stem_decides_how_much_of_a_64_pixel_image_is_left(name, side):
    model = create_model(name).eval()
    with torch.no_grad():
        maps = model.cnn.forward_features(torch.rand(1, 1, 64, 64))
    assert maps.shape[2:] == (side, side)
