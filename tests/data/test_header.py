import pytest
from astropy.io.fits import Header

from lenspinn.data.header import card, filter_name, number, text, zero_point


def header(*cards: tuple[str, object]) -> Header:
    return Header(list(cards))


def test_the_own_header_counts_before_that_of_the_file() -> None:
    headers = (header(("BUNIT", " nJy ")), header(("BUNIT", "Jy"), ("EXPTIME", 20)))
    assert text(headers, "BUNIT") == "nJy"
    assert number(headers, "EXPTIME") == 20
    assert text(headers, "FILTER") is None


@pytest.mark.parametrize("value", ["NaN", "inf", "(1.0, 2.0)", "'20'", "T", "", "1E999"])
def test_a_bad_card_is_as_good_as_none(value: str) -> None:
    bad = Header.fromstring(f"{'EXPTIME':<8}= {value:>20}".ljust(80))
    assert number((bad, header(("TEXPTIME", 5.0))), "EXPTIME", "TEXPTIME") == 5.0


def test_a_card_that_cannot_be_parsed_has_no_value() -> None:
    assert card(Header.fromstring("EXPTIME =                  NaN".ljust(80)), "EXPTIME") is None


def test_a_number_too_long_for_a_float_is_none() -> None:
    assert number((Header.fromstring(("A       = " + "9" * 70).ljust(80)),), "A") is not None
    assert number((header(("A", True)),), "A") is None


@pytest.mark.parametrize(
    ("cards", "name"),
    [
        ([("FILTER", "F814W"), ("FILTER1", "CLEAR1L")], "F814W"),
        ([("FILTER1", "CLEAR1L"), ("FILTER2", "F814W")], "F814W"),
        ([("FILTER1", "F606W"), ("FILTER2", "CLEAR2S")], "F606W"),
        ([("FILTER1", "F606W"), ("FILTER2", "POL0V")], "F606W POL0V"),
        ([("FILTER", "CLEAR"), ("FILTNAM1", "F555W")], "F555W"),
        ([("FILTER1", "CLEAR1L"), ("FILTER2", "CLEAR2L")], None),
    ],
)
def test_the_filter_is_that_of_the_wheel_that_is_not_clear(cards, name) -> None:
    assert filter_name((header(*cards),)) == name


def test_a_zero_point_follows_from_photflam_and_photplam() -> None:
    # Of ACS/WFC F814W.
    found = zero_point((header(("PHOTFLAM", 7.07e-20), ("PHOTPLAM", 8045.0)),))
    assert found == pytest.approx(25.94, abs=0.05)
    assert zero_point((header(("PHOTFLAM", 0.0), ("PHOTPLAM", 8045.0)),)) is None
    assert zero_point((header(("MAGZERO", 24.6)),)) == 24.6
