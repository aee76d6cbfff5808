import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from lenspinn import lensing

from .conftest import checked, position, scalar

# 30 terms of the series leave e^30.
SERIES_AT_0_5 = 1e-8


@checked
@given(at=position(), e1=st.floats(-0.35, 0.35), e2=st.floats(-0.35, 0.35))
def test_the_isothermal_power_law_is_the_sie(at, e1, e2):
    shape = scalar(0.9), scalar(e1), scalar(e2)
    power_law = lensing.deflection_epl(*at, shape[0], scalar(2.0), *shape[1:])
    torch.testing.assert_close(
        power_law, lensing.deflection_sie(*at, *shape), rtol=0, atol=SERIES_AT_0_5
    )


def test_a_round_power_law_deflects_as_a_power_of_radius():
    x, theta_E, gamma = torch.linspace(0.1, 3, 20, dtype=torch.float64)[None], 1.2, 2.3
    alpha_x, alpha_y = lensing.deflection_epl(
        x, 0 * x, scalar(theta_E), scalar(gamma), scalar(0.0), scalar(0.0)
    )
    expected = theta_E * (x / theta_E) ** (2 - gamma)
    torch.testing.assert_close(alpha_x, expected, rtol=1e-8, atol=0)
    torch.testing.assert_close(alpha_y, 0 * x, rtol=0, atol=1e-8)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_the_centre_is_not_deflected(dtype):
    centre = torch.zeros(1, 1, dtype=dtype)
    shape = [scalar(value, dtype) for value in (1.0, 2.2, 0.1, 0.0)]
    assert [a.item() for a in lensing.deflection_epl(centre, centre, *shape)] == [0.0, 0.0]
