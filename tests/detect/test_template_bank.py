import numpy as np
import pytest
import torch

from lenspinn.detect.mock_noise import noise_of_residual
from lenspinn.detect.mocks import MockMaker
from lenspinn.detect.subhalo import Subhalo
from lenspinn.detect.template_bank import MASSES, apart_from_free, changes_by

ACCURACY = 0.1
"""Share of a change by which one that is interpolated in a table and sampled more coarsely may
differ."""


def test_places_cover_the_region(bank, lens):
    shown = bank.as_map(np.arange(len(bank.x), dtype=float))
    assert np.array_equal(np.isfinite(shown), lens.region)
    rows, columns = (each.astype(int) for each in (bank.rows, bank.columns))
    assert np.array_equal(shown[rows, columns], np.arange(len(bank.x)))


@pytest.mark.parametrize("mass", MASSES)
def test_a_change_is_that_of_the_model(lens, bank, solution, mass):
    noise = noise_of_residual(solution.residual[0].double().numpy(), ~lens.arcs)
    maker = MockMaker(bank=bank, solution=solution, noise=noise)
    x, y = bank.x[len(bank.x) // 3], bank.y[len(bank.x) // 3]
    exact = maker.change_by(Subhalo(profile="point", x=float(x), y=float(y), mass=mass))
    exact = (exact / lens.sigma).flatten()
    change = changes_by(lens, solution, np.array([[x, y, mass]]))[0]
    assert (change - exact).norm() < ACCURACY * exact.norm()


def test_a_change_is_not_linear_in_a_heavy_mass(lens, bank, solution):
    place = (bank.x[len(bank.x) // 3], bank.y[len(bank.x) // 3])
    light, heavy = changes_by(lens, solution, np.array([[*place, MASSES[0]], [*place, MASSES[-1]]]))
    scaled = light * MASSES[-1] / MASSES[0]
    assert (heavy - scaled).norm() > 0.3 * scaled.norm()


def test_templates_have_no_part_that_sky_imitates(lens, bank):
    sky = (1 / lens.sigma).flatten()
    seen = bank.unit[torch.from_numpy(bank.length.flatten() > 1)]
    assert (seen @ (sky / sky.norm())).abs().max() < 0.01


def test_what_free_parameters_imitate_of_a_change_is_taken_away(lens, bank, solution):
    place = (bank.x[len(bank.x) // 3], bank.y[len(bank.x) // 3])
    change = changes_by(lens, solution, np.array([[*place, MASSES[1]]]))
    assert apart_from_free(change, solution).norm() < 0.9 * change.norm()


def test_noise_has_a_significance_of_1(bank, solution):
    noise = torch.randn(
        200, *solution.residual.shape[1:], generator=torch.Generator().manual_seed(4)
    )
    scores = noise.flatten(1) @ bank.unit.T
    assert scores.std(dim=0).mean() == pytest.approx(1.0, abs=0.05)
