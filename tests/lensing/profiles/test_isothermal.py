import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from lenstronomy.LensModel.lens_model import LensModel

from lenspinn import lensing

from .conftest import EXACT_PARITY, ROUNDING, checked, position, rotate, scalar


@checked
@given(at=position(), theta_E=st.floats(0.01, 3.0))
def test_sis_deflects_by_theta_E_everywhere(at, theta_E):
    assert torch.hypot(*lensing.deflection_sis(*at, scalar(theta_E))).item() == pytest.approx(
        theta_E, rel=ROUNDING
    )


@checked
@given(at=position(), theta_E=st.floats(0.01, 3.0))
def test_sis_convergence_falls_as_one_over_radius(at, theta_E):
    expected = theta_E / (2 * torch.hypot(*at))
    torch.testing.assert_close(lensing.convergence_sis(*at, scalar(theta_E)), expected)


@checked
@given(at=position(), e=st.floats(0.0, 1e-9), angle=st.floats(0.0, 2 * math.pi))
def test_sie_with_q_near_one_is_sis(at, e, angle):
    theta_E = scalar(1.3)
    nearly_round = scalar(e * math.cos(angle)), scalar(e * math.sin(angle))
    alpha = torch.cat(lensing.deflection_sie(*at, theta_E, *nearly_round))
    sphere = torch.cat(lensing.deflection_sis(*at, theta_E))
    torch.testing.assert_close(alpha, sphere, rtol=0, atol=5e-9)  # Of the order of e itself.


def test_sie_convergence_agrees_with_the_power_law_of_lenstronomy():
    # EPL with an isothermal slope is the same lens, and its convergence is in closed form there.
    rng = np.random.default_rng(8)
    x, y = rng.uniform(-2.5, 2.5, (2, 200))
    kwargs = {"theta_E": 1.2, "e1": 0.2, "e2": -0.3}
    expected = LensModel(["EPL"]).kappa(x, y, [{**kwargs, "gamma": 2.0}])
    ours = lensing.convergence_sie(
        torch.from_numpy(x)[None],
        torch.from_numpy(y)[None],
        **{name: scalar(value) for name, value in kwargs.items()},
    )
    np.testing.assert_allclose(ours[0], expected, rtol=EXACT_PARITY)


def test_mean_sie_convergence_inside_its_critical_ellipse_is_one():
    q, phi, theta_E = 0.6, 0.4, 0.9
    # The trapezoid rule on a closed smooth curve converges exponentially.
    t = torch.linspace(0, 2 * math.pi, 401, dtype=torch.float64)[None, :-1]
    a, b = theta_E / math.sqrt(q), theta_E * math.sqrt(q)
    x, y = rotate(a * torch.cos(t), b * torch.sin(t), phi)
    normal_x, normal_y = rotate(b * torch.cos(t), a * torch.sin(t), phi)
    ellipticity = lensing.axis_ratio_to_ellipticity(scalar(q), scalar(phi))
    alpha_x, alpha_y = lensing.deflection_sie(x, y, scalar(theta_E), *ellipticity)
    flux = (alpha_x * normal_x + alpha_y * normal_y).mean() * 2 * math.pi
    assert flux.item() / 2 == pytest.approx(math.pi * theta_E**2, rel=ROUNDING)


def test_gradient_of_a_round_sie_in_its_ellipticity_is_right():
    theta_x, theta_y = lensing.pixel_grid(5, 0.31, dtype=torch.float64)

    def deflection(e1, e2):
        return lensing.deflection_sie(theta_x, theta_y, scalar(1.0), scalar(e1), scalar(e2))

    step = 1e-4
    for index in (0, 1):
        ellipticity = [scalar(0.0), scalar(0.0)]
        tangent = [scalar(0.0), scalar(0.0)]
        tangent[index] = scalar(1.0)
        _, derivative = torch.autograd.functional.jvp(
            lambda e1, e2: lensing.deflection_sie(theta_x, theta_y, scalar(1.0), e1, e2),
            tuple(ellipticity),
            tuple(tangent),
        )
        after, before = ([sign * step * (i == index) for i in (0, 1)] for sign in (1, -1))
        for ours, high, low in zip(
            derivative, deflection(*after), deflection(*before), strict=True
        ):
            torch.testing.assert_close(ours, (high - low) / (2 * step), rtol=0, atol=1e-5)


def test_mean_convergence_of_an_sis_inside_theta_E_is_one():
    theta_E = scalar(0.8)
    alpha, _ = lensing.deflection_sis(theta_E, scalar(0.0), theta_E)
    # By Gauss' theorem alpha / theta is the mean convergence of an axisymmetric lens.
    assert (alpha / theta_E).item() == pytest.approx(1.0, rel=ROUNDING)
