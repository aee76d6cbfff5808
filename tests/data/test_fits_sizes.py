import io

import numpy as np
import pytest
from astropy.io import fits

from lenspinn.data.fits_sizes import Declared, declared_extensions
from lenspinn.errors import DataError

IMAGE = np.arange(600, dtype=np.float32).reshape(20, 30)


def content_of(*hdus: object) -> bytes:
    file = io.BytesIO()
    fits.HDUList(list(hdus)).writeto(file)
    return file.getvalue()


def declared(content: bytes) -> list[Declared]:
    return declared_extensions(io.BytesIO(content), len(content), "a.fits")


def with_card(content: bytes, key: str, value: str) -> bytes:
    start = content.index(f"{key:<8}=".encode())
    return content[:start] + f"{key:<8}= {value:>20}".ljust(80).encode() + content[start + 80 :]


def test_extensions_are_listed_with_the_shapes_of_their_images() -> None:
    content = content_of(
        fits.PrimaryHDU(),
        fits.ImageHDU(IMAGE),
        fits.BinTableHDU.from_columns([fits.Column("a", "E", array=[1.0])]),
        fits.CompImageHDU(IMAGE),
    )
    found = declared(content)
    assert [(one.kind, one.shape, one.compressed) for one in found] == [
        ("IMAGE", (), False),
        ("IMAGE", (20, 30), False),
        ("BINTABLE", (), False),
        ("IMAGE", (20, 30), True),
    ]


def test_what_tapes_were_filled_up_with_is_left_alone() -> None:
    assert len(declared(content_of(fits.PrimaryHDU(IMAGE)) + bytes(5760))) == 1


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        ("NAXIS", "2147483648", "has NAXIS 2147483648"),
        ("NAXIS1", "1000000", "declares 80000000 bytes of data"),
        ("NAXIS1", "NaN", "has NAXIS1 NaN"),
        ("NAXIS2", "-3", "has NAXIS2 -3"),
        ("NAXIS", "3", "has NAXIS3 missing"),
        ("BITPIX", "7", "has BITPIX 7; it must be one of"),
    ],
)
def test_what_a_file_cannot_hold_is_refused_before_it_is_read(key, value, said) -> None:
    content = with_card(content_of(fits.PrimaryHDU(IMAGE)), key, value)
    with pytest.raises(DataError, match=f"a.fits is truncated or corrupt: .*{said}"):
        declared(content)


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        ("ZTILE1", "2147483648", "has ZTILE1"),
        ("ZTILE1", "30000000", "in tiles larger than its image"),
        ("ZCMPTYPE", "'HCOMPRESS_1'", "compressed by HCOMPRESS_1, none of .* unpack it"),
        ("ZNAXIS", "20000", "has ZNAXIS 20000"),
    ],
)
def test_absurd_compression_is_refused(key: str, value: str, said: str) -> None:
    content = with_card(content_of(fits.PrimaryHDU(), fits.CompImageHDU(IMAGE)), key, value)
    with pytest.raises(DataError, match=said):
        declared(content)


def test_a_header_without_end_is_refused() -> None:
    content = content_of(fits.PrimaryHDU(IMAGE)).replace(b"END" + b" " * 77, b" " * 80, 1)
    with pytest.raises(DataError, match="a header of it has no end"):
        declared(content)


def test_bytes_after_the_last_extension_are_refused() -> None:
    with pytest.raises(DataError, match="after extension 0 come bytes that are no FITS"):
        declared(content_of(fits.PrimaryHDU(IMAGE)) + b"more" * 100)
