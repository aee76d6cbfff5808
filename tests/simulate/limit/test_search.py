import math

import numpy as np
import pytest
import torch

from lenspinn.fitting.scan import PointMassScan
from lenspinn.lensing import pixel_grid
from lenspinn.simulate import get_recipe
from lenspinn.simulate.limit.lenses import draw_lenses, visibility
from lenspinn.simulate.limit.search import (
    RING,
    SubhaloPrior,
    Templates,
    log_evidence,
    searching_confusion,
    subhalo_prior,
)

PIXEL = 0.1
SIDE = 12
# Of a mean over the draws of a test, in its standard errors.
SIGMAS = 4.0


def prior(strength, number, density):
    columns = (torch.tensor(values, dtype=torch.float64) for values in (strength, number, density))
    return SubhaloPrior("cdm", *columns)


def templates(by_source, radius, basis=None):
    if basis is None:
        basis = torch.zeros(len(by_source), 1, *by_source.shape[2:], dtype=torch.float64)
    return Templates(by_source, basis, radius, PIXEL)


def one_pixel(significance, error, radius=0.0):
    def value(number):
        return torch.full((1, 1, 1), number, dtype=torch.float64)

    scan = PointMassScan(value(significance), value(error))
    return scan, templates(torch.zeros(1, 2, 1, 1, dtype=torch.float64), value(radius))


@pytest.fixture(scope="module")
def survey():
    return subhalo_prior(get_recipe("survey/hst"))


@pytest.mark.parametrize("significance", [-1.0, 2.0, 5.0])
def test_one_place_and_mass_is_a_plain_ratio(significance):
    """n (exp(t s - t^2 F / 2) - 1), with 1 added under the logarithm where it is above 0."""
    scan, there = one_pixel(significance, 0.5)
    number = 0.01 * 3.0 * PIXEL**2
    excess = number * (math.exp(2.0 * significance - 2.0) - 1)
    expected = math.log1p(excess) if excess > 0 else excess
    found = log_evidence(scan, prior([1.0], [0.01], [3.0]), there)
    assert found.item() == pytest.approx(expected, rel=1e-9)


def test_no_subhalo_is_found_where_there_are_none():
    scan, there = one_pixel(9.0, 0.5, radius=3 * RING)
    assert log_evidence(scan, prior([1.0], [1.0], [3.0]), there).item() == 0


def test_certainty_does_not_overflow():
    scan, there = one_pixel(1e3, 1e-3)
    found = log_evidence(scan, prior([1.0], [1.0], [1.0]), there).item()
    assert found == pytest.approx(1e6 - 5e5 + math.log(PIXEL**2), rel=1e-9)


def test_the_prior_is_that_of_the_population(survey):
    population = get_recipe("survey/hst").populations["cdm"]
    assert survey.name == "cdm"
    assert survey.number.sum().item() == pytest.approx(population.mean_number, rel=1e-3)
    edges = torch.arange(len(survey.density) + 1, dtype=torch.float64) * RING
    area = math.pi * (edges[1:] ** 2 - edges[:-1] ** 2)
    assert (survey.density * area).sum().item() == pytest.approx(1.0)
    inside = edges[1:] <= population.radius.low
    assert (survey.density[inside] == 0).all()
    low, high = 1e6, 1e10
    mean_mass = (high**0.1 - low**0.1) / 0.1 / ((low**-0.9 - high**-0.9) / 0.9)
    mean = (survey.number * survey.strength).sum() / survey.number.sum()
    unit = get_recipe("survey/hst").lens_plane.theta_E_unit ** 2
    assert mean.item() == pytest.approx(mean_mass * unit, rel=0.02)


def test_without_point_masses_there_is_nothing_to_search_for():
    halos = get_recipe("survey/hst", **{"populations.cdm": "tnfw_subhalos"})
    assert subhalo_prior(halos) is None


