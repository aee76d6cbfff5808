from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits

from lenspinn.data.fits import read_fits
from lenspinn.data.fits_cutout import SkySquare, cut_out
from lenspinn.errors import ImageError

SCALE = 0.1  # arcsec
RA, DEC = 150.0, 2.0


def sky(**cards: str) -> fits.Header:
    """A header with a WCS; its reference pixel is that of column 49 and row 59."""
    header = fits.Header({"CTYPE1": "RA---TAN", "CTYPE2": "DEC--TAN", **cards})
    header.update({"CRVAL1": RA, "CRVAL2": DEC, "CRPIX1": 50.0, "CRPIX2": 60.0})
    header.update({"CD1_1": -SCALE / 3600, "CD2_2": SCALE / 3600})
    return header


@pytest.fixture
def mosaic(tmp_path: Path) -> Path:
    """Image and noise of 120 x 100 pixels with a WCS, and a PSF, in one file."""
    header = sky(BUNIT="nJy")
    pixels = np.arange(12_000, dtype=np.float32).reshape(120, 100)
    path = tmp_path / "tile.fits"
    fits.HDUList(
        [
            fits.PrimaryHDU(),
            fits.CompImageHDU(pixels, header, name="SCI", quantize_level=0),
            fits.ImageHDU(pixels + 0.5, header, name="ERR"),
            fits.ImageHDU(np.eye(5, dtype=np.float32), name="PSF"),
        ]
    ).writeto(path)
    return path


def square(path: Path, **changed: float) -> SkySquare:
    return SkySquare.in_image(path, **{"ra": RA, "dec": DEC, "size": 2.1} | changed)


def test_a_square_is_cut_around_the_position_and_keeps_unit_and_wcs(mosaic, tmp_path):
    out = cut_out(mosaic, square(mosaic), tmp_path / "cut.fits")
    whole, part = read_fits(mosaic), read_fits(out)
    assert part.data.shape == (21, 21)
    assert part.data[10, 10] == whole.data[59, 49]
    assert part.unit == "nJy"
    assert part.pixel_scale == pytest.approx(SCALE)
    middle = whole.celestial.position(49.0, 59.0)
    assert part.celestial.position(10.0, 10.0) == pytest.approx(middle)


def test_the_noise_is_cut_alike_and_the_psf_kept(mosaic, tmp_path):
    out = cut_out(mosaic, square(mosaic), tmp_path / "cut.fits")
    image, noise = (read_fits(out, hdu=name).data for name in ("SCI", "ERR"))
    np.testing.assert_array_equal(noise, image + 0.5)
    np.testing.assert_array_equal(read_fits(out, hdu="PSF", pixel_scale=SCALE).data, np.eye(5))


def test_what_lies_beyond_the_image_is_not_known(mosaic, tmp_path):
    at_border = square(mosaic, dec=DEC - 59 * SCALE / 3600)
    part = read_fits(cut_out(mosaic, at_border, tmp_path / "cut.fits"))
    assert part.data.shape == (21, 21)
    assert np.isnan(part.data[:10]).all()
    assert np.isfinite(part.data[10:]).all()
    column, row = part.celestial.pixel(RA, at_border.dec)
    assert (column, row) == pytest.approx((10, 10), abs=0.01)


def test_a_wcs_in_the_primary_header_is_moved_too(tmp_path):
    path = tmp_path / "tile.fits"
    pixels = np.ones((120, 100), dtype=np.float32)
    fits.HDUList([fits.PrimaryHDU(header=sky()), fits.ImageHDU(pixels, sky())]).writeto(path)
    out = cut_out(path, square(path), tmp_path / "cut.fits")
    assert fits.getheader(out, 0)["CRPIX1"] == fits.getheader(out, 1)["CRPIX1"] == 50 - 39


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({"dec": 3.0}, "does not show ra 150, dec 3"),
        ({"ra": -30.0}, "does not show"),
        ({"size": 900.0}, "give a size of up to"),
        ({"size": 0.0}, "above 0"),
        ({"size": float("nan")}, "above 0"),
    ],
)
def test_a_square_that_cannot_be_cut_is_refused(mosaic, tmp_path, changed, says):
    with pytest.raises(ImageError, match=says):
        cut_out(mosaic, square(mosaic, **changed), tmp_path / "cut.fits")


def test_an_image_without_a_wcs_and_a_noise_map_of_another_shape_are_refused(mosaic, tmp_path):
    plain = tmp_path / "plain.fits"
    fits.PrimaryHDU(np.ones((7, 7), dtype=np.float32)).writeto(plain)
    with pytest.raises(ImageError, match="no image with a celestial WCS"):
        square(plain)
    with pytest.raises(ImageError, match="holds no image of 120 x 100"):
        cut_out(plain, square(mosaic), tmp_path / "cut.fits")
