import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from lenspinn import lensing

from .conftest import ROUNDING, checked, position, scalar


@checked
@given(at=position(), theta_E=st.floats(0.01, 3.0))
def test_point_mass_deflects_by_theta_E_squared_over_radius(at, theta_E):
    alpha = torch.hypot(*lensing.deflection_point_mass(*at, scalar(theta_E)))
    torch.testing.assert_close(alpha, theta_E**2 / torch.hypot(*at))


def test_mean_convergence_inside_theta_E_is_one():
    theta_E = scalar(0.8)
    alpha, _ = lensing.deflection_point_mass(theta_E, scalar(0.0), theta_E)
    # By Gauss' theorem alpha / theta is the mean convergence of an axisymmetric lens.
    assert (alpha / theta_E).item() == pytest.approx(1.0, rel=ROUNDING)


def test_point_mass_has_no_convergence():
    theta_x, theta_y = lensing.pixel_grid(5, 0.3, dtype=torch.float64)
    assert (lensing.convergence_point_mass(theta_x, theta_y, scalar(1.0)) == 0).all()
