import math

import pytest
import torch

from lenspinn.fitting.derivatives import smooth_derivatives
from lenspinn.fitting.smooth import (
    SHAPE_PARAMETERS,
    SMOOTH_PARAMETERS,
    make_optics,
    parameter_names,
    smooth_image,
)
from lenspinn.lensing.psf import gaussian_kernel

NUM_PIX, PIXEL_SCALE = 16, 0.2
TYPICAL = {
    "theta_E": 1.0,
    "e1": 0.1,
    "e2": -0.05,
    "center_x": 0.03,
    "center_y": -0.02,
    "gamma1": 0.03,
    "gamma2": 0.02,
    "source_x": 0.1,
    "source_y": -0.07,
    "source_e1": -0.1,
    "source_e2": 0.1,
    "log_R_sersic": math.log(0.25),
    "log_n_sersic": math.log(1.4),
    "log_amplitude": 1.0,
}
SHAPE = {"gamma": 2.15, "a3": 0.02, "b3": -0.01, "a4": 0.01, "b4": 0.015}
# float64; the truncation error of central differences with this step is as small.
STEP, DIFFERENCE_OF_PEAK = 1e-5, 1e-7
# Of the largest derivative: float32 with as many terms as that asks for.
ROUNDING = 1e-4


def typical(**changes: float) -> torch.Tensor:
    values = TYPICAL | changes
    return torch.tensor([[values[name] for name in SMOOTH_PARAMETERS]], dtype=torch.float64)


def shaped(**changes: float) -> torch.Tensor:
    """Parameters of a power law with multipoles."""
    values = TYPICAL | SHAPE | changes
    return torch.tensor([[values[name] for name in parameter_names(19)]], dtype=torch.float64)


GAUSSIAN = gaussian_kernel(1.5, 5.0)


def optics(psf=GAUSSIAN, supersampling=1):
    return make_optics(NUM_PIX, PIXEL_SCALE, psf, supersampling=supersampling, dtype=torch.float64)


def lopsided() -> torch.Tensor:
    kernel = torch.rand(5, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    return kernel / kernel.sum()


@pytest.mark.parametrize("name", SHAPE_PARAMETERS)
def test_derivatives_by_the_shape_are_those_of_finite_differences(name):
    made = smooth_derivatives(shaped(), optics())
    up, down = (smooth_image(shaped(**{name: SHAPE[name] + d}), optics()) for d in (STEP, -STEP))
    found = made[:, 1 + parameter_names(19).index(name)]
    expected = (up - down) / (2 * STEP)
    atol = DIFFERENCE_OF_PEAK * expected.abs().max().item()
    torch.testing.assert_close(found, expected, rtol=1e-6, atol=10 * atol)


@pytest.mark.parametrize("name", SMOOTH_PARAMETERS)
@pytest.mark.parametrize("here", [optics(), optics(lopsided(), 2)], ids=["gaussian", "kernel"])
def test_derivatives_are_those_of_finite_differences(name, here):
    made = smooth_derivatives(typical(), here)
    up, down = (smooth_image(typical(**{name: TYPICAL[name] + d}), here) for d in (STEP, -STEP))
    found = made[:, 1 + SMOOTH_PARAMETERS.index(name)]
    expected = (up - down) / (2 * STEP)
    atol = DIFFERENCE_OF_PEAK * expected.abs().max().item()
    torch.testing.assert_close(found, expected, rtol=1e-6, atol=10 * atol)


def test_the_image_comes_before_its_derivatives():
    made = smooth_derivatives(typical(), optics())
    assert made.shape == (1, 1 + len(SMOOTH_PARAMETERS), NUM_PIX, NUM_PIX)
    torch.testing.assert_close(made[:, 0], smooth_image(typical(), optics()))


def test_the_image_is_proportional_to_the_amplitude():
    made = smooth_derivatives(typical(), optics())
    torch.testing.assert_close(made[:, -1], made[:, 0])


@pytest.mark.parametrize("lens", [typical, shaped])
def test_a_round_lens_before_a_round_source_has_derivatives(lens):
    on_a_pixel = PIXEL_SCALE / 2
    round_ = dict.fromkeys(("e1", "e2", "source_e1", "source_e2", "gamma1", "gamma2"), 0.0)
    centred = {"center_x": on_a_pixel, "center_y": on_a_pixel, "source_x": 0.0, "source_y": 0.0}
    assert (
        smooth_derivatives(
            lens(**round_, **centred).float(), make_optics(NUM_PIX, PIXEL_SCALE, (1.0,))
        )
        .isfinite()
        .all()
    )


@pytest.mark.parametrize("e1", [0.0, 0.05, 0.3])
def test_derivatives_in_float32_are_those_of_automatic_differentiation(e1):
    values = shaped(e1=e1)
    expected = torch.func.jacfwd(lambda p: smooth_image(p, optics()))(values)
    expected = expected[0, :, :, 0].movedim(-1, 0)
    rough = make_optics(NUM_PIX, PIXEL_SCALE, GAUSSIAN)
    found = smooth_derivatives(values.float(), rough)[0, 1:]
    largest = expected.abs().amax(dim=(1, 2), keepdim=True)
    assert ((found - expected).abs() <= ROUNDING * largest).all()
