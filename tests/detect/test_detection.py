import json
import re
from dataclasses import replace

import numpy as np
import pytest

from lenspinn.detect.candidates import Candidate
from lenspinn.detect.chance import Chance
from lenspinn.detect.completeness import Completeness
from lenspinn.detect.detection import Detection, FoundClump
from lenspinn.detect.mock_noise import noise_of_residual
from lenspinn.detect.mocks import MockMaker
from lenspinn.detect.peaks import Peak, find_peaks
from lenspinn.detect.robustness import SecondLook
from lenspinn.detect.subhalo import SolarMasses
from lenspinn.detect.template_bank import MASSES

CANDIDATE = Candidate(
    peak=Peak(x=0.9, y=0.2, mass=0.02, significance=8.0, amplitude=0.9, height=6.0),
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


HEIGHTS = np.array([1.0, 2.0, 4.0, 6.0, 8.0, 10.0, 15.0, 20.0, 25.0, 30.0, 35.0, 40.0])
SOME = Completeness(mass=np.full(12, 0.01), expected=HEIGHTS, found=(HEIGHTS > 7) | (HEIGHTS == 4))


@pytest.fixture
def found(lens, bank, solution) -> Detection:
    trusted = replace(bank, lens=replace(lens, measured=replace(lens.measured, reasons=())))
    chance = Chance(
        spread=np.ones_like(bank.length),
        highest=np.linspace(2, 5, 100),
        left=np.ones(100),
        correlation=np.zeros(100),
        completeness=SOME,
    )
    noise = noise_of_residual(solution.residual[0].double().numpy(), ~lens.arcs)
    return Detection(
        bank=trusted,
        solution=solution,
        clumps=(FoundClump(candidate=CANDIDATE, chance=1 / 101, looks=SEEN),),
        maker=MockMaker(bank=trusted, solution=solution, noise=noise),
        chance=chance,
        masses=SolarMasses(0.222, 0.609),
        reasons=(),
    )


def test_a_rare_and_robust_clump_is_claimed(found):
    assert len(found.claimed) == 1
    assert found.verdict.startswith('a clump: 3e+09 M_sun (± 20%) within 0.28" of (0.91", 0.21")')
    assert "chance at most 1.0%, robust" in found.verdict


def test_a_limit_is_said_up_to_the_heaviest_mass_that_is_looked_for(found):
    low, high = re.search(
        r"no other point mass of (\S+) M_sun to (\S+) M_sun", found.verdict
    ).groups()
    assert float(high) == pytest.approx(MASSES[-1] * found.masses.per_square_arcsec, rel=0.1)
    assert float(low) < float(high)


def test_where_masses_are_hardly_found_it_is_said_on_which_share_of_the_arcs(found):
    fainter = replace(found.bank, length=found.bank.length / 1e3)
    fainter.length[:, : fainter.length.shape[1] // 4] *= 1e6
    other = replace(found, bank=fainter)
    assert np.isinf(np.median(other.mass_limit[other.region]))
    (share,) = re.search(
        r"would be found with 90% on (\d+)% of the arcs alone", other.verdict
    ).groups()
    assert 10 < int(share) < 45
    assert other.to_json()["median_mass_limit_arcsec2"] is None


def test_the_map_of_heights_is_what_peaks_are_read_from(found):
    smooth = found.solution.found.smooth
    louder = smooth._replace(residual=3 * smooth.residual)  # by three times what mocks leave
    solution = replace(found.solution, found=found.solution.found._replace(smooth=louder))
    rough = replace(found, solution=solution)
    ((peak,),) = find_peaks(rough.bank, rough.solution, rough.chance.spread, most=1)
    assert np.nanmax(rough.height) == pytest.approx(peak.height)
    assert np.nanmax(rough.height) < 0.5 * np.nanmax(rough.significance)


@pytest.mark.parametrize(
    "lost", [{"gain": {"point": 20.0, "sis": -5.0, "tnfw": 3.0}}, {"x": 1.3}], ids=["gain", "place"]
)
def test_a_candidate_that_is_gone_when_all_else_is_fitted_again_is_not_claimed(found, lost):
    (clump,) = found.clumps
    other = replace(found, clumps=(replace(clump, candidate=replace(CANDIDATE, **lost)),))
    assert not other.claimed
    assert "not robust (all else fitted again)" in other.verdict


def test_a_clump_that_another_model_lacks_is_not(found):
    (clump,) = found.clumps
    other = replace(found, clumps=(replace(clump, looks=UNSEEN),))
    assert not other.claimed
    assert other.verdict.startswith("no clump is claimed")
    assert "no point mass of" in other.verdict
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
    assert content["schema"] == 2
    (clump,) = content["clumps"]
    assert clump["inner_mass_solar_masses"] == pytest.approx(0.02 * 1.519e11, rel=1e-3)
    assert clump["robust"]
    assert content["mocks"]["number"] == 100
    assert sum(content["mocks"]["completeness"]["found"]) == SOME.found.sum()


def test_without_redshifts_masses_are_squared_einstein_radii(found):
    other = replace(found, masses=None)
    assert "0.02 arcsec^2" in other.verdict
    assert other.to_json()["clumps"][0]["mass_solar_masses"] is None


def test_what_was_not_measured_is_not_a_number_in_json(found):
    few = replace(SOME, found=np.zeros(12, dtype=bool))
    bare = replace(found, chance=replace(found.chance, completeness=few))
    content = json.loads(json.dumps(bare.to_json(), allow_nan=False))
    assert content["mocks"]["completeness"]["height_found_with_90_percent"] is None
    assert content["median_mass_limit_arcsec2"] is None
    none = replace(found, chance=replace(found.chance, completeness=None))
    assert none.to_json()["mocks"]["completeness"] is None
    assert "point mass" not in none.verdict
