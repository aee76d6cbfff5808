import json
import math
import re
from dataclasses import replace

import numpy as np
import pytest

from lenspinn.detect.candidates import Candidate
from lenspinn.detect.chance import Chance, Peak, find_peaks
from lenspinn.detect.detection import Detection, FoundClump
from lenspinn.detect.mock_noise import noise_of_residual
from lenspinn.detect.mocks import MockMaker
from lenspinn.detect.robustness import SecondLook
from lenspinn.detect.subhalo import SolarMasses

CANDIDATE = Candidate(
    peak=Peak(30, 40, 0.9, 0.2, 8.0, 0.01, 6.0),
    profile="tnfw",
    x=0.91,
    y=0.21,
    x_error=0.02,
    y_error=0.02,
    mass=0.03,
    mass_log_error=0.2,
    scale_radius=0.1,
    gain={"point": 60.0, "sis": 50.0, "tnfw": 70.0},
    inner_mass=0.02,
    inner_radius=0.28,
)
SEEN = (SecondLook("other light", 0.9, 1.1),)
UNSEEN = (SecondLook("other light", 0.2, 1.1),)


@pytest.fixture
def found(lens, solution) -> Detection:
    shape = lens.image.shape[1:]
    chance = Chance(
        spread=np.ones(shape),
        highest=np.linspace(2, 5, 100),
        left=np.ones(100),
        correlation=np.zeros(100),
        injected=np.array([[0.01, 0.02, 0.01, 1.0], [0.05, 0.02, 0.05, 1.0]]),
        factor=1.5,
    )
    noise = noise_of_residual(solution.residual[0].double().numpy(), ~lens.arcs)
    return Detection(
        lens=replace(lens, measured=replace(lens.measured, reasons=())),
        solution=solution,
        clumps=(FoundClump(candidate=CANDIDATE, chance=1 / 101, looks=SEEN),),
        maker=MockMaker(lens=lens, solution=solution, noise=noise),
        chance=chance,
        masses=SolarMasses(0.222, 0.609),
        reasons=(),
    )


def test_a_rare_and_robust_clump_is_claimed(found):
    assert len(found.claimed) == 1
    assert found.verdict.startswith('a clump: 3e+09 M_sun (± 20%) within 0.28" of (0.91", 0.21")')
    assert "chance at most 1.0%, robust" in found.verdict


def test_a_limit_is_said_up_to_the_heaviest_mass_that_was_tried(found):
    low, high = re.search(r"no point mass of (\S+) M_sun to (\S+) M_sun", found.verdict).groups()
    assert float(high) / float(low) == pytest.approx(10 / found.chance.factor, rel=0.1)


def test_the_map_of_heights_is_what_peaks_are_read_from(found):
    smooth = found.solution.found.smooth
    louder = smooth._replace(residual=3 * smooth.residual)  # by three times what mocks leave
    solution = found.solution._replace(found=found.solution.found._replace(smooth=louder))
    rough = replace(found, solution=solution)
    (peak,) = find_peaks(rough.lens, rough.solution, rough.chance.spread, most=1)
    assert rough.height[peak.row, peak.column] == pytest.approx(peak.height)
    assert rough.height[peak.row, peak.column] < 0.5 * rough.significance[peak.row, peak.column]


def test_a_clump_that_another_model_lacks_is_not(found):
    (clump,) = found.clumps
    other = replace(found, clumps=(replace(clump, looks=UNSEEN),))
    assert not other.claimed
    assert other.verdict.startswith("no clump is claimed")
    assert "not robust (other light)" in other.verdict


def test_a_frequent_one_is_not(found):
    (clump,) = found.clumps
    assert not replace(found, clumps=(replace(clump, chance=0.04),)).claimed


def test_nothing_is_claimed_of_an_image_that_is_not_trusted(found):
    other = replace(found, reasons=("the PSF is not known; give psf",))
    assert not other.claimed
    assert "NOT TO BE TRUSTED: the PSF is not known" in other.verdict


def test_nothing_is_claimed_without_mocks(found):
    (clump,) = found.clumps
    other = replace(found, clumps=(replace(clump, chance=None),), chance=None, maker=None)
    assert not other.claimed
    assert "its chance not measured" in other.verdict
    assert other.mass_limit is None
    assert other.to_json()["mocks"] is None


def test_json_holds_every_number(found):
    content = json.loads(json.dumps(found.to_json(), allow_nan=False))
    assert content["schema"] == 1
    (clump,) = content["clumps"]
    assert clump["inner_mass_solar_masses"] == pytest.approx(0.02 * 1.519e11, rel=1e-3)
    assert clump["robust"]
    assert content["mocks"]["number"] == 100
    assert content["mocks"]["injected"]["found"] == [1, 1]


def test_without_redshifts_masses_are_squared_einstein_radii(found):
    other = replace(found, masses=None)
    assert "0.02 arcsec^2" in other.verdict
    assert other.to_json()["clumps"][0]["mass_solar_masses"] is None


def test_what_was_not_measured_is_not_a_number_in_json(found):
    bare = replace(found, chance=replace(found.chance, injected=np.empty((0, 4)), factor=math.nan))
    content = json.loads(json.dumps(bare.to_json(), allow_nan=False))
    assert content["mocks"]["limit_over_linear"] is None
    assert content["median_mass_limit_arcsec2"] is None
