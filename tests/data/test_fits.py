import numpy as np
import pytest
from astropy.io import fits

from lenspinn.data.fits import (
    FitsMap,
    read_fits,
    read_fits_images,
    read_fits_table,
    write_fits,
    write_fits_maps,
)
from lenspinn.errors import DataError, ImageError

IMAGE = np.random.default_rng(0).normal(size=(20, 24)).astype(np.float32)
DEGREES = 0.05 / 3600


def written(path, *cards, data=IMAGE):
    fits.PrimaryHDU(data, fits.Header(list(cards))).writeto(path)
    return path


@pytest.mark.parametrize(
    ("file", "pixel_scale", "shape", "instrument"),
    [
        ("hst_slacs/SDSSJ0946+1006/data.fits", 0.05, (281, 281), "ACS/WFC"),
        ("hst_slacs/SDSSJ0956+5100/data.fits", 0.05, (198, 198), "ACS/WFC"),
        ("jwst_cowls/COSJ100024+015334/F115W_data.fits", 0.03, (225, 225), "NIRCam"),
        ("jwst_cowls/COSJ100024+015334/F444W_data.fits", 0.06, (151, 151), "NIRCam"),
        ("euclid_q1/102020532_NEG589257492489565961/VIS_data.fits", 0.1, (200, 200), "VIS"),
    ],
)
def test_telescope_images_are_read(shared_data, file, pixel_scale, shape, instrument):
    image = read_fits(shared_data / file)
    assert image.pixel_scale == pytest.approx(pixel_scale, rel=1e-4)
    assert (image.data.shape, image.data.dtype) == (shape, np.float32)
    assert image.instrument == instrument
    np.testing.assert_array_equal(image.data, fits.getdata(shared_data / file))


def test_a_telescope_header_states_unit_filter_and_zero_point(shared_data):
    image = read_fits(shared_data / "hst_slacs/SDSSJ0029-0055/data.fits")
    assert (image.unit, image.telescope, image.filter) == ("ELECTRONS/S", "HST", "F814W")
    # The published AB zero point of ACS/WFC F814W.
    assert image.zero_point == pytest.approx(25.94, abs=0.03)
    euclid = read_fits(shared_data / "euclid_q1/102020532_NEG589257492489565961/VIS_data.fits")
    assert euclid.zero_point == 24.6
    assert euclid.exposure_time is None


def rotated_cd(angle=0.7):
    c, s = DEGREES * np.cos(angle), DEGREES * np.sin(angle)
    return [("CD1_1", -c), ("CD1_2", s), ("CD2_1", s), ("CD2_2", c)]


@pytest.mark.parametrize(
    "cards",
    [
        rotated_cd(),
        [("CTYPE1", "RA---TAN"), ("CTYPE2", "DEC--TAN"), ("CD1_1", -DEGREES), ("CD2_2", DEGREES)],
        [("CDELT1", -DEGREES), ("CDELT2", DEGREES)],
        [("CDELT1", -DEGREES), ("CDELT2", DEGREES), ("CROTA2", 30.0)],
        [
            ("CDELT1", -DEGREES), ("CDELT2", DEGREES),
            ("PC1_1", 0.6), ("PC1_2", -0.8), ("PC2_1", 0.8), ("PC2_2", 0.6),
        ],
        [("CUNIT1", "arcsec"), ("CUNIT2", "arcsec"), ("CDELT1", -0.05), ("CDELT2", 0.05)],
        [("PIXSCALE", 0.05)],
        [("CDELT1", 1.0), ("CDELT2", 1.0), ("PIXSCALE", 0.05)],
        [("CUNIT1", "um"), ("CUNIT2", "deg"), *[(f"CDELT{i}", 1.0) for i in (1, 2)],
         ("PIXSCALE", 0.05)],
        [("PIXSCALE", 0.2), *rotated_cd()],
    ],
)  # fmt: skip
def test_the_pixel_scale_is_found_however_it_is_written(tmp_path, cards):
    assert read_fits(written(tmp_path / "a.fits", *cards)).pixel_scale == pytest.approx(0.05)


def test_a_given_pixel_scale_counts_more_than_the_header(tmp_path):
    path = written(tmp_path / "a.fits", ("PIXSCALE", 0.05))
    assert read_fits(path, pixel_scale=0.08).pixel_scale == 0.08


