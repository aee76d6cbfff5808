import numpy as np
import torch

from lenspinn.detect.dark_solution import deflection_lopsided, solve
from lenspinn.detect.mock_noise import noise_of_residual
from lenspinn.detect.mocks import MockMaker
from lenspinn.detect.subhalo import Subhalo
from lenspinn.lensing.grid import pixel_grid


def test_a_lens_without_clumps_is_explained(solution):
    chi2 = float(solution.found.smooth.chi2 / solution.found.freedom)
    assert 0.85 < chi2 < 1.15
    assert float(solution.scan.significance.amax()) < 5.5  # of 2,500 pixels, correlated


def test_a_clump_is_where_the_scan_is_highest(lens, bank, solution):
    blank = np.zeros(lens.image.shape[1:], dtype=bool)
    maker = MockMaker(bank=bank, solution=solution, noise=noise_of_residual(blank * 1.0, blank))
    rows, columns = np.nonzero(lens.arcs)
    at = len(rows) // 3
    middle = (lens.image.shape[-1] - 1) / 2
    x, y = ((each[at] - middle) * lens.pixel_scale for each in (columns, rows))
    clump = Subhalo(profile="point", x=float(x), y=float(y), mass=0.02)
    found = solve(lens, maker.draw(1, 3, [clump])).scan.significance[0]
    row, column = np.unravel_index(int(found.argmax()), found.shape)
    assert float(found.amax()) > 8
    distance = np.hypot(row - rows[at], column - columns[at]) * lens.pixel_scale
    assert distance < 0.25


def test_images_are_solved_together_as_alone(lens, solution):
    both = solve(lens, torch.cat([lens.image, lens.image.flip(1)]))
    assert torch.allclose(both.scan.significance[0], solution.scan.significance[0], atol=0.05)
    assert torch.allclose(both.residual[0], solution.residual[0], atol=0.05)


def test_the_multipole_of_order_1_is_a_gradient_with_its_convergence():
    x, y = pixel_grid(40, 0.05, dtype=torch.float64)
    x, y = (x + 2.0).requires_grad_(), (y - 0.7).requires_grad_()
    radius = torch.hypot(x, y)
    bends = deflection_lopsided(x, y)
    for (alpha_x, alpha_y), along in zip(bends, (x, y), strict=True):
        (xx, xy) = torch.autograd.grad(alpha_x.sum(), (x, y), retain_graph=True)
        (yx, yy) = torch.autograd.grad(alpha_y.sum(), (x, y), retain_graph=True)
        assert torch.allclose(xy, yx, atol=1e-12)
        kappa = along / radius / (2 * radius)
        assert torch.allclose((xx + yy) / 2, kappa, atol=1e-12)
