from dataclasses import replace

import numpy as np
import torch

from lenspinn.detect.dark_solution import solve
from lenspinn.detect.mock_noise import noise_of_residual
from lenspinn.detect.mocks import MockMaker, _Clumps, mock_maker
from lenspinn.detect.subhalo import Subhalo
from lenspinn.detect.template_bank import make_bank


def noise_of(lens, solution):
    return noise_of_residual(solution.residual[0].double().numpy(), ~lens.arcs)


def test_a_smooth_image_gets_mocks_that_are_about_as_smooth(lens, bank, solution):
    maker = mock_maker(bank, solution, seed=1)
    assert abs(maker.noise.scale - 1) < 0.1
    left = bank.roughness_left(solve(lens, maker.draw(8, 2)))
    assert abs(np.median(left) / bank.roughness_left(solution)[0] - 1) < 0.3


def test_a_rough_image_gets_mocks_that_are_about_as_rough(lens, bank, solution):
    smooth = mock_maker(bank, solution, seed=1)
    images = replace(smooth, share=0.9).draw(1, 30)
    rough = solve(lens, images)
    assert bank.roughness_left(rough)[0] > 1.3 * bank.roughness_left(solution)[0]
    other = make_bank(replace(lens, image=images), rough)
    maker = mock_maker(other, rough, seed=1)
    left = other.roughness_left(solve(lens, maker.draw(8, 2)))
    assert 0.5 < np.median(left) / other.roughness_left(rough)[0] < 2


def test_clumps_are_as_bright_beside_the_source_in_its_outskirts_as_in_its_middle(solution):
    clumps = _Clumps.drawn(np.random.default_rng(3), solution, 50)
    at = (each.reshape(1, 1, -1) for each in (clumps.x, clumps.y))
    ratio = clumps.peak / solution.brightness(*at).flatten()
    assert ratio.max() < 1.2 * ratio.min()


def test_a_mock_is_a_function_of_seed_and_number(lens, bank, solution):
    maker = MockMaker(bank=bank, solution=solution, noise=noise_of(lens, solution), share=0.3)
    assert torch.equal(maker.draw(3, 5)[:2], maker.draw(2, 5))
    assert not torch.equal(maker.draw(1, 5), maker.draw(1, 6))


def test_a_clump_changes_its_mock_and_nothing_else_does(lens, bank, solution):
    maker = MockMaker(bank=bank, solution=solution, noise=noise_of(lens, solution))
    none = Subhalo(profile="point", x=1.0, y=0.1, mass=0.0)
    clump = replace(none, mass=0.01)
    plain, with_none, with_clump = (
        maker.draw(1, 5, subhalos) for subhalos in (None, [none], [clump])
    )
    assert torch.allclose(plain, with_none, atol=1e-5)
    assert (plain - with_clump).abs().max() > 5 * 0.02


def test_what_a_clump_changes_of_the_model_is_what_it_changes_of_a_mock_without_roughness(
    lens, bank, solution
):
    maker = MockMaker(bank=bank, solution=solution, noise=noise_of(lens, solution))
    clump = Subhalo(profile="point", x=1.0, y=0.1, mass=0.01)
    change = maker.draw(1, 5, [clump]) - maker.draw(1, 5)
    assert torch.allclose(maker.change_by(clump), change, atol=1e-5)
    assert torch.equal(replace(maker, share=0.5).change_by(clump), maker.change_by(clump))
