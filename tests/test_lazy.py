import ast
import importlib
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

import lenspinn
from lenspinn.lazy import imported_names

ROOMS = sorted(
    ".".join(("lenspinn", *path.parent.relative_to(Path(lenspinn.__file__).parent).parts))
    for path in Path(lenspinn.__file__).parent.rglob("__init__.py")
    if "lazy_package(__name__)" in path.read_text()
)


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """A lazy package with a function that has the name of its module."""
    folder = tmp_path / "few_names"
    folder.mkdir()
    (folder / "__init__.py").write_text(
        "from typing import TYPE_CHECKING\n"
        "from lenspinn.lazy import lazy_package\n"
        "if TYPE_CHECKING:\n"
        "    from few_names.work import work, other as rest\n"
        "lazy_package(__name__)\n"
    )
    (folder / "work.py").write_text("def work(): return 1\ndef other(): return 2\n")
    (folder / "aside.py").write_text("NUMBER = 3\n")
    monkeypatch.syspath_prepend(tmp_path)
    yield importlib.import_module("few_names")
    for name in [name for name in sys.modules if name.startswith("few_names")]:
        del sys.modules[name]


def test_a_name_is_imported_when_it_is_asked_for(package):
    assert "few_names.work" not in sys.modules
    assert package.rest() == 2
    assert "few_names.work" in sys.modules


def test_a_function_keeps_its_name_when_the_module_of_that_name_is_imported(package):
    importlib.import_module("few_names.work")
    assert package.work() == 1


def test_a_submodule_is_imported_when_it_is_asked_for(package):
    assert package.aside.NUMBER == 3


def test_a_name_that_is_nowhere_is_an_attribute_error(package):
    with pytest.raises(AttributeError, match="module 'few_names' has no attribute 'play'"):
        package.play  # noqa: B018


def test_its_names_are_listed_before_they_are_imported(package):
    assert {"work", "rest"} <= set(dir(package))


def test_names_imported_in_a_branch_are_found_too():
    tree = ast.parse("from a import b\nif c:\n    from d.e import f as g\n")
    assert imported_names(tree) == {"b": ("a", "b"), "g": ("d.e", "f")}


@pytest.mark.parametrize("room", ROOMS)
def test_every_room_has_the_names_that_it_lists(room):
    package = importlib.import_module(room)
    assert package.__all__
    assert all(getattr(package, name) is not None for name in package.__all__)


def test_importing_every_room_loads_no_heavy_library():
    code = f"import {', '.join(ROOMS)}, sys; print('numpy' in sys.modules, 'torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "False"]
