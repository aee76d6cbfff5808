import torch

from lenspinn import lensing

from .conftest import scalar


def test_shear_has_no_convergence():
    theta_x, theta_y = lensing.pixel_grid(5, 0.3, dtype=torch.float64)
    assert (lensing.convergence_shear(theta_x, theta_y, scalar(1.0), scalar(1.0)) == 0).all()


def test_shear_stretches_along_its_direction():
    x, y = scalar(2.0), scalar(3.0)
    alpha = lensing.deflection_shear(x, y, scalar(0.1), scalar(0.01))
    expected = 0.1 * x + 0.01 * y, 0.01 * x - 0.1 * y
    torch.testing.assert_close(alpha, expected)
