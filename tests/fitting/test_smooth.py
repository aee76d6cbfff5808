import math

import numpy as np
import pytest
import torch

from lenspinn.fitting.smooth import (
    SMOOTH_PARAMETERS,
    make_optics,
    parameter_names,
    smooth_deflection,
    smooth_image,
)
from lenspinn.lensing.psf import gaussian_kernel
from lenspinn.simulate.render import Camera, render
from lenspinn.simulate.scene import Scene, SersicLight, SmoothLens

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
# Both round in float64, in another order.
SAME_OF_PEAK = 1e-10
# The series of the power law: twelve terms for an ellipticity of 0.11.
SHAPED_OF_PEAK = 1e-9


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


def _lens() -> SmoothLens:
    return SmoothLens(**{name: np.array([TYPICAL[name]]) for name in SMOOTH_PARAMETERS[:7]})


def _source() -> SersicLight:
    values = {"flux": 3.0, "R_sersic": 0.25, "n_sersic": 1.4}
    values |= {name: TYPICAL[f"source_{name}"] for name in ("e1", "e2")}
    values |= {f"center_{axis}": TYPICAL[f"source_{axis}"] for axis in "xy"}
    return SersicLight(**{name: np.array([value]) for name, value in values.items()})


def lopsided() -> torch.Tensor:
    kernel = torch.rand(5, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    return kernel / kernel.sum()


@pytest.mark.parametrize("supersampling", [1, 3])
@pytest.mark.parametrize("psf", ["gaussian", "kernel"])
def test_an_image_is_that_of_the_simulator(psf, supersampling, tmp_path):
    np.save(tmp_path / "psf.npy", lopsided().numpy())
    camera = Camera(
        num_pix=NUM_PIX,
        pixel_scale=PIXEL_SCALE,
        psf_fwhm=1.5 * PIXEL_SCALE,
        psf_kernel=str(tmp_path / "psf.npy") if psf == "kernel" else None,
        supersampling=supersampling,
    )
    scene = Scene(lens=_lens(), source=_source())
    expected = render(scene, camera, dtype=torch.float64)
    image = smooth_image(
        typical(), optics(lopsided() if psf == "kernel" else GAUSSIAN, supersampling)
    )
    image = image * (expected.sum() / image.sum())  # the simulator states the flux
    torch.testing.assert_close(image, expected, rtol=0, atol=SAME_OF_PEAK * expected.max().item())


def test_an_image_of_a_power_law_with_multipoles_is_that_of_the_simulator():
    lens = {name: getattr(_lens(), name) for name in SMOOTH_PARAMETERS[:7]}
    for m in (3, 4):
        along, across = SHAPE[f"a{m}"], SHAPE[f"b{m}"]
        lens |= {f"a{m}": np.array([math.hypot(along, across)])}
        lens |= {f"phi{m}": np.array([math.atan2(across, along) / m])}
    scene = Scene(lens=SmoothLens(**lens, gamma=np.array([SHAPE["gamma"]])), source=_source())
    camera = Camera(
        num_pix=NUM_PIX, pixel_scale=PIXEL_SCALE, psf_fwhm=1.5 * PIXEL_SCALE, supersampling=2
    )
    expected = render(scene, camera, dtype=torch.float64)
    image = smooth_image(shaped(), optics(supersampling=2))
    image = image * (expected.sum() / image.sum())
    torch.testing.assert_close(image, expected, rtol=0, atol=SHAPED_OF_PEAK * expected.max().item())


def test_the_shape_of_an_isothermal_ellipsoid_changes_nothing():
    plain = shaped(gamma=2.0, a3=0.0, b3=0.0, a4=0.0, b4=0.0)
    expected = smooth_image(typical(), optics())
    torch.testing.assert_close(
        smooth_image(plain, optics()), expected, rtol=0, atol=SHAPED_OF_PEAK * expected.max().item()
    )


def test_the_deflection_is_that_of_the_lens_equation():
    here = optics((1.0,))
    parameters = typical()
    alpha_x, alpha_y = smooth_deflection(parameters, here.theta_x, here.theta_y)
    unlensed = typical(theta_E=0.0, gamma1=0.0, gamma2=0.0)
    at_beta = here._replace(theta_x=here.theta_x - alpha_x[0], theta_y=here.theta_y - alpha_y[0])
    torch.testing.assert_close(smooth_image(unlensed, at_beta), smooth_image(parameters, here))
