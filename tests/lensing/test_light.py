import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from lenstronomy.LightModel.light_model import LightModel

from lenspinn.lensing import interpolated_source, pixel_grid, sersic, sersic_total_flux

ROUNDING = 1e-12
QUADRATURE = 1e-3  # Pixel sums of an exponential disk, 40 pixels to its half-light radius.

ROUND = {"e1": 0.0, "e2": 0.0, "center_x": 0.0, "center_y": 0.0}

parameters = st.fixed_dictionaries(
    {
        "R_sersic": st.floats(0.05, 2.0),
        "n_sersic": st.floats(0.5, 6.0),
        "e1": st.floats(-0.5, 0.5),
        "e2": st.floats(-0.5, 0.5),
        "center_x": st.floats(-0.5, 0.5),
        "center_y": st.floats(-0.5, 0.5),
    }
)


def per_lens(value):
    return torch.full((1, 1, 1), value, dtype=torch.float64)


@settings(deadline=None, derandomize=True)
@given(parameters=parameters)
def test_sersic_is_that_of_lenstronomy(parameters):
    x, y = pixel_grid(21, 0.1, dtype=torch.float64)
    ours = sersic(x, y, amplitude=1.7, **parameters)
    reference = LightModel(["SERSIC_ELLIPSE"]).surface_brightness(
        x.numpy().ravel(), y.numpy().ravel(), [{"amp": 1.7, **parameters}]
    )
    np.testing.assert_allclose(ours.numpy().ravel(), reference, rtol=ROUNDING)


@settings(deadline=None, derandomize=True)
@given(R=st.floats(0.05, 2.0), n=st.floats(0.5, 6.0), amplitude=st.floats(0.1, 10.0))
def test_total_flux_is_that_of_lenstronomy(R, n, amplitude):
    reference = LightModel(["SERSIC"]).total_flux(
        [{"amp": amplitude, "R_sersic": R, "n_sersic": n, "center_x": 0, "center_y": 0}]
    )
    assert sersic_total_flux(R, n, amplitude) == pytest.approx(reference[0], rel=ROUNDING)


@pytest.mark.parametrize(("e1", "e2"), [(0.0, 0.0), (0.3, -0.2)])
def test_total_flux_is_the_integral_of_the_profile(e1, e2):
    scale = 0.025
    x, y = pixel_grid(801, scale, dtype=torch.float64)
    shape = {"e1": e1, "e2": e2, "center_x": 0.0, "center_y": 0.0}
    image = sersic(x, y, amplitude=2.0, R_sersic=1.0, n_sersic=1.0, **shape)
    assert image.sum() * scale**2 == pytest.approx(sersic_total_flux(1.0, 1.0, 2.0), rel=QUADRATURE)


def test_total_flux_of_tensors_is_a_tensor_with_gradient():
    R = torch.tensor([0.2, 0.4], requires_grad=True)
    flux = sersic_total_flux(R, 1.0)
    assert flux.dtype == torch.float32
    (gradient,) = torch.autograd.grad(flux.sum(), R)
    torch.testing.assert_close(gradient, 2 * flux.detach() / R.detach())


def test_brightness_at_the_half_light_radius_is_the_amplitude():
    x = torch.tensor([[0.25]], dtype=torch.float64)
    at_radius = sersic(x, torch.zeros_like(x), amplitude=3.0, R_sersic=0.25, n_sersic=2.3, **ROUND)
    assert at_radius.item() == pytest.approx(3.0, rel=ROUNDING)


def test_sersic_broadcasts_one_grid_over_a_batch_of_sources():
    x, y = pixel_grid(5, 0.2)
    R = torch.tensor([0.1, 0.3, 0.5])[:, None, None]
    batch = sersic(x, y, amplitude=1.0, R_sersic=R, n_sersic=1.0, **ROUND)
    alone = sersic(x, y, amplitude=1.0, R_sersic=0.3, n_sersic=1.0, **ROUND)
    assert batch.shape == (3, 5, 5)
    torch.testing.assert_close(batch[1], alone)


