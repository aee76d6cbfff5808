"""Damaged and hostile FITS files: whatever the bytes are, one clear error or an image."""

import bz2
import gzip
import io
import random
import time
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lenspinn.cli import main
from lenspinn.errors import LenspinnError
from lenspinn.measure.companions import FileOptions, read_with_companions
from lenspinn.measure.noise_map import noise_of

SIDE = 20
MOST_SECONDS = 10.0
FAST = settings(
    max_examples=100, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck)
)
LONG = settings(FAST, max_examples=6000)

RNG = np.random.default_rng(7)
IMAGE = RNG.normal(size=(SIDE, SIDE)).astype(np.float32)
NOISE = RNG.uniform(0.5, 1.5, size=(SIDE, SIDE)).astype(np.float32)
PSF = np.outer([1, 2, 1], [1, 2, 1]).astype(np.float32)

WCS = [("CD1_1", -2e-5), ("CD1_2", 1e-6), ("CD2_1", 1e-6), ("CD2_2", 2e-5)]
KEYS = [
    "BITPIX", "NAXIS", "NAXIS1", "NAXIS2", "NAXIS3", "PCOUNT", "GCOUNT", "BZERO", "BSCALE", "BLANK",
    "EXTNAME", "EXTVER", "XTENSION", "SIMPLE", "EXTEND", "GROUPS", "CD1_1", "CD2_2", "CDELT1",
    "CDELT2", "PC1_1", "PC1_2", "CUNIT1", "CTYPE1", "PIXSCALE", "EXPTIME", "FILTER", "TELESCOP",
    "BUNIT", "MAGZERO", "PHOTFLAM", "PHOTPLAM", "OVERSAMP", "PSF_SAMP", "MP_DETECTED", "UTYPE",
    "ZNAXIS", "ZNAXIS1", "ZNAXIS2", "ZTILE1", "ZTILE2", "ZBITPIX", "ZCMPTYPE", "ZIMAGE", "ZVAL1",
    "ZVAL2", "ZQUANTIZ", "ZDITHER0", "TFIELDS", "TFORM1", "TTYPE1", "TFORM2", "THEAP", "END",
]  # fmt: skip
VALUES = [
    "NaN", "inf", "-1", "0", "1", "2", "3", "-32", "64", "2147483648", "9223372036854775807",
    "-9223372036854775808", "9" * 60, "1E308", "1E-300", "1E999", "T", "F", "'text'", "''", "",
    "(1.0, 2.0)", "'SCI'", "'ERR'", "'PSF'", "'IMAGE'", "'BINTABLE'", "'RICE_1'", "'HCOMPRESS_1'",
    "'1PB(9999999)'", "'arcsec'", "'2025-01-01'", "999", "'\x00\xff'",
]  # fmt: skip


def _bytes(*hdus: fits.hdu.base.ExtensionHDU) -> bytes:
    file = io.BytesIO()
    fits.HDUList(list(hdus)).writeto(file)
    return file.getvalue()


def _files() -> dict[str, bytes]:
    primary = fits.PrimaryHDU(header=fits.Header([*WCS, ("EXPTIME", 100.0)]))
    compressed = fits.Header([("PIXSCALE", 0.1)])
    return {
        "plain": _bytes(fits.PrimaryHDU(IMAGE, fits.Header([("PIXSCALE", 0.1)]))),
        "scaled": _bytes(fits.PrimaryHDU((100 * IMAGE).astype(np.uint16), fits.Header(WCS))),
        "extensions": _bytes(
            primary,
            fits.ImageHDU(IMAGE, fits.Header(WCS), name="SCI"),
            fits.ImageHDU(NOISE, name="ERR"),
            fits.ImageHDU((IMAGE > 3).astype(np.int32), name="DQ"),
            fits.ImageHDU(PSF, name="PSF"),
        ),
        "rice": _bytes(
            fits.PrimaryHDU(), fits.CompImageHDU(IMAGE, compressed, compression_type="RICE_1")
        ),
        "gzip": _bytes(
            fits.PrimaryHDU(), fits.CompImageHDU(IMAGE, compressed, compression_type="GZIP_2")
        ),
        "plio": _bytes(
            fits.PrimaryHDU(),
            fits.CompImageHDU((IMAGE > 0).astype(np.int16), compressed, compression_type="PLIO_1"),
        ),
        "cube": _bytes(fits.PrimaryHDU(np.stack([IMAGE] * 3), fits.Header([("BANDS", "grz")]))),
        "table": _bytes(
            fits.PrimaryHDU(),
            fits.BinTableHDU.from_columns([fits.Column("a", "E", array=IMAGE[0])]),
            fits.ImageHDU(IMAGE, fits.Header(WCS)),
        ),
    }


FILES = _files()


def flipped(content: bytearray, chance: random.Random) -> bytearray:
    for _ in range(chance.choice([1, 3, 20])):
        content[chance.randrange(len(content))] = chance.randrange(256)
    return content


