"""Packages whose names are imported when they are first used, and not with the package."""

import ast
import importlib
import importlib.util
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

__all__ = ["imported_names", "lazy_package"]

Origin = tuple[str, str]
"""Name of a module, and a name that it defines."""


def lazy_package(name: str) -> None:
    """Make a package import each of its names when the name is first used.

    The names are those that the package's source imports from other modules ``if TYPE_CHECKING:``.
    Type checkers read the same lines, so the names are written down once. A submodule that was not
    imported yet is imported in the same way.

    Parameters
    ----------
    name
        ``__name__`` of the package, which calls this at its end.

    See Also
    --------
    PEP 562, and the package lazy_loader of Scientific Python, which reads stub files.
    """
    package = sys.modules[name]
    assert package.__file__ is not None
    package.__dict__["_origins"] = imported_names(ast.parse(Path(package.__file__).read_text()))
    package.__class__ = _LazyPackage


def imported_names(tree: ast.Module) -> dict[str, Origin]:
    """Return the origin of each name that a module imports by ``from ... import``."""
    return {
        alias.asname or alias.name: (statement.module or "", alias.name)
        for statement in _statements(tree.body)
        if isinstance(statement, ast.ImportFrom)
        for alias in statement.names
    }


def _statements(body: list[ast.stmt]) -> Iterator[ast.stmt]:
    """Return the statements of a body, and those in the branches of each ``if``."""
    for statement in body:
        yield statement
        if isinstance(statement, ast.If):
            yield from _statements([*statement.body, *statement.orelse])


class _LazyPackage(ModuleType):
    """Package that imports a name when the name is first used."""

    _origins: dict[str, Origin]

    def __getattr__(self, name: str) -> Any:
        if name in self._origins:
            module, attribute = self._origins[name]
            value = getattr(importlib.import_module(module), attribute)
            setattr(self, name, value)
            return value
        path = f"{self.__name__}.{name}"
        if not name.startswith("_") and importlib.util.find_spec(path) is not None:
            return importlib.import_module(path)
        raise AttributeError(f"module '{self.__name__}' has no attribute '{name}'")

    def __setattr__(self, name: str, value: Any) -> None:
        # Python puts each submodule that is imported into its package. Where the package has a
        # function of that name (`lenspinn.evaluate.predict`), the name stays the function's.
        if isinstance(value, ModuleType) and self._origins.get(name) == (value.__name__, name):
            value = getattr(value, name)
        super().__setattr__(name, value)

    def __dir__(self) -> list[str]:
        return sorted({*super().__dir__(), *self._origins})
