import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from lenspinn import lensing

from .conftest import checked, position, rotate, scalar

ROD = (-0.5, 0.2, 0.9, -0.4)
# Relative to the largest deflection around: near the ends of a long rod 1 - 2 a u / (r^2 + a^2)
# cancels.
FLOAT32 = 2e-4


def ends(x0, y0, x1, y1, dtype=torch.float64):
    return [scalar(value, dtype) for value in (x0, y0, x1, y1)]


@checked
@given(at=position())
def test_a_rod_is_many_point_masses(at):
    (x0, y0, x1, y1), num = ROD, 200_000
    s = (torch.arange(num, dtype=torch.float64) + 0.5) / num
    x, y = x0 + s * (x1 - x0), y0 + s * (y1 - y0)
    dx, dy = at[0] - x, at[1] - y
    squared = dx.square() + dy.square()
    expected = 0.3**2 * (dx / squared).mean(), 0.3**2 * (dy / squared).mean()
    distance = squared.min().sqrt()
    alpha = lensing.deflection_rod(*at, *ends(*ROD), scalar(0.3))
    # The midpoint rule leaves (spacing / distance)^2 of the deflection of the nearest point.
    tolerance = 1e-9 + 0.09 * (1.6 / num / distance.item()) ** 2 / distance.item()
    for component, value in zip(alpha, expected, strict=True):
        assert component.item() == pytest.approx(value.item(), abs=tolerance)


@checked
@given(at=position(), length=st.floats(0.0, 1e-7), angle=st.floats(0.0, 6.3))
def test_a_short_rod_is_a_point_mass(at, length, angle):
    x, y = length / 2 * math.cos(angle), length / 2 * math.sin(angle)
    rod = ends(-x, -y, x, y)
    alpha = lensing.deflection_rod(*at, *rod, scalar(0.3))
    point = lensing.deflection_point_mass(*at, scalar(0.3))
    torch.testing.assert_close(alpha, point, rtol=1e-5, atol=1e-9)


def test_the_flux_of_the_deflection_is_the_mass():
    t = torch.linspace(0, 2 * math.pi, 2001, dtype=torch.float64)[None, :-1]
    radius = 2.0
    x, y = radius * torch.cos(t), radius * torch.sin(t)
    alpha_x, alpha_y = lensing.deflection_rod(x, y, *ends(*ROD), scalar(0.3))
    outward = (alpha_x * torch.cos(t) + alpha_y * torch.sin(t)).mean() * 2 * math.pi * radius
    assert outward.item() == pytest.approx(2 * math.pi * 0.3**2, rel=1e-12)


@checked
@given(at=position())
def test_deflection_is_the_gradient_of_the_potential(at):
    x, y = (value.requires_grad_() for value in at)
    gradient = torch.autograd.grad(lensing.potential_rod(x, y, *ends(*ROD), scalar(0.3)), (x, y))
    alpha = lensing.deflection_rod(x, y, *ends(*ROD), scalar(0.3))
    torch.testing.assert_close(gradient, alpha, rtol=1e-7, atol=1e-10)


@checked
@given(at=position(), angle=st.floats(-3.0, 3.0))
def test_rotating_the_rod_rotates_the_deflection(at, angle):
    alpha = lensing.deflection_rod(*at, *ends(*ROD), scalar(0.3))
    turned = [*rotate(*ROD[:2], angle), *rotate(*ROD[2:], angle)]
    there = lensing.deflection_rod(*rotate(*at, angle), *ends(*turned), scalar(0.3))
    torch.testing.assert_close(there, rotate(*alpha, angle), rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("at", [(0.0, 0.0), (0.3, 0.0), (-0.5, 0.0), (0.5, 0.0)])
def test_on_the_rod_and_at_its_ends_all_is_finite(dtype, at):
    values = [*at, -0.5, 0.0, 0.5, 0.0, 0.3]
    inputs = [scalar(value, dtype).requires_grad_() for value in values]
    alpha = lensing.deflection_rod(*inputs)
    assert alpha[1].item() == 0.0
    gradient = torch.autograd.grad(sum(alpha).sum(), inputs)
    assert all(torch.isfinite(value).all() for value in (*alpha, *gradient))


@pytest.mark.parametrize("length", [1e-4, 0.1, 6.0])
def test_float32_is_enough(length):
    theta_x, theta_y = lensing.pixel_grid(64, 0.08, dtype=torch.float64)
    rod = (-0.3 * length, -0.4 * length, 0.3 * length, 0.4 * length)
    exact = torch.stack(lensing.deflection_rod(theta_x, theta_y, *ends(*rod), scalar(0.3)))
    single = torch.stack(
        lensing.deflection_rod(
            theta_x.float(), theta_y.float(), *ends(*rod, torch.float32), scalar(0.3, torch.float32)
        )
    )
    assert (single - exact).abs().max() <= FLOAT32 * exact.abs().max()


def test_unused_places_deflect_nothing():
    theta_x, theta_y = lensing.pixel_grid(5, 0.5, dtype=torch.float64)
    alpha = lensing.deflection_rod(theta_x, theta_y, *ends(0.0, 0.0, 1.0, 0.0), scalar(0.0))
    assert not torch.stack(alpha).any()
