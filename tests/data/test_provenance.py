import json
import subprocess

import pytest

from lenspinn.data import provenance as module
from lenspinn.data.provenance import (
    check_provenance,
    portable,
    portable_command,
    provenance,
)
from lenspinn.errors import DataError


def test_provenance_names_every_version_and_the_hardware():
    record = provenance()
    assert set(record["versions"]) == {"python", *module.PACKAGES}
    assert record["versions"]["torch"] is not None
    assert record["hardware"]["cores"] >= 1
    assert record["hardware"]["cpu"]


def test_provenance_survives_json_unchanged():
    assert json.loads(json.dumps(provenance())) == provenance()


def test_a_record_read_back_is_recognised():
    assert check_provenance(provenance()) == provenance()


@pytest.mark.parametrize(
    "record",
    [None, [], {}, {"versions": {}, "hardware": {}}, {"versions": [], "git": None, "hardware": {}}],
)
def test_what_is_no_provenance_is_refused(record):
    with pytest.raises(DataError, match="provenance is damaged"):
        check_provenance(record)


def test_a_package_that_is_not_installed_has_no_version():
    assert module._version("no-such-package-anywhere") is None


def test_a_folder_outside_a_checkout_has_no_commit(tmp_path):
    assert module._git(tmp_path) is None


def test_a_changed_package_file_makes_the_checkout_dirty(tmp_path):
    package = tmp_path / "package"
    package.mkdir()
    (package / "__init__.py").write_text("x = 1\n")
    _git(tmp_path, "init", "-q")
    _git(tmp_path, "add", "-A")
    _git(tmp_path, "-c", "user.name=a", "-c", "user.email=a@b", "commit", "-q", "-m", "start")
    clean = module._git(package)
    (tmp_path / "output.txt").write_text("made by a run, outside the package")
    assert clean == module._git(package)
    assert clean is not None
    assert not clean["dirty"]
    (package / "__init__.py").write_text("x = 2\n")
    assert module._git(package) == {"commit": clean["commit"], "dirty": True}


def _git(folder, *arguments):
    subprocess.run(["git", "-C", str(folder), *arguments], check=True, capture_output=True)


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("/somewhere/else/data.zarr", "data.zarr"),
        ("/somewhere/runs/first/model", "first/model"),
        ("../runs/first", "../runs/first"),
        ("data.zarr", "data.zarr"),
        ("/", ""),
    ],
)
def test_of_a_path_elsewhere_only_the_name_is_kept(path, name):
    assert portable(path) == name


def test_a_path_in_the_working_folder_begins_there(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    content = {"out": tmp_path / "runs" / "a", "inner": [(str(tmp_path / "b"), 3, None)]}
    assert portable(content) == {"out": "runs/a", "inner": [["b", 3, None]]}


def test_a_command_has_no_path_of_a_machine():
    command = "lenspinn train --data /x/y/data.zarr --out=/x/run --split '[0.8, 0.1, 0.1]'"
    expected = "lenspinn train --data data.zarr --out=run --split '[0.8, 0.1, 0.1]'"
    assert portable_command(command) == expected
