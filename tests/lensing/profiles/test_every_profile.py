"""What holds for every profile."""

import json
import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from lenstronomy.LensModel.lens_model import LensModel

from lenspinn import lensing

from .conftest import (
    EXACT_PARITY,
    PARITY,
    PROFILES,
    ROUNDING,
    checked,
    parameters_of,
    position,
    rotate,
    scalar,
    typical,
)

SIE_CORE = 1e-10  # Arcsec: that of lenstronomy's SIE, and so an absolute tolerance.
SINGLE_PRECISION = 1e-5  # Relative.

every_profile = pytest.mark.parametrize("profile", PROFILES.values(), ids=PROFILES.keys())


def jacobian(profile, x, y, parameters):
    """Rows (d alpha_x / d theta, d alpha_y / d theta) by autograd, as floats."""
    x, y = x.clone().requires_grad_(), y.clone().requires_grad_()
    return [
        [part.item() for part in torch.autograd.grad(component, (x, y), retain_graph=True)]
        for component in profile.deflection(x, y, **parameters)
    ]


def reference_cases(shared_data, model):
    file = shared_data / "peer_reference" / "lenstronomy_profiles.json"
    for case in json.loads(file.read_text())["profiles"]:
        if case["model"] != model:
            continue
        kwargs = dict(case["kwargs"])
        x0, y0 = kwargs.pop("center_x", 0.0), kwargs.pop("center_y", 0.0)
        kwargs.pop("ra_0", None), kwargs.pop("dec_0", None)
        columns = {k: np.array(case[k]) for k in ("potential", "alpha_x", "alpha_y", "kappa")}
        x, y = (torch.tensor([case[k]], dtype=torch.float64) for k in ("x", "y"))
        yield x - x0, y - y0, {k: scalar(v) for k, v in kwargs.items()}, columns


@every_profile
def test_deflection_and_potential_agree_with_the_stored_reference(profile, shared_data):
    cases = list(reference_cases(shared_data, profile.lenstronomy))
    assert cases
    for x, y, parameters, expected in cases:
        alpha_x, alpha_y = profile.deflection(x, y, **parameters)
        potential = profile.potential(x, y, **parameters)
        np.testing.assert_allclose(alpha_x[0], expected["alpha_x"], rtol=PARITY, atol=0)
        np.testing.assert_allclose(alpha_y[0], expected["alpha_y"], rtol=PARITY, atol=0)
        np.testing.assert_allclose(potential[0], expected["potential"], rtol=PARITY, atol=0)


@every_profile
def test_convergence_agrees_with_the_stored_reference(profile, shared_data):
    # lenstronomy takes the convergence of its SIE from finite differences 1e-10 arcsec apart.
    rtol = 2e-5 if profile.lenstronomy == "SIE" else PARITY
    for x, y, parameters, expected in reference_cases(shared_data, profile.lenstronomy):
        convergence = profile.convergence(x, y, **parameters)
        np.testing.assert_allclose(convergence[0], expected["kappa"], rtol=rtol, atol=0)


@every_profile
def test_random_lenses_agree_with_lenstronomy(profile):
    rng = np.random.default_rng(7)
    x, y = rng.uniform(-2.5, 2.5, (2, 40))
    theta_x, theta_y = torch.from_numpy(x)[None], torch.from_numpy(y)[None]
    model = LensModel([profile.lenstronomy])
    for _ in range(20):
        kwargs = {name: rng.uniform(*span) for name, span in profile.ranges.items()}
        parameters = {name: scalar(value) for name, value in kwargs.items()}
        alpha = torch.cat(profile.deflection(theta_x, theta_y, **parameters))
        potential = profile.potential(theta_x, theta_y, **parameters)
        np.testing.assert_allclose(alpha, model.alpha(x, y, [kwargs]), EXACT_PARITY, SIE_CORE)
        np.testing.assert_allclose(
            potential[0], model.potential(x, y, [kwargs]), EXACT_PARITY, SIE_CORE
        )


@every_profile
@checked
@given(data=st.data())
def test_deflection_is_the_gradient_of_the_potential(profile, data):
    x, y = (value.requires_grad_() for value in data.draw(position()))
    parameters = data.draw(parameters_of(profile))
    gradient = torch.cat(torch.autograd.grad(profile.potential(x, y, **parameters), (x, y)))
    alpha = torch.cat(profile.deflection(x, y, **parameters))
    torch.testing.assert_close(gradient, alpha, rtol=1e-8, atol=1e-10)


@every_profile
@checked
@given(data=st.data())
def test_convergence_is_half_the_divergence_and_the_curl_is_zero(profile, data):
    (x, y), parameters = data.draw(position()), data.draw(parameters_of(profile))
    (xx, xy), (yx, yy) = jacobian(profile, x, y, parameters)
    size = abs(xx) + abs(yy) + abs(xy)
    convergence = profile.convergence(x, y, **parameters).item()
    assert (xx + yy) / 2 == pytest.approx(convergence, rel=1e-8, abs=1e-8 * size)
    assert xy == pytest.approx(yx, rel=1e-8, abs=1e-8 * size)


