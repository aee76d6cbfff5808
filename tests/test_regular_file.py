import os
from pathlib import Path

import pytest

from lenspinn.errors import ConfigError, DataError
from lenspinn.regular_file import require_regular_file


def test_a_file_has_its_size(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"abc")
    (tmp_path / "link").symlink_to(tmp_path / "a")
    assert require_regular_file(tmp_path / "a", "FITS") == 3
    assert require_regular_file(tmp_path / "link", "FITS") == 3


def test_a_pipe_is_refused_and_does_not_block(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(DataError, match="a pipe or a device, no regular file; give one"):
        require_regular_file(tmp_path / "pipe", "FITS")


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("/dev/zero", "a pipe or a device"),
        ("/", "it is a folder"),
        ("/nowhere/a.fits", "No such file or directory; check its name and folder"),
        ("a\0b", "is not the name of a file"),
        ("a" * 5000, "File name too long"),
    ],
)
def test_what_is_no_file_is_refused(path: str, said: str) -> None:
    with pytest.raises(DataError, match=said):
        require_regular_file(Path(path), "FITS")


def test_a_file_of_too_many_bytes_is_refused_in_the_words_of_its_reader(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(bytes(11))
    with pytest.raises(ConfigError, match=r"has 11 bytes, and at most 10 are read; shorten it$"):
        require_regular_file(
            tmp_path / "a", "text", most_bytes=10, error=ConfigError, remedy="shorten it"
        )
