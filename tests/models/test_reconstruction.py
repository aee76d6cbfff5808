import dataclasses

import pytest
import torch

from lenspinn.fitting.smooth import SMOOTH_PARAMETERS
from lenspinn.models import FittedReconstruction, Reconstruction, create_model

IMAGES = 3


@pytest.fixture(scope="module", params=["lenspinn_small", "lenspinn_fit"])
def found(request):
    torch.manual_seed(0)
    model = create_model(request.param).eval()
    with torch.no_grad():
        return model.reconstruct(torch.rand(IMAGES, 1, 64, 64))


def test_it_can_be_read_field_by_field(found):
    assert isinstance(found, Reconstruction)
    for field in dataclasses.fields(found):
        value = getattr(found, field.name)
        assert len(value) == IMAGES
        assert value.isfinite().all(), field.name


def test_rays_end_where_the_deflection_takes_them(found):
    theta_x, theta_y = found.alpha_x + found.beta_x, found.alpha_y + found.beta_y
    torch.testing.assert_close(theta_x, theta_x[:1, :1].expand_as(theta_x), atol=1e-5, rtol=0)
    torch.testing.assert_close(theta_y, theta_y[:1, :, :1].expand_as(theta_y), atol=1e-5, rtol=0)


@pytest.mark.parametrize("found", ["lenspinn_fit"], indirect=True)
def test_the_error_of_theta_E_is_that_of_the_first_parameter(found):
    assert isinstance(found, FittedReconstruction)
    assert SMOOTH_PARAMETERS[0] == "theta_E"
    assert torch.equal(found.theta_E_error, found.standard_errors[:, 0])


def test_arrays_are_reconstructed_as_tensors_are():
    torch.manual_seed(0)
    model = create_model("lenspinn_small").eval()
    image = torch.rand(1, 1, 64, 64)
    with torch.no_grad():
        wanted = model.reconstruct(image)
        for array in (image.numpy(), image[0, 0].double().numpy()):
            assert torch.equal(model.reconstruct(array).source, wanted.source)
