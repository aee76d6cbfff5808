import warnings

import numpy as np
import pytest
from astropy.io.fits import Header
from astropy.wcs import WCS
from astropy.wcs.utils import proj_plane_pixel_scales
from hypothesis import given, settings
from hypothesis import strategies as st

from lenspinn.data.pixel_scale import (
    find_pixel_scale,
    square_pixel_scale,
    stated_pixel_scale,
)
from lenspinn.errors import ImageError

SCALE, DEGREES = 0.05, 0.05 / 3600


def found(*cards: tuple[str, object], primary: Header | None = None) -> float | None:
    return find_pixel_scale((Header(list(cards)), primary or Header()), "a.fits")


@pytest.mark.parametrize(
    "cards",
    [
        [("CD1_1", -DEGREES), ("CD2_2", DEGREES)],
        [("CD1_2", DEGREES), ("CD2_1", DEGREES)],
        [("CDELT1", -DEGREES), ("CDELT2", DEGREES)],
        [("PC1_1", -DEGREES), ("PC2_2", DEGREES)],
        [("PC1_1", -DEGREES), ("PC2_2", DEGREES), ("CDELT1", 1.0), ("CDELT2", 1.0)],
        [("CDELT1", -0.05), ("CDELT2", 0.05), ("CUNIT1", "ARCSEC"), ("CUNIT2", "arcsec")],
        [("CDELT1", -50.0), ("CDELT2", 50.0), ("CUNIT1", "mas"), ("CUNIT2", "mas")],
        [("PIXSCAY", 0.05), ("PIXSCAX", 0.05)],
        [("SECPIX", 0.05)],
        [("SECPIX1", -0.05), ("SECPIX2", 0.05)],
        [("PIXELSCL", 0.05)],
        [("PIXSCAL1", 0.05), ("PIXSCAL2", 0.05)],
        [("CDELT1", 1.0), ("CDELT2", 1.0), ("PIXSCALE", 0.05)],
        [("CD1_1", 0.0), ("CD2_2", 0.0), ("PIXSCALE", 0.05)],
    ],
)
def test_a_scale_is_found_however_it_is_stated(cards) -> None:
    assert found(*cards) == pytest.approx(SCALE)


def test_the_matrix_of_the_file_counts_where_the_image_has_none() -> None:
    primary = Header([("CD1_1", -DEGREES), ("CD2_2", DEGREES)])
    assert found(primary=primary) == pytest.approx(SCALE)
    assert found(("CDELT1", 2 * DEGREES), ("CDELT2", 2 * DEGREES), primary=primary) == (
        pytest.approx(2 * SCALE)
    )


@pytest.mark.parametrize("key", ["CD1_1", "CDELT1", "PC1_2"])
@pytest.mark.parametrize("value", ["NaN", "'abc'", "(1.0, 2.0)", "", "1E999", "T"])
def test_a_card_of_the_matrix_that_is_no_number_is_refused(key: str, value: str) -> None:
    header = Header([("CDELT1", DEGREES), ("CDELT2", DEGREES)])
    lines = [str(c) for c in header.cards if c.keyword != key]
    bad = Header.fromstring("".join([*lines, f"{key:<8}= {value:>20}".ljust(80)]))
    with pytest.raises(ImageError, match=rf"no number in {key}, .* give it as pixel_scale"):
        find_pixel_scale((bad,), "a.fits")


@pytest.mark.parametrize(
    ("matrix", "said"),
    [
        ([[1, 1], [0, 0]], "sheared or have no area"),
        ([[1, 1], [1, 1]], "sheared or have no area"),
        ([[1, 0.5], [0, 0.866]], "sheared or have no area"),
        ([[1, 0], [0, 2]], r"0\.05 x 0\.1 arcsec"),
        ([[1, 0], [0, 0]], r"0\.05 x 0 arcsec"),
    ],
)
def test_pixels_that_are_not_square_are_refused(matrix, said: str) -> None:
    names = [f"CD{i}_{j}" for i in (1, 2) for j in (1, 2)]
    values = [float(value) for value in DEGREES * np.ravel(matrix)]
    with pytest.raises(ImageError, match=said):
        found(*zip(names, values, strict=True))
    with pytest.raises(ImageError, match=said):
        square_pixel_scale(SCALE * np.array(matrix, dtype=float), "a.fits")


def test_nothing_plausible_is_no_scale() -> None:
    assert found(("CDELT1", 1.0), ("CDELT2", 1.0)) is None
    assert found(("PIXSCALE", 0.0)) is None
    with pytest.raises(ImageError, match="does not state its pixel scale"):
        stated_pixel_scale((Header(),), "a.fits")


@settings(max_examples=40, deadline=None, derandomize=True)
@given(
    angle=st.floats(0, 6.3),
    scale=st.floats(0.01, 5),
    flip=st.booleans(),
    with_cdelt=st.booleans(),
)
def test_it_agrees_with_astropy(angle: float, scale: float, flip: bool, with_cdelt: bool) -> None:
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    matrix = turn * (scale / 3600) @ np.diag([-1.0 if flip else 1.0, 1.0])
    header = Header([("CTYPE1", "RA---TAN"), ("CTYPE2", "DEC--TAN")])
    for i in (0, 1):
        if with_cdelt:
            header[f"CDELT{i + 1}"] = scale / 3600
        for j in (0, 1):
            key = f"{'PC' if with_cdelt else 'CD'}{i + 1}_{j + 1}"
            header[key] = float(matrix[i, j] / (scale / 3600 if with_cdelt else 1))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        expected = proj_plane_pixel_scales(WCS(header)).mean() * 3600
    assert find_pixel_scale((header,), "a.fits") == pytest.approx(expected, rel=1e-6)