def test_rare_masses_are_as_likely_as_a_mean_over_draws_says():
    """Against the definition: the mean of p(data | subhalos) / p(data | none) over 40,000 draws."""
    rng = np.random.default_rng(0)
    generator = torch.Generator().manual_seed(0)
    theta_x, theta_y = pixel_grid(SIDE, PIXEL, dtype=torch.float64)
    by_source = torch.randn(1, 2, SIDE, SIDE, generator=generator, dtype=torch.float64)
    known = prior([0.3], [0.5], [1 / (math.pi * RING**2)] * int(1 / RING))
    there = templates(by_source, torch.zeros(1, SIDE, SIDE, dtype=torch.float64))
    # Every pixel lies in the first ring, so a subhalo is anywhere with equal probability.
    area = (SIDE * PIXEL) ** 2
    known = known._replace(density=torch.full_like(known.density, 1 / area))
    maps = _templates(by_source, theta_x, theta_y)
    data = 0.3 * maps[5 * SIDE + 7] + torch.randn(SIDE**2, generator=generator).double()
    scan = _scan_of(maps, data)
    ratios = []
    for number in rng.poisson(0.5, 40_000):
        signal = 0.3 * maps[rng.integers(SIDE**2, size=number)].sum(dim=0)
        ratios.append(torch.exp(signal @ data - signal @ signal / 2).item())
    mean, error = np.mean(ratios), np.std(ratios) / len(ratios) ** 0.5
    found = log_evidence(scan, known, there).exp().item()
    assert error < 0.1 * mean
    # What two subhalos in one image add is left out of the sum: 9 % of images have two.
    assert found == pytest.approx(mean, abs=SIGMAS * error + 0.1 * mean)


def _templates(by_source, theta_x, theta_y):
    offset_x = theta_x.reshape(-1) - theta_x.reshape(-1, 1)
    offset_y = theta_y.reshape(-1) - theta_y.reshape(-1, 1)
    square = (offset_x**2 + offset_y**2).clamp(min=1e-9)
    along_x, along_y = by_source[0].flatten(1)
    return (along_x * offset_x + along_y * offset_y) / square


def _scan_of(maps, data):
    power = maps.square().sum(dim=1)
    shape = (1, SIDE, SIDE)
    significance = (maps @ data) / power.sqrt()
    return PointMassScan(significance.view(shape), power.rsqrt().view(shape))


@pytest.fixture(scope="module")
def seen(survey):
    lenses = draw_lenses(get_recipe("survey/hst", num_pix=40), 0, range(16))
    return visibility(lenses, 21.0, seed=0, prior=survey)


def test_a_search_tells_less_than_being_told(seen):
    ideal = seen.confusion.diagonal(dim1=1, dim2=2).mean()
    found = seen.searching.diagonal(dim1=1, dim2=2).mean()
    assert 1 / 3 < found < ideal


def test_a_search_finds_what_stands_out_and_little_where_there_is_nothing(seen):
    """Above 5 sigma of substructure; 'little' is half of the images, the worst a fair rule does."""
    obvious = seen.significance[:, 1] > 5
    assert obvious.sum() >= 3
    assert seen.searching[obvious, 1, 1].mean() > 0.9
    assert seen.searching[:, 2, 1].mean() < 0.5
    torch.testing.assert_close(
        seen.searching.sum(dim=2), torch.ones(16, 3, dtype=torch.float64), rtol=0, atol=1e-9
    )


def test_noise_is_that_of_the_lens_whatever_its_batch(survey):
    small = get_recipe("survey/hst", num_pix=24)
    both = visibility(draw_lenses(small, 0, [3, 4]), 20.0, 0, survey).searching
    alone = visibility(draw_lenses(small, 0, [4]), 20.0, 0, survey).searching
    torch.testing.assert_close(both[1:], alone, rtol=0, atol=0)


def test_without_a_prior_there_is_no_search():
    lenses = draw_lenses(get_recipe("survey/hst", num_pix=24), 0, [0])
    assert visibility(lenses, 22.0, seed=0).searching is None


def test_the_signals_of_the_other_classes_are_told():
    """A signal of 3 sigma that no subhalo makes, and a search that finds nothing anywhere."""
    signals = torch.zeros(400, 2, SIDE**2, dtype=torch.float64)
    signals[:, 1, 0] = 3.0
    nothing = torch.zeros(400, 2, SIDE, SIDE, dtype=torch.float64)
    there = templates(nothing, torch.full((400, SIDE, SIDE), 9.0))
    known = prior([1.0], [1.0], [1.0])
    seeds = [(0, index) for index in range(400)]
    found = searching_confusion(signals, [there, there], 0, known, seeds)
    right = 0.5 * (1 + math.erf(1.5 / math.sqrt(2)))
    error = (right * (1 - right) / 1600) ** 0.5
    assert found[:, 1, 1].mean().item() == pytest.approx(right, abs=SIGMAS * error)
