import numpy as np
import pytest

from lenspinn.simulate.distributions import Fixed
from lenspinn.simulate.populations.warm_subhalos import abundance, relative_concentration

from .conftest import drawn


def test_heavy_halos_do_not_know_that_dark_matter_is_warm():
    assert abundance(np.array([1e-4])) == pytest.approx(1.0, abs=1e-6)
    # Concentrations feel the cut-off farther up: 60 times the half-mode mass.
    assert relative_concentration(np.array([1e-6]), 0.0) == pytest.approx(1.0, abs=1e-4)


def test_light_halos_are_few_and_diffuse():
    ratio = np.array([0.1, 1.0, 10.0, 100.0])
    assert (np.diff(abundance(ratio)) < 0).all()
    assert abundance(np.array([1.0])) == pytest.approx((1 + 4.2**2.5) ** -0.2, rel=1e-12)
    assert relative_concentration(np.array([1.0]), 0.5) == pytest.approx(
        61**-0.17 * 1.5 ** (0.013 - 0.04), rel=1e-12
    )


def test_subhalos_are_kept_with_their_probability():
    fixed = {"half_mode_mass": Fixed(1e8), "mass": Fixed(1e8)}
    warm = drawn("warm_subhalos", **fixed)
    kept = warm.truth["num_subhalos"].sum() / (25 * 400)
    expected = (1 + 4.2**2.5) ** -0.2
    # 10,000 subhalos, Poisson: scatter 0.7 %.
    assert kept == pytest.approx(expected, abs=0.035)
    assert set(warm.truth["half_mode_mass"]) == {1e8}


def test_lost_halos_deflect_nothing():
    warm = drawn("warm_subhalos")
    used = warm.halos.mass > 0
    np.testing.assert_array_equal(used.sum(axis=1), warm.truth["num_subhalos"])
    assert not warm.halos.alpha_Rs[~used].any()
    assert (warm.truth["num_subhalos"] < drawn("tnfw_subhalos").truth["num_subhalos"]).mean() > 0.9
