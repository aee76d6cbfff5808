import pytest
import torch

from lenspinn.fitting.gaussians import (
    GAUSSIANS,
    NUM_LIGHT_TEMPLATES,
    gaussian_sizes,
    light_templates,
)
from lenspinn.lensing import sersic
from lenspinn.lensing.grid import pixel_grid

SIDE, SCALE = 41, 0.1
# Root mean square, of the brightness of a galaxy outside of its cusp.
SHAPE_TOLERANCE = 0.02
SHAPE = torch.tensor([[0.05, -0.1, 0.1, 0.05, -0.2, 0.1]], dtype=torch.float64)


def test_there_are_two_groups_and_the_sky():
    templates = light_templates(SHAPE, SIDE, SCALE)[0]
    assert templates.shape == (NUM_LIGHT_TEMPLATES, SIDE, SIDE) == (2 * GAUSSIANS + 1, SIDE, SIDE)
    assert (templates[-1] == 1).all()


def test_they_are_centred_and_turned_as_told():
    x, y = pixel_grid(SIDE, SCALE, dtype=torch.float64)
    light = light_templates(SHAPE, SIDE, SCALE)[0, GAUSSIANS // 2]
    dx, dy = x - SHAPE[0, 0], y - SHAPE[0, 1]
    quadrupole = ((dx**2 - dy**2) * light).sum(), (2 * dx * dy * light).sum()
    size = ((dx**2 + dy**2) * light).sum()
    assert (x * light).sum() / light.sum() == pytest.approx(0.05, abs=1e-3)
    assert (y * light).sum() / light.sum() == pytest.approx(-0.1, abs=1e-3)
    # Of axes ratio q = (1 - e) / (1 + e): (1 - q^2) / (1 + q^2) = 2 e / (1 + e^2).
    e = SHAPE[0, 2:4]
    expected = 2 * e / (1 + e.square().sum())
    assert [float(q / size) for q in quadrupole] == pytest.approx(expected.tolist(), abs=2e-3)


def test_a_sum_of_them_takes_the_shape_of_a_galaxy():
    x, y = pixel_grid(SIDE, SCALE, dtype=torch.float64)
    e1, e2 = SHAPE[0, 2:4].tolist()
    galaxy = sersic(
        x, y, amplitude=1.0, R_sersic=0.8, n_sersic=3.0, e1=e1, e2=e2, center_x=0.0, center_y=0.0
    )
    shape = torch.tensor([[0, 0, e1, e2, e1, e2]], dtype=torch.float64)
    templates = light_templates(shape, SIDE, SCALE)[0].flatten(1)
    weight = 1 / galaxy.flatten()
    found = torch.linalg.lstsq((templates * weight).T, galaxy.flatten() * weight).solution
    off = (found @ templates - galaxy.flatten()).abs() * weight
    outside = (torch.hypot(x, y) > 2 * SCALE).flatten()
    assert off[outside].square().mean().sqrt() <= SHAPE_TOLERANCE


def test_their_sizes_are_those_of_their_second_moments():
    sizes = gaussian_sizes(SIDE)
    x, y = pixel_grid(SIDE, SCALE, dtype=torch.float64)
    templates = light_templates(torch.zeros(1, 6, dtype=torch.float64), SIDE, SCALE)[0]
    for i in (2, 4):
        variance = (templates[i] * (x**2 + y**2)).sum() / templates[i].sum() / 2
        assert SCALE * sizes[i] == pytest.approx(float(variance.sqrt()), rel=0.01)
