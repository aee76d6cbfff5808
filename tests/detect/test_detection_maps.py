import numpy as np
import pytest
from astropy.io import fits

from lenspinn.data.fits import read_fits, write_fits
from lenspinn.detect.detect_lens import Setting, search
from lenspinn.detect.detection_maps import first_pixel, region_file, write_maps

from .conftest import PIXEL_SCALE


@pytest.fixture(scope="module")
def found(lens):
    return search(lens, Setting(mocks=0, injected=0))


def test_the_frame_is_where_it_was_cut(found, image):
    column, row = first_pixel(found, image.shape)
    side = found.lens.image.shape[-1]
    cut = image[row : row + side, column : column + side]
    seen = found.lens.image[0].numpy() * found.lens.unit
    used = np.isfinite(found.lens.sigma[0].numpy())
    sky = np.median((cut - seen)[used])
    assert np.allclose((cut - seen)[used], sky, atol=1e-4)


def test_maps_are_read_back(found, image, tmp_path):
    write_fits(tmp_path / "image.fits", image, PIXEL_SCALE)
    whole = read_fits(tmp_path / "image.fits")
    write_maps(tmp_path / "maps.fits", found, whole)
    with fits.open(tmp_path / "maps.fits") as file:
        assert file["REGION"].data.sum() == found.region.sum()
        assert file["MASS_5_SIGMA"].header["BUNIT"] == "arcsec2"
        assert file["IMAGE"].header["FIRSTCOL"] == first_pixel(found, image.shape)[0]


def test_regions_are_in_pixels_of_the_image(found, image):
    lines = region_file(found, image.shape).splitlines()
    assert len(lines) == 2 + len(found.clumps)
    c = found.clumps[0].candidate
    x, y, _ = (float(word) for word in lines[2].split("(")[1].split(")")[0].split(","))
    # DS9 counts pixels from 1; the middle of 55 is the 28th.
    assert x == pytest.approx(28 + c.x / PIXEL_SCALE, abs=1e-2)
    assert y == pytest.approx(28 + c.y / PIXEL_SCALE, abs=1e-2)
