import numpy as np
import pytest
from astropy.cosmology import FlatLambdaCDM

from lenspinn.errors import ConfigError
from lenspinn.simulate.faults import Faults
from lenspinn.simulate.plane import lens_plane

GEOMETRY = {"z_lens": 0.5, "z_source": 1.0, "H0": 70.0, "Om0": 0.3}


def test_10_to_the_12_solar_masses_have_the_einstein_radius_of_the_reference_facts():
    assert lens_plane(**GEOMETRY, faults=Faults()).theta_E_unit * 1e6 == pytest.approx(
        1.665, abs=5e-4
    )
    faulty = lens_plane(**GEOMETRY, faults=Faults(luminosity_distances=True))
    assert faulty.theta_E_unit * 1e6 == pytest.approx(1.281, abs=5e-4)


def test_mass_inside_an_einstein_radius_has_the_critical_density():
    plane = lens_plane(**GEOMETRY, faults=Faults())
    theta_E = plane.theta_E_unit * np.sqrt(1e11)
    assert np.pi * theta_E**2 * plane.sigma_critical == pytest.approx(1e11, rel=1e-9)


def test_an_arcsec_is_as_large_as_astropy_says():
    expected = FlatLambdaCDM(H0=70, Om0=0.3).kpc_proper_per_arcmin(0.5).value / 60
    plane = lens_plane(**GEOMETRY, faults=Faults())
    assert plane.kpc_per_arcsec == pytest.approx(expected, rel=1e-9)
    assert plane.scaling == 1.0


def test_a_source_in_front_of_the_lens_is_refused():
    with pytest.raises(ConfigError, match="geometry: the source must lie behind the lens"):
        lens_plane(**GEOMETRY | {"z_source": 0.4}, faults=Faults())