@pytest.mark.parametrize("cards", [[], [("CDELT1", 1.0), ("CDELT2", 1.0)], [("PIXSCALE", "?")]])
def test_an_unknown_pixel_scale_is_an_error_that_says_how_to_give_it(tmp_path, cards):
    with pytest.raises(ImageError, match=r"a\.fits does not state .* give it as pixel_scale"):
        read_fits(written(tmp_path / "a.fits", *cards))


def test_oblong_pixels_are_refused(tmp_path):
    path = written(tmp_path / "a.fits", ("CDELT1", DEGREES), ("CDELT2", 2 * DEGREES))
    with pytest.raises(ImageError, match=r"0\.05 x 0\.1 arcsec"):
        read_fits(path)


def test_the_first_image_of_several_extensions_is_read_with_the_facts_of_both_headers(tmp_path):
    table = fits.BinTableHDU.from_columns([fits.Column("a", "E", array=[1.0])])
    science = fits.ImageHDU(IMAGE, fits.Header([*rotated_cd(), ("BUNIT", "e-/s")]), name="SCI")
    primary = fits.PrimaryHDU(header=fits.Header([("INSTRUME", "WFC3"), ("EXPTIME", 5400)]))
    hdus = fits.HDUList([primary, table, science, fits.ImageHDU(-IMAGE, name="ERR")])
    hdus.writeto(tmp_path / "a.fits")
    image = read_fits(tmp_path / "a.fits")
    np.testing.assert_array_equal(image.data, IMAGE)
    assert (image.unit, image.instrument, image.exposure_time) == ("e-/s", "WFC3", 5400.0)
    errors = read_fits(tmp_path / "a.fits", hdu="ERR", pixel_scale=0.05)
    np.testing.assert_array_equal(errors.data, -IMAGE)


@pytest.mark.parametrize(
    ("hdu", "message"),
    [
        ("WHT", "no extension WHT, only 0 PRIMARY, 1"),
        (2, "no extension 2, only 0 to 1"),
        (0, "holds no image"),
    ],
)
def test_an_extension_without_image_is_named(tmp_path, hdu, message):
    fits.HDUList([fits.PrimaryHDU(), fits.ImageHDU(IMAGE)]).writeto(tmp_path / "a.fits")
    with pytest.raises(ImageError, match=message):
        read_fits(tmp_path / "a.fits", hdu=hdu)


def test_images_of_different_shape_are_read_from_one_file(tmp_path):
    hdus = [fits.PrimaryHDU(IMAGE), fits.ImageHDU(IMAGE[1:]), fits.ImageHDU(IMAGE[:, 2:])]
    fits.HDUList(hdus).writeto(tmp_path / "a.fits")
    last, first = read_fits_images(tmp_path / "a.fits", [2, 0])
    np.testing.assert_array_equal(last, IMAGE[:, 2:])
    np.testing.assert_array_equal(first, IMAGE)
    assert (first.dtype, first.dtype.isnative) == (np.float32, True)
    with pytest.raises(ImageError, match=r"a\.fits has no extension 3, only 0 to 2"):
        read_fits_images(tmp_path / "a.fits", [1, 3])


def test_columns_of_a_table_are_read_in_upper_or_lower_case(tmp_path):
    columns = [fits.Column("x", "J", array=[3, 4]), fits.Column("FILE", "5A", array=["a", "b"])]
    table = fits.BinTableHDU.from_columns(columns)
    fits.HDUList([fits.PrimaryHDU(IMAGE), table]).writeto(tmp_path / "a.fits")
    found = read_fits_table(tmp_path / "a.fits", ["X", "FILE"])
    assert {name: values.tolist() for name, values in found.items()} == {
        "X": [3, 4],
        "FILE": ["a", "b"],
    }


def test_a_file_without_the_column_or_a_table_is_refused(tmp_path):
    table = fits.BinTableHDU.from_columns([fits.Column("X", "J", array=[3, 4])])
    table.writeto(tmp_path / "a.fits")
    with pytest.raises(DataError, match=r"a\.fits has no column 'Y', only X"):
        read_fits_table(tmp_path / "a.fits", ["X", "Y"])
    with pytest.raises(DataError, match="holds no table"):
        read_fits_table(written(tmp_path / "b.fits"), ["X"])


