import numpy as np
import pytest

from lenspinn.errors import ConfigError
from lenspinn.simulate.distributions import Fixed

from .conftest import NUM, drawn


def test_each_lens_has_one_halo_near_its_ring():
    halos = drawn("single_subhalo").halos
    assert halos.x.shape == (NUM, 1)
    distance = np.hypot(halos.x - 0.2, halos.y + 0.1)  # of lenses with theta_E of 1 arcsec
    assert distance.min() == pytest.approx(0.8, abs=0.01)
    assert distance.max() == pytest.approx(1.2, abs=0.01)
    assert np.ptp(np.arctan2(halos.y + 0.1, halos.x - 0.2)) > 6


def test_a_concentrated_halo_is_smaller_and_bends_more_within_its_truncation():
    loose, dense = (
        drawn("single_subhalo", mass=Fixed(1e9), concentration=Fixed(c)) for c in (15.0, 60.0)
    )
    assert dense.halos.Rs[0, 0] == pytest.approx(loose.halos.Rs[0, 0] / 4)
    assert dense.halos.alpha_Rs[0, 0] > 2 * loose.halos.alpha_Rs[0, 0]
    assert np.all(dense.truth["subhalo_concentration"] == 60)


def test_a_concentration_that_no_halo_has_is_refused():
    with pytest.raises(ConfigError, match="concentration"):
        drawn("single_subhalo", concentration=Fixed(0.0))
