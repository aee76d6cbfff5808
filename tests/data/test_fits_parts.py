from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits
from astropy.io.fits import Header

from lenspinn.data.fits_parts import read_own_parts, read_part
from lenspinn.errors import ImageError

IMAGE = np.random.default_rng(5).uniform(1, 2, (6, 6)).astype(np.float32)


def file_of(path: Path, **extensions: tuple[np.ndarray, list]) -> Path:
    hdus = [fits.ImageHDU(data, Header(cards), name=n) for n, (data, cards) in extensions.items()]
    fits.HDUList([fits.PrimaryHDU(), *hdus]).writeto(path)
    return path


def test_parts_of_the_file_of_an_image_are_found(tmp_path: Path) -> None:
    path = file_of(
        tmp_path / "a.fits", SCI=(IMAGE, []), VAR=(IMAGE**2, [("BUNIT", "nJy2")]), PSF=(IMAGE, [])
    )
    parts = read_own_parts(path, 1, ("noise", "psf", "mask"), hdus={}, band=None)
    assert set(parts) == {"noise", "psf"}
    assert (parts["noise"].role, parts["noise"].unit) == ("variance", "nJy2")
    assert parts["noise"].label == "extension 2 (VAR) of a.fits"
    assert parts["noise"].own
    assert set(read_own_parts(path, 1, ("psf",), hdus={}, band=None)) == {"psf"}


@pytest.mark.parametrize(
    ("utype", "role"),
    [("StdDevUncertainty", "noise"), ("VarianceUncertainty", "variance"),
     ("InverseVariance", "weight")],
)  # fmt: skip
def test_what_ccddata_writes_is_told_by_utype(tmp_path: Path, utype: str, role: str) -> None:
    path = file_of(tmp_path / "a.fits", UNCERT=(IMAGE, [("UTYPE", utype)]))
    assert read_part(path, "noise").role == role


def test_for_want_of_a_name_that_of_the_file_tells(tmp_path: Path) -> None:
    fits.PrimaryHDU(IMAGE).writeto(tmp_path / "lens_weight.fits")
    part = read_part(tmp_path / "lens_weight.fits", "noise")
    assert (part.role, part.own) == ("weight", False)


@pytest.mark.parametrize(
    ("cards", "scale", "oversampling"),
    [
        ([("PIXELSCL", 0.025)], 0.025, None),
        ([("OVERSAMP", 4)], None, 4.0),
        ([("PSF_SAMP", 0.5)], None, 2.0),
        ([("OVERSAMP", -4)], None, None),
        ([], None, None),
    ],
)
def test_a_psf_may_state_its_scale(tmp_path: Path, cards, scale, oversampling) -> None:
    part = read_part(file_of(tmp_path / "a.fits", PSF=(IMAGE, cards)), "psf")
    assert (part.pixel_scale, part.oversampling) == (scale, oversampling)


def test_a_psf_whose_scale_cannot_be_read_is_refused(tmp_path: Path) -> None:
    path = file_of(tmp_path / "a.fits", PSF=(IMAGE, [("CD1_1", "x"), ("CD2_2", 1e-5)]))
    with pytest.raises(ImageError, match=r"no number in CD1_1, .* write its scale as PIXSCALE"):
        read_part(path, "psf")


def test_a_mask_is_bad_where_it_is_not_zero_but_for_planes_of_sources(tmp_path: Path) -> None:
    flags = np.array([[0, 1, 32], [33, 8, 0]])
    plain = file_of(tmp_path / "a.fits", MASK=(flags, []))
    np.testing.assert_array_equal(read_part(plain, "mask").data, flags != 0)
    planes = [("HIERARCH MP_BAD", 0), ("HIERARCH MP_DETECTED", 5)]
    rubin = file_of(tmp_path / "b.fits", MASK=(flags, planes))
    np.testing.assert_array_equal(read_part(rubin, "mask").data, (flags & ~32) != 0)
    holes = file_of(tmp_path / "c.fits", MASK=(np.array([[0.0, np.nan]]), []))
    np.testing.assert_array_equal(read_part(holes, "mask").data, [[0, 1]])
