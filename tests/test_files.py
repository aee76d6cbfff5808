import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from lenspinn import files
from lenspinn.errors import ConfigError, DataError, ModelError
from lenspinn.files import (
    MARKER,
    MAX_TEXT_BYTES,
    FolderLock,
    clear_drafts,
    draft_folder,
    read_json,
    read_text,
    write_whole,
)


def test_a_file_is_replaced_and_nothing_else_is_left(tmp_path: Path) -> None:
    path = tmp_path / "answer.json"
    path.write_bytes(b"old")
    assert write_whole(path, b"new") == path
    assert path.read_bytes() == b"new"
    assert list(tmp_path.iterdir()) == [path]


def test_a_file_that_looks_like_a_draft_is_not_touched(tmp_path: Path) -> None:
    mine = tmp_path / "answer.json.part"
    mine.write_bytes(b"years of work")
    write_whole(tmp_path / "answer.json", b"new")
    assert mine.read_bytes() == b"years of work"


def test_what_a_killed_write_left_is_removed_and_nothing_else(tmp_path: Path) -> None:
    ours = tmp_path / f".0123456789abcdef{MARKER}"
    others = [tmp_path / f".notes{MARKER}", tmp_path / "answer.part"]
    for path in (ours, *others):
        path.write_text("half")
    clear_drafts(tmp_path)
    assert not ours.exists()
    assert all(path.exists() for path in others)


def test_a_failing_write_keeps_the_old_file_and_leaves_no_draft(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "answer.json"
    path.write_bytes(b"old")

    def fail(_: Path, content: bytes) -> int:
        raise OSError(28, f"no space for {len(content)} bytes")

    monkeypatch.setattr(Path, "write_bytes", fail)
    with pytest.raises(OSError, match="no space"):
        write_whole(path, b"new")
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("exists", [False, True])
def test_a_folder_appears_whole(tmp_path: Path, exists: bool) -> None:
    out = tmp_path / "deep" / "out"
    if exists:
        out.mkdir(parents=True)
    with draft_folder(out) as draft:
        (draft / "a").write_text("a")
        assert not out.exists() or not any(out.iterdir())
    assert [path.name for path in out.iterdir()] == ["a"]
    assert list(out.parent.iterdir()) == [out]


def draft_and_stop(out: Path) -> None:
    with draft_folder(out) as draft:
        (draft / "a").write_text("a")
        raise KeyboardInterrupt


def test_a_draft_that_fails_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        draft_and_stop(tmp_path / "out")
    assert list(tmp_path.iterdir()) == []


def be_overtaken(out: Path) -> None:
    with draft_folder(out):
        out.mkdir()
        (out / "thesis.tex").write_text("years of work")


def test_a_folder_that_is_there_first_stays(tmp_path: Path) -> None:
    out = tmp_path / "out"
    with pytest.raises(FileExistsError, match="by another process meanwhile: wait"):
        be_overtaken(out)
    assert (out / "thesis.tex").read_text() == "years of work"
    assert list(tmp_path.iterdir()) == [out]


def test_the_folder_one_works_in_is_not_replaced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigError, match="is the folder you work in"), draft_folder(Path()):
        pass


def test_a_link_to_an_empty_folder_is_followed(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    with draft_folder(tmp_path / "link") as draft:
        (draft / "a").write_text("a")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "real" / "a").read_text() == "a"


DIE_IN_A_DRAFT = """
import os, signal, sys
from pathlib import Path
from lenspinn.files import draft_folder
with draft_folder(Path(sys.argv[1])) as draft:
    (draft / "half").write_text("half")
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_what_a_killed_process_left_is_removed_and_nothing_else(tmp_path: Path) -> None:
    out = tmp_path / "out"
    subprocess.run([sys.executable, "-c", DIE_IN_A_DRAFT, str(out)], check=False)
    (stale,) = tmp_path.iterdir()
    assert (stale / "half").read_text() == "half"
    others = [
        tmp_path / "out.part",
        tmp_path / "out.creating",
        tmp_path / f".0123456789abcdef{MARKER}",
    ]
    for other in others:
        other.mkdir()
        (other / "thesis.tex").write_text("years of work")
    with draft_folder(out):
        assert not stale.exists()
    assert all((other / "thesis.tex").exists() for other in others)


def test_a_draft_that_is_being_written_is_not_removed(tmp_path: Path) -> None:
    with draft_folder(tmp_path / "out") as first:
        with pytest.raises(KeyboardInterrupt):
            draft_and_stop(tmp_path / "out")
        assert first.exists()


def test_a_draft_of_another_folder_is_not_removed(tmp_path: Path) -> None:
    draft, named = tmp_path / f".0123456789abcdef{MARKER}", tmp_path / f".thesis{MARKER}"
    for folder, content in ((draft, "output"), (named, "out")):
        folder.mkdir()
        (folder / MARKER).write_text(content)
    with draft_folder(tmp_path / "out"):
        pass
    assert (draft / MARKER).exists()
    assert (named / MARKER).exists()


def test_a_folder_is_held_by_one_and_free_afterwards(tmp_path: Path) -> None:
    lock = FolderLock(tmp_path)
    with pytest.raises(DataError, match="being written by another process: wait"):
        FolderLock(tmp_path)
    lock.release()
    again = FolderLock(tmp_path)
    del again
    FolderLock(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_without_locks_of_the_file_system_a_folder_is_free(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def none_here(*_: int) -> None:
        raise OSError(37, "No locks available")

    monkeypatch.setattr(files.fcntl, "flock", none_here)
    assert FolderLock(tmp_path).release is not FolderLock(tmp_path).release


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"\xff\xfe", "cannot be read .it is not text in UTF-8"),
        (b"{", "is not valid JSON"),
        (b"[1]", "must hold a JSON object, not list"),
        (b"[" * 100_000, "is not valid JSON"),
        (b"9" * 10_000, "is not valid JSON"),
    ],
)
def test_json_that_is_none_gives_one_sentence(tmp_path: Path, content: bytes, message: str) -> None:
    (tmp_path / "a.json").write_bytes(content)
    with pytest.raises(ModelError, match=message):
        read_json(tmp_path / "a.json", ModelError)


def test_json_is_read(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text(json.dumps({"a": [1, None]}))
    assert read_json(tmp_path / "a.json") == {"a": [1, None]}


def test_what_is_no_regular_file_is_not_opened(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for name in ("pipe", "."):
        with pytest.raises(DataError, match="no regular file"):
            read_text(tmp_path / name)


def test_a_huge_text_is_refused_unread(tmp_path: Path) -> None:
    with (tmp_path / "huge").open("wb") as file:
        file.truncate(MAX_TEXT_BYTES + 1)
    with pytest.raises(DataError, match=f"at most {MAX_TEXT_BYTES} are read"):
        read_text(tmp_path / "huge")


def test_a_missing_text_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="nowhere cannot be read as text: No such file"):
        read_text(tmp_path / "nowhere")
