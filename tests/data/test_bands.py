from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits
from astropy.io.fits import Header

from lenspinn.data import read_fits
from lenspinn.data.bands import find_image, plane_of
from lenspinn.data.fits_file import opened
from lenspinn.errors import ImageError

SHAPE = (3, 8, 8)


@pytest.mark.parametrize(
    "cards",
    [
        [("BANDS", "grz")],
        [("BANDS", "g, r, z")],
        [("BAND1", "g"), ("BAND2", "r"), ("BAND3", "z")],
        [("FILTER0", "g"), ("FILTER1", "r"), ("FILTER2", "z")],
    ],
)
def test_a_band_is_named_or_numbered_from_one(cards) -> None:
    headers = (Header(cards),)
    assert [plane_of(SHAPE, headers, band, "a.fits") for band in ("g", "R", "3")] == [0, 1, 2]


@pytest.mark.parametrize("band", [None, "0", "4", "y", "-1", "1.0", "9" * 40])
def test_without_a_band_that_is_there_the_error_names_them(band: str | None) -> None:
    with pytest.raises(ImageError, match=r"bands g, r, z.*choose one by band, from 1 to 3, or by"):
        plane_of(SHAPE, (Header([("BANDS", "grz")]),), band, "a.fits")


def test_more_axes_are_refused() -> None:
    with pytest.raises(ImageError, match=r"shape \(2, 3, 8, 8\), not one image"):
        plane_of((2, *SHAPE), (Header(),), "1", "a.fits")


def test_a_band_may_be_that_of_an_extension(tmp_path: Path) -> None:
    hdus = [fits.ImageHDU(np.full((8, 8), i), name=f"{b}_FLUX") for i, b in enumerate("GR")]
    fits.HDUList([fits.PrimaryHDU(), *hdus]).writeto(tmp_path / "a.fits")
    with opened(tmp_path / "a.fits") as file:
        assert find_image(file, None, "r") == 2
        assert find_image(file, None, None) == 1
        with pytest.raises(ImageError, match="no band 'z', only images G_FLUX, R_FLUX"):
            find_image(file, None, "z")


def test_an_image_of_that_filter_is_that_band(tmp_path: Path) -> None:
    header = Header([("FILTER", "F814W"), ("PIXSCALE", 0.05)])
    fits.PrimaryHDU(np.eye(8), header).writeto(tmp_path / "a.fits")
    assert read_fits(tmp_path / "a.fits", band="f814w").filter == "F814W"
    with pytest.raises(ImageError, match="has no band 'F606W'"):
        read_fits(tmp_path / "a.fits", band="F606W")
