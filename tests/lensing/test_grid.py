import pytest
import torch

from lenspinn.lensing import pixel_grid
from lenspinn.lensing.grid import block_mean


def test_centre_of_an_even_grid_lies_between_pixels():
    theta_x, _ = pixel_grid(4, 0.1, dtype=torch.float64)
    expected = torch.tensor([-0.15, -0.05, 0.05, 0.15], dtype=torch.float64)
    torch.testing.assert_close(theta_x[0], expected)


def test_centre_of_an_odd_grid_is_exactly_zero():
    theta_x, theta_y = pixel_grid(7, 0.101)
    assert theta_x[3, 3] == 0
    assert theta_y[3, 3] == 0


def test_columns_go_right_and_rows_go_up():
    theta_x, theta_y = pixel_grid(5, 0.1)
    assert (theta_x.diff(dim=1) > 0).all()
    assert (theta_x.diff(dim=0) == 0).all()
    assert (theta_y.diff(dim=0) > 0).all()
    assert (theta_y.diff(dim=1) == 0).all()


def test_default_is_single_precision():
    assert pixel_grid(3, 1.0)[0].dtype == torch.float32


@pytest.mark.parametrize(
    ("num_pix", "pixel_scale"), [(0, 0.1), (4, 0.0), (4, -1.0), (4, float("nan"))]
)
def test_grid_without_extent_is_refused(num_pix, pixel_scale):
    with pytest.raises(ValueError, match="pix"):
        pixel_grid(num_pix, pixel_scale)


def test_means_of_blocks_are_those_of_their_pixels():
    maps = torch.arange(2 * 4 * 6, dtype=torch.float64).view(2, 4, 6)
    means = block_mean(maps, 2)
    assert means.shape == (2, 2, 3)
    assert means[1, 1, 2] == maps[1, 2:, 4:].mean()
    torch.testing.assert_close(block_mean(maps, 1), maps)
