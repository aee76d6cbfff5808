import numpy as np
import pytest
from astropy.io.fits import Header
from astropy.wcs import WCS

from lenspinn.data.celestial import arcsec_cards, celestial_of

SCALE = 0.05 / 3600
RA, DEC = 149.15, 51.0
# Degrees: a thousandth of a pixel.
SAME = SCALE / 1000


def header_of(angle: float = 0.0, flipped: bool = False, **cards) -> Header:
    """North is `angle` degrees from up, counter-clockwise; east is left, or right if flipped."""
    turn = np.radians(angle)
    north = np.array([-np.sin(turn), np.cos(turn)])
    east = np.array([-np.cos(turn), -np.sin(turn)]) * (-1 if flipped else 1)
    matrix = SCALE * np.stack([east, north])
    values = {"NAXIS": 2, "NAXIS1": 200, "NAXIS2": 100, "CTYPE1": "RA---TAN", "CTYPE2": "DEC--TAN"}
    values |= {"CRVAL1": RA, "CRVAL2": DEC, "CRPIX1": 100.5, "CRPIX2": 40.0}
    values |= {f"CD{i + 1}_{j + 1}": matrix[i, j] for i in (0, 1) for j in (0, 1)}
    return Header(values | cards)


def test_the_reference_pixel_lies_at_the_reference_position() -> None:
    celestial = celestial_of([header_of(30.0)])
    assert celestial is not None
    assert celestial.position(99.5, 39.0) == pytest.approx((RA, DEC), abs=SAME)
    assert celestial.pixel(RA, DEC) == pytest.approx((99.5, 39.0), abs=1e-6)
    assert celestial.equatorial
    assert celestial.frame == "ICRS"


@pytest.mark.parametrize("angle", [0.0, 30.0, -117.0])
@pytest.mark.parametrize("flipped", [False, True])
@pytest.mark.parametrize("first", [(70, 20), (-5, 30)])
def test_a_cutout_keeps_flip_and_rotation_and_every_position(angle, flipped, first) -> None:
    whole = celestial_of([header_of(angle, flipped)])
    assert whole is not None
    cutout = WCS(whole.cards(*first))
    for column, row in ((0, 0), (7, 31)):
        there = cutout.all_pix2world([[column, row]], 0)[0]
        expected = whole.position(float(column + first[0]), float(row + first[1]))
        assert tuple(there) == pytest.approx(expected, abs=SAME)


def test_distortions_move_with_a_cutout() -> None:
    distorted = {"CTYPE1": "RA---TAN-SIP", "CTYPE2": "DEC--TAN-SIP", "A_ORDER": 2, "B_ORDER": 2}
    whole = celestial_of([header_of(10.0, **distorted, A_2_0=1e-4, B_1_1=-2e-4)])
    assert whole is not None
    header = whole.cards(60, 20)
    header["NAXIS1"] = header["NAXIS2"] = 31
    there = WCS(header).all_pix2world([[3, 4]], 0)[0]
    assert tuple(there) == pytest.approx(whole.position(63.0, 24.0), abs=SAME)


@pytest.mark.parametrize(
    ("angle", "flipped", "axis", "expected"),
    [
        (0.0, False, 90.0, 0.0),  # north is up
        (0.0, False, 0.0, 90.0),
        (0.0, False, 120.0, 30.0),
        (0.0, True, 120.0, 150.0),
        (90.0, False, 180.0, 0.0),  # north is to the left
        (90.0, False, 30.0, 30.0),
        (30.0, False, 120.0, 0.0),
    ],
)
def test_position_angles_go_from_north_to_east(angle, flipped, axis, expected) -> None:
    celestial = celestial_of([header_of(angle, flipped)])
    assert celestial is not None
    off = celestial.east_of_north(99.5, 39.0, axis) - expected
    assert abs((off + 90) % 180 - 90) < 1e-3  # 180 degrees are 0


@pytest.mark.parametrize(
    "headers",
    [
        [],
        [Header()],
        [header_of(CTYPE1="LINEAR", CTYPE2="LINEAR")],
        [header_of(CTYPE1="RA---XXX")],
        [header_of(CD1_1=0.0, CD1_2=0.0)],
        [header_of(CRVAL1="here")],
    ],
)
def test_without_a_sky_that_can_be_used_there_is_none(headers: list[Header]) -> None:
    assert celestial_of(headers) is None


def test_the_header_of_the_file_counts_where_that_of_the_image_says_nothing() -> None:
    assert celestial_of([Header({"NAXIS1": 200, "NAXIS2": 100}), header_of()]) is not None


def test_an_image_that_is_not_on_the_sky_has_arcsec_from_its_middle() -> None:
    wcs = WCS(arcsec_cards(5, 0.01))
    assert wcs.pixel_to_world_values(2, 2) == pytest.approx((0, 0), abs=1e-12)
    assert [str(unit) for unit in wcs.wcs.cunit] == ["arcsec", "arcsec"]
    assert wcs.pixel_to_world_values(4, 2)[0] == pytest.approx(0.02)
