import bz2
import gzip
import io
import lzma
import zipfile
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits

from lenspinn.data import fits_file, fits_sizes
from lenspinn.data.fits_file import opened
from lenspinn.errors import DataError, ImageError

IMAGE = np.arange(600, dtype=np.float32).reshape(20, 30)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    hdus = [fits.PrimaryHDU(IMAGE), fits.ImageHDU(IMAGE[None, None].astype(float), name="ERR")]
    fits.HDUList(hdus).writeto(tmp_path / "a.fits")
    return tmp_path / "a.fits"


def zipped(content: bytes, names: tuple[str, ...] = ("a.fits",)) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name in names:
            archive.writestr(name, content)
    return file.getvalue()


PACKED = {"gz": gzip.compress, "bz2": bz2.compress, "xz": lzma.compress, "zip": zipped}


def test_extensions_have_names_shapes_and_pixels(path: Path) -> None:
    with opened(path) as file:
        assert [file.name(i) for i in range(len(file))] == ["", "ERR"]
        assert [file.shape(i) for i in range(len(file))] == [(20, 30), (20, 30)]
        first, second = file.pixels(0), file.pixels(1)
    np.testing.assert_array_equal(first, IMAGE)
    assert (first.dtype, second.dtype) == (np.float32, np.float64)
    assert first.dtype.isnative


@pytest.mark.parametrize("kind", PACKED)
def test_a_file_may_be_compressed_as_a_whole(path: Path, kind: str) -> None:
    path.write_bytes(PACKED[kind](path.read_bytes()))
    with opened(path) as file:
        np.testing.assert_array_equal(file.pixels(0), IMAGE)


@pytest.mark.parametrize("kind", PACKED)
def test_a_truncated_archive_is_refused(path: Path, kind: str) -> None:
    content = PACKED[kind](path.read_bytes())
    path.write_bytes(content[: len(content) // 2])
    with pytest.raises(DataError, match="what is compressed in it cannot be read"), opened(path):
        pass


def test_an_archive_of_two_files_is_refused(path: Path) -> None:
    path.write_bytes(zipped(path.read_bytes(), ("a.fits", "b.fits")))
    with pytest.raises(DataError, match="it holds 2 files, not one"), opened(path):
        pass


def test_what_unpacks_to_too_much_is_refused(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path.write_bytes(gzip.compress(path.read_bytes()))
    monkeypatch.setattr(fits_file, "MOST_UNPACKED", 4000)
    with pytest.raises(DataError, match="more than 4000 bytes"), opened(path):
        pass


def test_an_image_that_is_too_large_is_refused(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fits_file, "MOST_PIXELS", 500)
    assert fits_sizes.MOST_PIXELS > 500
    with opened(path) as file, pytest.raises(ImageError, match="20 x 30 pixels; cut out the lens"):
        file.pixels(0)


def test_damaged_compressed_pixels_are_one_error(tmp_path: Path) -> None:
    path = tmp_path / "a.fits"
    compressed = fits.CompImageHDU(IMAGE, compression_type="GZIP_1")
    fits.HDUList([fits.PrimaryHDU(), compressed]).writeto(path)
    content = bytearray(path.read_bytes())
    middle = content.rindex(b"\x1f\x8b") + 10
    content[middle : middle + 20] = bytes(range(200, 220))
    path.write_bytes(content)
    with opened(path) as file, pytest.raises(DataError, match="the image of extension 1 cannot be"):
        file.pixels(1)
