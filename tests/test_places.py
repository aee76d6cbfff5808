from pathlib import Path

import pytest

from lenspinn.errors import ConfigError
from lenspinn.places import check_output, check_own


@pytest.mark.parametrize("name", [".", "/", "..", "a/.."])
def test_a_place_without_a_name_of_its_own_is_refused(name: str) -> None:
    with pytest.raises(ConfigError, match="which is no name: give that of a new folder"):
        check_output(Path(name), "out")


def test_a_file_or_a_place_in_one_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    check_output(tmp_path / "new" / "folder", "out")
    for name in ("file", "file/inside"):
        with pytest.raises(ConfigError, match="file is a file: give another folder"):
            check_output(tmp_path / name, "out")


def test_files_of_somebody_else_are_not_replaced(tmp_path: Path) -> None:
    check_own(tmp_path, "out", mark="cells", replaced=["README.md"])
    (tmp_path / "README.md").touch()
    with pytest.raises(ConfigError, match=r"whose README\.md was not written here"):
        check_own(tmp_path, "out", mark="cells", replaced=["README.md"])
    (tmp_path / "cells").mkdir()
    check_own(tmp_path, "out", mark="cells", replaced=["README.md"])