@every_profile
@checked
@given(data=st.data(), angle=st.floats(-math.pi, math.pi))
def test_rotating_the_lensrotates_the_deflection(profile, data, angle):
    (x, y), parameters = data.draw(position()), data.draw(parameters_of(profile))
    turned = dict(parameters)
    for first, second in (("e1", "e2"), ("gamma1", "gamma2")):
        if first in parameters:
            turned[first], turned[second] = rotate(parameters[first], parameters[second], 2 * angle)
    expected = rotate(*profile.deflection(x, y, **parameters), angle)
    alpha = profile.deflection(*rotate(x, y, angle), **turned)
    torch.testing.assert_close(alpha, expected, rtol=1e-8, atol=1e-10)


@pytest.mark.parametrize(
    ("name", "strength", "factor"),
    [
        ("point_mass", "theta_E", 3**0.5),
        ("sis", "theta_E", 3),
        ("sie", "theta_E", 3),
        ("tnfw", "alpha_Rs", 3),
        ("shear", "gamma1", 3),
    ],
)
@checked
@given(data=st.data())
def test_three_times_the_mass_deflects_three_times_as_much(name, strength, factor, data):
    profile = PROFILES[name]
    at, parameters = data.draw(position()), data.draw(parameters_of(profile))
    if name == "shear":
        parameters["gamma2"] = scalar(0.0)
    once = torch.cat(profile.deflection(*at, **parameters))
    parameters[strength] = factor * parameters[strength]
    thrice = torch.cat(profile.deflection(*at, **parameters))
    torch.testing.assert_close(thrice, 3 * once, rtol=ROUNDING, atol=1e-15)


@pytest.mark.parametrize("name", ["point_mass", "sis", "sie"])
def test_lens_of_zero_theta_E_deflects_nothing(name):
    theta_x, theta_y = lensing.pixel_grid(9, 0.2, dtype=torch.float64)
    parameters = {key: scalar(0.1) for key in PROFILES[name].ranges} | {"theta_E": scalar(0.0)}
    for component in PROFILES[name].deflection(theta_x, theta_y, **parameters):
        assert (component == 0).all()


@every_profile
def test_deflection_is_zero_at_the_centre(profile):
    for dtype in (torch.float32, torch.float64):
        zero = scalar(0.0, dtype)
        for component in profile.deflection(zero, zero, **typical(profile, dtype)):
            assert component.item() == 0


@every_profile
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("is_round", [True, False])
def test_values_and_gradients_are_finite_on_a_grid_with_its_centre(profile, dtype, is_round):
    theta_x, theta_y = (t.requires_grad_() for t in lensing.pixel_grid(9, 0.1, dtype=dtype))
    parameters = typical(profile, dtype)
    if is_round:
        parameters |= {name: scalar(0.0, dtype) for name in ("e1", "e2") if name in parameters}
    leaves = [theta_x, theta_y, *(p.requires_grad_() for p in parameters.values())]
    outputs = [
        *profile.deflection(theta_x, theta_y, **parameters),
        profile.potential(theta_x, theta_y, **parameters),
        profile.convergence(theta_x, theta_y, **parameters),
    ]
    for output in outputs:
        assert output.isfinite().all()
        if not output.requires_grad:
            continue  # The constant convergence of a point mass or of a shear.
        gradients = torch.autograd.grad(
            output.sum(), leaves, retain_graph=True, materialize_grads=True
        )
        assert all(gradient.isfinite().all() for gradient in gradients)


@every_profile
def test_gradient_in_every_parameter_is_the_finite_difference(profile):
    theta_x, theta_y = lensing.pixel_grid(4, 0.3, dtype=torch.float64)
    parameters = [value.requires_grad_() for value in typical(profile).values()]
    assert torch.autograd.gradcheck(
        lambda *values: profile.deflection(theta_x, theta_y, *values), parameters
    )


@every_profile
def test_one_grid_broadcasts_over_a_batch_of_lenses(profile):
    theta_x, theta_y = lensing.pixel_grid(6, 0.2, dtype=torch.float64)
    scale = torch.tensor([0.5, 1.0, 1.5], dtype=torch.float64)[:, None, None]
    batch = {name: value * scale for name, value in typical(profile).items()}
    together = profile.deflection(theta_x, theta_y, **batch)
    alone = profile.deflection(theta_x, theta_y, **typical(profile))
    for ours, expected in zip(together, alone, strict=True):
        assert ours.shape == (3, 6, 6)
        torch.testing.assert_close(ours[1], expected, rtol=ROUNDING, atol=0)


@every_profile
def test_single_precision_keeps_five_digits(profile):
    # An offset of a power of two keeps pixels off the axes, and positions exact in both precisions.
    theta_x, theta_y = (t + 2**-6 for t in lensing.pixel_grid(64, 2**-4, dtype=torch.float32))
    single = profile.deflection(theta_x, theta_y, **typical(profile, torch.float32))
    parameters = {name: value.double() for name, value in typical(profile, torch.float32).items()}
    double = profile.deflection(theta_x.double(), theta_y.double(), **parameters)
    size = torch.hypot(*double)
    for ours, expected in zip(single, double, strict=True):
        assert ((ours.double() - expected).abs() / size).max() < SINGLE_PRECISION
