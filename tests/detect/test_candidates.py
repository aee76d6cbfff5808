from dataclasses import replace

import numpy as np
import pytest

from lenspinn.detect.candidates import fit_candidates
from lenspinn.detect.dark_solution import solve
from lenspinn.detect.mock_noise import noise_of_residual
from lenspinn.detect.mocks import MockMaker
from lenspinn.detect.peaks import find_peaks
from lenspinn.detect.subhalo import Subhalo, enclosed_mass

MASS, INNER = 0.02, 0.2


@pytest.fixture(scope="module")
def place(lens):
    rows, columns = np.nonzero(lens.arcs)
    middle, at = (lens.image.shape[-1] - 1) / 2, len(rows) // 3
    return ((columns[at] - middle) * lens.pixel_scale, (rows[at] - middle) * lens.pixel_scale)


@pytest.fixture(scope="module")
def candidate(lens, bank, solution, place):
    noise = noise_of_residual(solution.residual[0].double().numpy(), ~lens.arcs)
    maker = MockMaker(bank=bank, solution=solution, noise=noise)
    clump = Subhalo(profile="point", x=float(place[0]), y=float(place[1]), mass=MASS)
    image = maker.draw(1, 3, [clump])
    with_clump = replace(lens, image=image)
    found = solve(with_clump)
    (peaks,) = find_peaks(bank, found, None, most=1)
    (candidate,) = fit_candidates(with_clump, found, peaks, INNER)
    return candidate


def test_a_clump_is_found_where_it_is(candidate, place):
    distance = np.hypot(candidate.x - place[0], candidate.y - place[1])
    assert distance < 0.1
    assert candidate.gain["point"] > 50
    assert 0 < candidate.x_error < 0.1


def test_it_has_its_mass(candidate):
    truth = enclosed_mass(Subhalo(profile="point", x=0.0, y=0.0, mass=MASS), INNER)
    assert 0.5 < candidate.inner_mass / truth < 2
    assert 0 < candidate.mass_log_error < 1


def test_a_mass_where_none_is_gains_no_more_than_noise(lens, bank, solution):
    ((peak,),) = find_peaks(bank, solution, None, most=1)
    (found,) = fit_candidates(lens, solution, [peak], INNER)
    assert max(found.gain.values()) < 25  # what a smooth fit had not gained yet is none of it


def test_of_two_peaks_of_one_clump_one_candidate_is_kept(lens, bank, solution):
    ((peak,),) = find_peaks(bank, solution, None, most=1)
    assert len(fit_candidates(lens, solution, [peak, peak], INNER)) == 1
