"""Help text of a command (``--help``), from the docstrings of its fields or arguments."""

import inspect
import typing
from collections.abc import Callable
from typing import Any, NoReturn

import docstring_parser
from docstring_parser import DocstringStyle
from jsonargparse import (  # type: ignore[attr-defined]  # re-exported through its star imports
    ActionConfigFile,
    ArgumentParser,
    set_parsing_settings,
)

__all__ = ["show_call_help", "show_config_help"]

# The docstring below each field of a configuration is its help text.
set_parsing_settings(
    docstring_parse_attribute_docstrings=True, docstring_parse_style=DocstringStyle.NUMPYDOC
)


def show_config_help(config_class: type, **parser_text: Any) -> NoReturn:
    """Print the help of a command that takes a configuration, and end the program."""
    parser = ArgumentParser(**parser_text)
    parser.add_argument("--config", action=ActionConfigFile, help="YAML file with the same keys")
    parser.add_class_arguments(config_class, None)
    _show(parser)


def show_call_help(function: Callable[..., Any], **parser_text: Any) -> NoReturn:
    """Print the help of a command that takes the arguments of a function, and end the program."""
    parameters = inspect.signature(function).parameters
    hints = typing.get_type_hints(function)
    words = [name for name, p in parameters.items() if p.kind is not p.KEYWORD_ONLY]
    parser = ArgumentParser(**parser_text)
    described = docstring_parser.parse(function.__doc__ or "", DocstringStyle.NUMPYDOC).params
    meaning = {parameter.arg_name: parameter.description for parameter in described}
    for name in words:
        kind, count = hints[name], dict[str, Any]()
        if typing.get_origin(kind) is list:
            (kind,), count = typing.get_args(kind), {"nargs": "+"}
        elif parameters[name].default is not inspect.Parameter.empty:
            count = {"nargs": "?", "default": parameters[name].default}
        parser.add_argument(name, type=kind, help=meaning.get(name), **count)
    parser.add_function_arguments(function, skip=set(words))
    _show(parser)


def _show(parser: ArgumentParser) -> NoReturn:
    parser.print_help()
    raise SystemExit(0)
