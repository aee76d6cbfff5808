import os
from pathlib import Path

import pytest

from lenspinn.data.regular_file import require_regular_file
from lenspinn.errors import DataError


def test_a_file_has_its_size(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"abc")
    (tmp_path / "link").symlink_to(tmp_path / "a")
    assert require_regular_file(tmp_path / "a", "FITS") == 3
    assert require_regular_file(tmp_path / "link", "FITS") == 3


def test_a_pipe_is_refused_and_does_not_block(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(DataError, match="it is a pipe or a device; give a regular file"):
        require_regular_file(tmp_path / "pipe", "FITS")


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("/dev/zero", "a pipe or a device"),
        ("/", "it is a folder"),
        ("/nowhere/a.fits", "No such file"),
        ("a\0b", "is not the name of a file"),
        ("a" * 5000, "File name too long"),
    ],
)
def test_what_is_no_file_is_refused(path: str, said: str) -> None:
    with pytest.raises(DataError, match=said):
        require_regular_file(Path(path), "FITS")
