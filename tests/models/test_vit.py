import pytest
import torch
from torch.nn.functional import cross_entropy

from lenspinn.errors import ModelError
from lenspinn.models import create_model


@pytest.mark.parametrize(
    ("name", "parameters", "published"),
    [
        ("vit", 13_725_731, 13_725_731),
        ("vitsd", 13_733_955, 13_731_877),
        ("vit_patch8", 13_649_027, 13_725_731),
        ("vitsd_patch8", 13_747_891, 13_731_877),
    ],
)
def test_parameter_counts_are_golden_and_those_of_the_authors(name, parameters, published):
    with torch.device("meta"):
        model = create_model(name)
    count = sum(parameter.numel() for parameter in model.parameters())
    assert count == parameters
    assert count == pytest.approx(published, rel=0.02)


@pytest.mark.parametrize(("name", "num_patches"), [("vit", 4), ("vitsd_patch8", 64)])
def test_a_64_pixel_image_has_as_many_tokens_as_patches_and_one(name, num_patches):
    with torch.device("meta"):
        assert create_model(name).tokens.num_tokens == num_patches + 1


def test_the_map_for_grad_cam_is_looked_at_by_the_class_token(images, labels):
    model = create_model("vit", num_pix=40)
    patch_maps = []
    model.patch_map.register_forward_hook(lambda module, args, output: patch_maps.append(output))
    loss = cross_entropy(model(images[:4]), labels[:4])
    (gradient,) = torch.autograd.grad(loss, patch_maps[0])
    assert (gradient.abs().amax(dim=1) > 0).all()


def test_an_image_of_one_patch_is_refused_where_no_token_sees_itself():
    with pytest.raises(ModelError, match="num_pix is 32; ViTSD needs more than one patch of 32"):
        create_model("vitsd", num_pix=32)
