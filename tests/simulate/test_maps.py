import numpy as np
import pytest
from astropy.io import fits

from lenspinn.errors import ConfigError
from lenspinn.simulate.maps import read_map


def test_maps_are_read_from_npy_and_fits(tmp_path):
    values = np.arange(9.0).reshape(3, 3)
    np.save(tmp_path / "a.npy", values)
    fits.PrimaryHDU(values).writeto(tmp_path / "a.fits")
    for name in ("a.npy", "a.fits"):
        np.testing.assert_array_equal(read_map(str(tmp_path / name), 0.08, "key"), values)


@pytest.mark.parametrize(
    ("values", "said"),
    [
        (np.ones((4, 4)), "4 x 4; it must be square, with an odd size"),
        (np.ones((3, 5)), "3 x 5; it must be square"),
        (np.ones(3), "3; it must be square"),
        (np.full((3, 3), np.nan), "not finite"),
    ],
)
def test_a_map_of_no_use_is_refused_by_its_key(tmp_path, values, said):
    np.save(tmp_path / "a.npy", values)
    with pytest.raises(ConfigError, match=f"instrument.psf_kernel: .*{said}"):
        read_map(str(tmp_path / "a.npy"), 0.08, "instrument.psf_kernel")


def test_a_map_in_other_pixels_is_refused(tmp_path):
    hdu = fits.PrimaryHDU(np.ones((3, 3)))
    hdu.header["PIXSCALE"] = 0.05
    hdu.writeto(tmp_path / "a.fits")
    read_map(str(tmp_path / "a.fits"), 0.0502, "key")
    with pytest.raises(ConfigError, match=r"pixels of 0.05 arcsec, the instrument 0.08"):
        read_map(str(tmp_path / "a.fits"), 0.08, "key")


@pytest.mark.parametrize("name", ["no.npy", "no.fits"])
def test_a_missing_file_is_named(tmp_path, name):
    with pytest.raises(ConfigError, match=f"key: .*{name}"):
        read_map(str(tmp_path / name), 0.08, "key")