def carded(content: bytearray, chance: random.Random) -> bytearray:
    """Give some cards other values, or put one in place of another."""
    starts = [i for i in range(0, len(content), 80) if content[i + 8 : i + 9] == b"="]
    for _ in range(chance.choice([1, 1, 2, 4])):
        start = chance.choice(starts)
        keyword = bytes(content[start : start + 8]).decode("latin-1")
        keyword = chance.choice([keyword, keyword, chance.choice(KEYS)])
        card = f"{keyword:<8}= {chance.choice(VALUES):>20}"[:80]
        content[start : start + 80] = card.ljust(80).encode("latin-1")
    return content


def cut(content: bytearray, chance: random.Random) -> bytearray:
    return content[: chance.randrange(len(content))]


def shuffled(content: bytearray, chance: random.Random) -> bytearray:
    blocks = [content[i : i + 2880] for i in range(0, len(content), 2880)]
    first, *others = blocks
    chance.shuffle(others)
    return bytearray(b"".join([first, *others, chance.choice([b"", *blocks])]))


def grown(content: bytearray, chance: random.Random) -> bytearray:
    return content + bytes(chance.randrange(256) for _ in range(chance.choice([1, 80, 2880])))


CHANGES: list[Callable[[bytearray, random.Random], bytearray]] = [
    flipped, carded, carded, carded, cut, shuffled, grown,
]  # fmt: skip


def _damaged(seed: int) -> bytes:
    chance = random.Random(seed)
    content = bytearray(FILES[chance.choice(sorted(FILES))])
    for _ in range(chance.choice([1, 1, 2])):
        content = chance.choice(CHANGES)(content, chance) or bytearray(b"S")
    if chance.random() < 0.1:
        content = bytearray(chance.choice([gzip.compress, bz2.compress])(bytes(content)))
        content = chance.choice([cut, flipped])(content, chance) or bytearray(b"S")
    return bytes(content)


def _reads(path: Path, **options: object) -> None:
    """Read a file as an image with all that comes with it; only a clear error may come of it."""
    start = time.monotonic()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)
            found, known = read_with_companions(path, FileOptions(**options))  # type: ignore[arg-type]
        assert found.data.ndim == 2
        assert found.data.dtype in (np.float32, np.float64)
        assert 0 < found.pixel_scale < np.inf
        noise_of(found.data, known.noise, known.mask)
    except LenspinnError as error:
        said = str(error)
    else:
        said = ""
    assert "\n" not in said
    assert len(said) < 1000
    assert time.monotonic() - start < MOST_SECONDS


def _try(seed: int, folder: Path) -> None:
    path = folder / "a.fits"
    path.write_bytes(_damaged(seed))
    _reads(path, **random.Random(seed).choice([{}, {"pixel_scale": 0.1}, {"band": 2}]))
    whole = folder / "whole.fits"
    whole.write_bytes(FILES["plain"])
    kind = random.Random(seed).choice(["noise", "psf", "mask"])
    _reads(whole, **{kind: path})


@FAST
@given(seed=st.integers(0, 2**32))
def test_a_damaged_file_is_read_or_refused(tmp_path_factory: pytest.TempPathFactory, seed: int):
    _try(seed, tmp_path_factory.getbasetemp())


@pytest.mark.slow
@LONG
@given(seed=st.integers(2**32, 2**40))
def test_many_damaged_files_are_read_or_refused(
    tmp_path_factory: pytest.TempPathFactory, seed: int
) -> None:
    _try(seed, tmp_path_factory.getbasetemp())


@pytest.mark.parametrize("name", sorted(FILES))
def test_the_files_are_sound_before_they_are_damaged(tmp_path: Path, name: str) -> None:
    path = tmp_path / "a.fits"
    path.write_bytes(FILES[name])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        found, _ = read_with_companions(path, FileOptions(pixel_scale=0.1, band=_band(name)))
    assert found.data.shape == (SIDE, SIDE)


def _band(name: str) -> int | None:
    return 1 if name == "cube" else None


HOSTILE = {
    "many axes": [("NAXIS", "2147483648")],
    "a long axis": [("NAXIS1", "2147483648")],
    "a huge image": [("NAXIS1", "1000000"), ("NAXIS2", "1000000")],
    "a negative axis": [("NAXIS2", "-20")],
    "no number": [("NAXIS1", "NaN")],
    "a singular matrix": [("PIXSCALE", "0"), ("BITPIX", "7")],
}


@pytest.mark.parametrize("cards", HOSTILE.values(), ids=HOSTILE)
@pytest.mark.parametrize("command", ["measure"])
def test_the_command_says_one_sentence_and_writes_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], command: str, cards: list[tuple[str, str]]
) -> None:
    content = FILES["plain"]
    for key, value in cards:
        start = content.index(f"{key:<8}=".encode())
        card = f"{key:<8}= {value:>20}".ljust(80).encode()
        content = content[:start] + card + content[start + 80 :]
    path = tmp_path / "a.fits"
    path.write_bytes(content)
    start_time = time.monotonic()
    assert main([command, str(path), "--out", str(tmp_path / "out")]) == 2
    assert time.monotonic() - start_time < MOST_SECONDS
    said = capsys.readouterr().err.strip()
    assert said.startswith("lenspinn: ")
    assert len(said.splitlines()) == 1
    assert "bug" not in said
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.fits"]
