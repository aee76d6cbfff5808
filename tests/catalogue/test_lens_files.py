from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits

from lenspinn.catalogue.lens_files import read_lens
from lenspinn.catalogue.lens_rows import LensRow
from lenspinn.errors import DataError, ImageError

SCALE, RA, DEC = 0.1, 150.0, 2.0


def row(folder: Path, **said) -> LensRow:
    return LensRow(row=0, id="lens", said=said, folder=folder)


@pytest.fixture
def tile(tmp_path: Path) -> Path:
    """A mosaic with its noise in another file, and a PSF."""
    header = fits.Header({"CTYPE1": "RA---TAN", "CTYPE2": "DEC--TAN"})
    header.update({"CRVAL1": RA, "CRVAL2": DEC, "CRPIX1": 100.0, "CRPIX2": 80.0})
    header.update({"CD1_1": -SCALE / 3600, "CD2_2": SCALE / 3600})
    pixels = np.random.default_rng(0).normal(size=(150, 200)).astype(np.float32)
    fits.PrimaryHDU(pixels, header).writeto(tmp_path / "sci.fits")
    fits.PrimaryHDU(np.full_like(pixels, 0.5), header).writeto(tmp_path / "rms.fits")
    y, x = np.mgrid[-5:6, -5:6]
    fits.PrimaryHDU(np.exp(-(x**2 + y**2) / 2).astype(np.float32)).writeto(tmp_path / "psf.fits")
    return tmp_path


def test_image_noise_and_wcs_are_cut_out_of_a_mosaic_and_the_psf_is_kept(tile):
    said = {"image": "sci.fits", "noise": "rms.fits", "psf": "psf.fits"}
    lens = read_lens(row(tile, **said, ra=RA, dec=DEC, size=4.1))
    whole = fits.getdata(tile / "sci.fits")
    np.testing.assert_array_equal(lens.found.data, whole[79 - 20 : 79 + 21, 99 - 20 : 99 + 21])
    assert (lens.known.noise == 0.5).all()
    assert lens.known.psf.shape == (11, 11)
    assert lens.found.celestial.position(20.0, 20.0) == pytest.approx((RA, DEC), abs=1e-7)
    assert lens.pixel_scale == pytest.approx(SCALE)


def test_positions_without_a_size_cut_nothing(tile):
    assert read_lens(row(tile, image="sci.fits", ra=RA, dec=DEC)).found.data.shape == (150, 200)


def test_a_lens_folder_is_cut_too(tile):
    (tile / "sci.fits").rename(tile / "data.fits")
    (tile / "rms.fits").rename(tile / "noise_map.fits")
    lens = read_lens(row(tile.parent, image=tile.name, ra=RA, dec=DEC, size=2.1))
    assert lens.found.data.shape == lens.known.noise.shape == (21, 21)


def test_an_array_is_as_training_images_are_and_needs_a_scale_to_be_measured(tmp_path):
    np.save(tmp_path / "a.npy", np.eye(8))
    lens = read_lens(row(tmp_path, image="a.npy"))
    assert not lens.from_telescope
    assert lens.pixel_scale is None
    with pytest.raises(DataError, match="give it in a column pixel_scale"):
        lens.measurable()
    assert read_lens(row(tmp_path, image="a.npy", pixel_scale=0.05)).measurable()


def test_what_is_wrong_with_a_cutout_names_no_folder_that_is_gone(tile):
    fits.PrimaryHDU(np.ones((150, 200), dtype=np.float32)).writeto(tile / "bad_rms.fits")
    said = {"image": "sci.fits", "noise": "sci.fits", "ra": RA, "dec": DEC, "size": 3.0}
    with pytest.raises(ImageError, match="is the image itself") as refused:
        read_lens(row(tile, **said))
    assert "/tmp" not in str(refused.value).replace(str(tile), "")


@pytest.mark.parametrize(
    ("said", "says"),
    [
        ({"size": 3.0}, "size is given without ra and dec"),
        ({"ra": 10.0, "dec": DEC, "size": 3.0}, "does not show ra 10"),
        ({"image": "absent.fits"}, "there is no file"),
        ({"image": "a.npy", "psf": "psf.fits"}, "psf can be given for FITS and HDF5 files"),
    ],
)
def test_a_row_that_cannot_be_read_says_why(tile, said, says):
    np.save(tile / "a.npy", np.eye(8))
    with pytest.raises(DataError, match=says):
        read_lens(row(tile, **{"image": "sci.fits"} | said))
