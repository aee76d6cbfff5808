"""Signatures of functions read from their source, so that nothing has to be imported for them.

Help on a command and the first look at its words take the signature and the docstring of the
command's function; its module brings torch and more, which takes seconds.
"""

import ast
import builtins
import functools
import importlib
import importlib.util
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from lenspinn.lazy import imported_names

__all__ = ["read_signature"]

Function = Callable[..., None]


def read_signature(module: str, name: str) -> Function:
    """Return a function without its body: parameters, their types and defaults, and docstring.

    Parameters
    ----------
    module, name
        Module of the function, and its name there. The module may import it from another module of
        lenspinn.

    Raises
    ------
    LookupError
        If there is no source of the module, no such function in it, or if a type or a default needs
        more than constants of lenspinn and the standard library.
    """
    module, definition = _definition(module, name)
    if not isinstance(definition, ast.FunctionDef):
        raise LookupError(f"{name} in {module} is no function")
    bare = ast.FunctionDef(
        name=name,
        args=definition.args,
        body=[ast.Expr(ast.Constant(ast.get_docstring(definition, clean=False) or ""))],
        decorator_list=[],
        returns=None,
    )
    # With the name of its own module, code that resolves its annotations would import that module.
    namespace = _names_in(module, definition.args) | {"__name__": __package__}
    code = ast.fix_missing_locations(ast.Module([bare], type_ignores=[]))
    exec(compile(code, f"<signature of {module}.{name}>", "exec"), namespace)
    function: Function = namespace[name]
    return function


def _names_in(module: str, part: ast.AST) -> dict[str, Any]:
    """Return the values of the names in a part of the source of a module."""
    names = {node.id for node in ast.walk(part) if isinstance(node, ast.Name)}
    return {name: _value(module, name) for name in names if not hasattr(builtins, name)}


def _value(module: str, name: str) -> Any:
    """Return a constant of a module, or a value that it imports from the standard library."""
    module, definition = _definition(module, name)
    if isinstance(definition, ast.Assign | ast.AnnAssign) and definition.value is not None:
        expression = compile(ast.Expression(definition.value), f"<{name} in {module}>", "eval")
        return eval(expression, _names_in(module, definition.value))
    if module.partition(".")[0] in sys.stdlib_module_names:
        return getattr(importlib.import_module(module), name)
    raise LookupError(f"{name} in {module} is no constant")


def _definition(module: str, name: str) -> tuple[str, ast.stmt | None]:
    """Return the module and statement that define a name; no statement outside of lenspinn."""
    while module.partition(".")[0] == __package__:
        tree = _source(module)
        for statement in tree.body:
            if name in _defined(statement):
                return module, statement
        if name not in imported_names(tree):
            raise LookupError(f"{module} has no {name}")
        module, name = imported_names(tree)[name]
    return module, None


def _defined(statement: ast.stmt) -> list[str]:
    if isinstance(statement, ast.FunctionDef | ast.ClassDef):
        return [statement.name]
    targets = statement.targets if isinstance(statement, ast.Assign) else []
    if isinstance(statement, ast.AnnAssign):
        targets = [statement.target]
    return [target.id for target in targets if isinstance(target, ast.Name)]


@functools.cache
def _source(module: str) -> ast.Module:
    spec = importlib.util.find_spec(module)
    if spec is None or spec.origin is None:
        raise LookupError(f"there is no source of {module}")
    return ast.parse(Path(spec.origin).read_text())
