from dataclasses import replace

import pytest

from lenspinn.detect.detect_lens import Setting, detect_substructure, reasons_against, search
from lenspinn.errors import ConfigError

from .conftest import PIXEL_SCALE


def test_without_mocks_no_chance_is_told(lens):
    found = search(lens, Setting(mocks=0, injected=0))
    assert found.chance is None
    assert not found.claimed
    assert "chance not measured" in found.verdict
    assert all(clump.chance is None for clump in found.clumps)
    assert found.mass_limit is None


def test_a_psf_that_is_not_known_is_a_reason(lens, bank, solution):
    assert reasons_against(bank, solution, None, None) == list(lens.measured.reasons)
    unknown = replace(bank, lens=replace(lens, psf_known=False))
    assert any("PSF" in reason for reason in reasons_against(unknown, solution, None, None))


@pytest.mark.parametrize("wrong", [{"mocks": 5}, {"injected": -1}, {"z_lens": 0.2}])
def test_numbers_out_of_range_are_refused_at_once(image, wrong):
    with pytest.raises(ConfigError, match="give"):
        detect_substructure(image, pixel_scale=PIXEL_SCALE, **wrong)