def test_gradients_are_finite_at_the_centre_of_a_round_cusp():
    x, y = pixel_grid(3, 0.1, dtype=torch.float64)
    values = {
        "amplitude": 1.0, "R_sersic": 0.25, "n_sersic": 4.0,
        "e1": 0.0, "e2": 0.0, "center_x": 0.0, "center_y": 0.0,
    }  # fmt: skip
    leaves = {name: per_lens(value).requires_grad_() for name, value in values.items()}
    gradients = torch.autograd.grad(sersic(x, y, **leaves).sum(), list(leaves.values()))
    assert all(gradient.isfinite().all() for gradient in gradients)


def test_gradient_in_every_parameter_is_the_finite_difference():
    x, y = pixel_grid(4, 0.3, dtype=torch.float64)
    names = ["amplitude", "R_sersic", "n_sersic", "e1", "e2", "center_x", "center_y"]
    leaves = [per_lens(v).requires_grad_() for v in (1.0, 0.4, 1.5, 0.1, -0.2, 0.05, 0.02)]
    assert torch.autograd.gradcheck(
        lambda *values: sersic(x, y, **dict(zip(names, values, strict=True))), leaves
    )


def test_interpolated_source_has_the_pixel_values_at_the_pixel_centres(generator):
    image = torch.rand(2, 5, 7, generator=generator, dtype=torch.float64)
    x, y = pixel_grid(5, 0.3, dtype=torch.float64)
    columns = interpolated_source(image, 0.3, x.expand(2, 5, 5), y.expand(2, 5, 5))
    # 7 columns on the grid of 5: their outer two are beyond it.
    torch.testing.assert_close(columns, image[:, :, 1:-1], rtol=ROUNDING, atol=ROUNDING)


def test_interpolation_of_a_linear_image_is_exact():
    x, y = pixel_grid(9, 0.2, dtype=torch.float64)
    at_x, at_y = pixel_grid(11, 0.07, dtype=torch.float64)
    value = interpolated_source((1 + 2 * x - y)[None], 0.2, at_x[None], at_y[None])
    torch.testing.assert_close(value[0], 1 + 2 * at_x - at_y, rtol=ROUNDING, atol=ROUNDING)


def test_interpolated_source_is_dark_outside_of_the_image():
    image = torch.ones(1, 4, 4)
    outside = torch.tensor([[[0.51, 3.0, -100.0]]])  # The image and its border end at 0.5.
    value = interpolated_source(image, 0.2, outside, torch.zeros_like(outside))
    assert (value == 0).all()


@pytest.mark.parametrize("n", [0.3, 0.35, 0.4, 0.45, 0.499])
def test_half_of_the_light_is_within_the_half_light_radius_of_small_indices(n):
    radius = torch.arange(0.0005, 40.0, 0.001, dtype=torch.float64)[None]
    parameters = dict(R_sersic=1.0, n_sersic=n, e1=0.0, e2=0.0, center_x=0.0, center_y=0.0)
    light = radius * sersic(radius, torch.zeros_like(radius), amplitude=1.0, **parameters)
    within = float(light[radius < 1].sum() / light.sum())
    assert within == pytest.approx(0.5, abs=3e-4)  # b_n is right to 2e-4
    total = 2 * torch.pi * float(light.sum()) * 0.001
    assert sersic_total_flux(1.0, n) == pytest.approx(total, rel=1e-3)


def test_an_index_has_one_profile_as_a_number_and_in_a_tensor():
    x, y = pixel_grid(8, 0.2)
    shape = dict(amplitude=1.0, R_sersic=1.0, e1=0.1, e2=0.0, center_x=0.0, center_y=0.0)
    for n in (0.3, 0.5, 2.0):
        in_tensor = sersic(x, y, n_sersic=torch.tensor([[n]]), **shape)
        torch.testing.assert_close(in_tensor, sersic(x, y, n_sersic=n, **shape))