def test_compressed_and_scaled_images_are_read(tmp_path):
    counts = (100 * np.abs(IMAGE)).astype(np.uint16)
    compressed = fits.CompImageHDU(counts, fits.Header([("PIXSCALE", 0.05)]))
    fits.HDUList([fits.PrimaryHDU(), compressed]).writeto(tmp_path / "a.fits")
    np.testing.assert_array_equal(read_fits(tmp_path / "a.fits").data, counts)


def test_axes_of_length_one_are_dropped(tmp_path):
    path = written(tmp_path / "a.fits", ("PIXSCALE", 0.05), data=IMAGE[None, None])
    assert read_fits(path).data.shape == IMAGE.shape


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (np.ones((3, 8, 8)), r"shape \(3, 8, 8\)"),
        (np.ones(8), "holds no image"),
        (None, "holds no image"),
    ],
)
def test_a_file_without_one_image_is_refused(tmp_path, data, message):
    with pytest.raises(ImageError, match=rf"a\.fits .*{message}"):
        read_fits(written(tmp_path / "a.fits", ("PIXSCALE", 0.05), data=data))


def test_a_text_file_is_not_fits(tmp_path):
    (tmp_path / "a.fits").write_text("not a picture")
    with pytest.raises(DataError, match=r"a\.fits is no FITS file, .*: give a FITS or HDF5 file$"):
        read_fits(tmp_path / "a.fits")


@pytest.mark.parametrize("length", [0, 100, 3000])
def test_a_truncated_file_is_refused(tmp_path, length):
    path = written(tmp_path / "a.fits", ("PIXSCALE", 0.05))
    path.write_bytes(path.read_bytes()[:length])
    with pytest.raises(DataError, match=r"a\.fits (cannot be read|is truncated)"):
        read_fits(path)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(DataError, match=r"nowhere\.fits cannot be read as FITS: No such file"):
        read_fits(tmp_path / "nowhere.fits")


def test_what_is_written_is_read_back(tmp_path):
    path = write_fits(tmp_path / "a.fits", IMAGE, 0.08, BUNIT="e-/s", INSTRUME="simulated")
    image = read_fits(write_fits(path, 2 * IMAGE, 0.08, BUNIT="e-/s", INSTRUME="simulated"))
    np.testing.assert_array_equal(image.data, 2 * IMAGE)
    assert (image.pixel_scale, image.unit, image.instrument) == (0.08, "e-/s", "simulated")


def test_maps_are_read_back_each_with_its_cards_and_its_sky(tmp_path):
    cards = {"CTYPE1": "RA---TAN", "CTYPE2": "DEC--TAN", "CRPIX1": 2.0, "CRPIX2": 1.0}
    cards |= {"CRVAL1": 10.0, "CRVAL2": -20.0, "CD1_1": -1e-5, "CD2_2": 1e-5}
    sky = fits.Header(cards)
    maps = {
        "IMAGE": FitsMap(data=IMAGE, cards={"BUNIT": "e-/s", "PIXSCALE": 0.036}, sky=sky),
        "NOISE": FitsMap(data=0.1 * IMAGE, cards={"PIXSCALE": 0.036}),
    }
    path = write_fits_maps(tmp_path / "a.fits", maps, {"TELESCOP": "HST", "TRUSTED": True})
    write_fits_maps(path, maps, {"TELESCOP": "HST", "TRUSTED": False})
    image = read_fits(path)
    np.testing.assert_array_equal(image.data, IMAGE)
    assert (image.unit, image.telescope) == ("e-/s", "HST")
    assert image.celestial.position(1.0, 0.0) == pytest.approx((10.0, -20.0))
    noise = read_fits(path, hdu="NOISE")
    np.testing.assert_allclose(noise.data, 0.1 * IMAGE, rtol=1e-6)
    assert (noise.unit, noise.celestial) == (None, None)
    assert not fits.getheader(path)["TRUSTED"]
    assert [entry.name for entry in tmp_path.iterdir()] == ["a.fits"]


def test_an_image_without_a_wcs_has_no_sky(tmp_path):
    assert read_fits(write_fits(tmp_path / "a.fits", IMAGE, 0.08)).celestial is None
