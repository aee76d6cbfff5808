from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits
from astropy.wcs import WCS

from lenspinn.data.fits import TelescopeImage, read_fits
from lenspinn.measure import LensMeasurement
from lenspinn.measure.companions import read_with_companions
from lenspinn.measure.maps_file import write_maps
from lenspinn.measure.source_map import source_map

FRAME = ("IMAGE", "NOISE", "MODEL", "RESIDUAL", "LENS_LIGHT", "LENSED_SOURCE")
# Of float32.
ROUNDED = 1e-5


@pytest.fixture(scope="module")
def written(measured: LensMeasurement, scene, tmp_path_factory: pytest.TempPathFactory) -> Path:
    image = TelescopeImage(scene.image, scene.pixel_scale, unit="nJy", zero_point=31.4)
    return write_maps(tmp_path_factory.mktemp("maps") / "lens.fits", measured, image)


def test_every_map_is_read_back(written: Path, measured: LensMeasurement) -> None:
    with fits.open(written) as file:
        assert [hdu.name for hdu in file][1:] == [*FRAME, "SOURCE", "PSF"]
        maps = {hdu.name: hdu.data for hdu in file[1:]}
        units = {hdu.name: hdu.header.get("BUNIT") for hdu in file[1:]}
        facts = dict(file[0].header)
    used = np.isfinite(measured.sigma)
    tolerance = {"rtol": ROUNDED, "atol": ROUNDED}
    np.testing.assert_allclose(maps["IMAGE"], measured.image, **tolerance)
    np.testing.assert_allclose(maps["MODEL"], maps["LENS_LIGHT"] + maps["LENSED_SOURCE"], rtol=1e-4)
    np.testing.assert_allclose(maps["NOISE"][used], measured.sigma[used], **tolerance)
    left = (maps["IMAGE"] - maps["MODEL"]) / maps["NOISE"]
    np.testing.assert_allclose(maps["RESIDUAL"][used], left[used], atol=1e-3)
    assert np.isnan(maps["RESIDUAL"][~used]).all()
    np.testing.assert_allclose(maps["SOURCE"], source_map(measured).pixels, **tolerance)
    assert units == dict.fromkeys((*FRAME, "SOURCE"), "nJy") | {"RESIDUAL": None, "PSF": None}
    assert facts["THETA_E"] == measured.theta_E
    assert facts["MAGZERO"] == 31.4


def test_the_frame_is_cut_where_its_header_says(written: Path, scene) -> None:
    header, cut = fits.getheader(written, "IMAGE"), fits.getdata(written, "IMAGE")
    row, column, side = header["FIRSTROW"], header["FIRSTCOL"], len(cut)
    expected = scene.image[row : row + side, column : column + side]
    np.testing.assert_allclose(cut, expected, rtol=ROUNDED)


def test_it_can_be_measured_again(written: Path, measured: LensMeasurement) -> None:
    with pytest.warns(UserWarning, match="the PSF is extension 8"):
        image, known = read_with_companions(written)
    assert image.pixel_scale == pytest.approx(measured.pixel_scale)
    np.testing.assert_allclose(image.data, measured.image, rtol=ROUNDED)
    np.testing.assert_allclose(known.psf, measured.psf, atol=ROUNDED)
    assert np.isfinite(known.noise).sum() == np.isfinite(measured.sigma).sum()


def test_the_source_has_its_own_pixels_in_arcsec(written: Path, measured) -> None:
    wcs = WCS(fits.getheader(written, "SOURCE"))
    source = fits.getdata(written, "SOURCE")
    row, column = np.unravel_index(source.argmax(), source.shape)
    at = wcs.pixel_to_world_values(column, row)
    expected = [measured.parameters[name] for name in ("source_x", "source_y")]
    np.testing.assert_allclose(at, expected, atol=read_fits(written, hdu="SOURCE").pixel_scale)


@pytest.mark.parametrize(
    "file",
    [
        "hst_slacs/SDSSJ0029-0055/data.fits",
        "hst_slacs/SDSSJ0956+5100/data.fits",  # north is not up
        "euclid_q1/102020532_NEG589257492489565961/VIS_data.fits",
    ],
)
def test_the_lens_stays_where_it_is_on_the_sky(
    file: str, measured: LensMeasurement, shared_data: Path, tmp_path: Path
) -> None:
    whole = read_fits(shared_data / file)
    rows, columns = whole.data.shape
    # A frame around a pixel away from the middle of the image.
    column, row = columns // 2 - 11, rows // 2 + 7
    middle = ((column - (columns - 1) / 2), (row - (rows - 1) / 2))
    cut = replace(
        measured,
        pixel_scale=whole.pixel_scale,
        middle=(middle[0] * whole.pixel_scale, middle[1] * whole.pixel_scale),
    )
    path = write_maps(tmp_path / "lens.fits", cut, whole)
    half = len(measured.image) // 2
    for name in FRAME:
        ours = WCS(fits.getheader(path, name))
        for dx, dy in ((0, 0), (-half, 5)):
            there = ours.pixel_to_world(half + dx, half + dy)
            theirs = WCS(fits.getheader(shared_data / file)).pixel_to_world(column + dx, row + dy)
            assert there.separation(theirs).arcsec < 1e-3 * whole.pixel_scale
