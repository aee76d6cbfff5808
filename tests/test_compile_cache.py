import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from lenspinn.compile_cache import VARIABLE, ensure_compile_cache


def test_a_folder_that_can_be_made_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, str(tmp_path / "cache"))
    assert ensure_compile_cache() is None
    assert os.environ[VARIABLE] == str(tmp_path / "cache")


def test_a_folder_that_cannot_be_made_is_replaced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    for impossible in (tmp_path / "file", tmp_path / "file" / "cache"):
        monkeypatch.setenv(VARIABLE, str(impossible))
        folder = ensure_compile_cache()
        assert folder is not None
        assert folder.is_dir()
        assert os.environ[VARIABLE] == str(folder)
        shutil.rmtree(folder)


def test_a_folder_that_must_not_be_written_to_is_replaced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(VARIABLE, str(tmp_path))
    monkeypatch.setattr(os, "access", lambda *_: False)
    folder = ensure_compile_cache()
    assert folder is not None
    shutil.rmtree(folder)


def test_lenspinn_is_imported_where_torch_has_no_place_for_its_code(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    done = subprocess.run(
        [sys.executable, "-c", "import lenspinn.errors, torch._dynamo"],
        env=os.environ | {VARIABLE: str(tmp_path / "file" / "cache")},
        capture_output=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr.decode()[-500:]
