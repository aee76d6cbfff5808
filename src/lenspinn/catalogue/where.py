"""Conditions on the rows of a table, such as ``z_lens > 0.3 and survey == Q1``; nothing is run."""

import re

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from jaxtyping import Bool

from lenspinn.errors import ConfigError
from lenspinn.nearest_name import nearest_name

__all__ = ["rows_where"]

OPERATORS = {
    "<=": pc.less_equal,
    ">=": pc.greater_equal,
    "==": pc.equal,
    "!=": pc.not_equal,
    "<": pc.less,
    ">": pc.greater,
    "=": pc.equal,
}
"""Operators of conditions, longer ones first: ``<=`` is not ``<`` followed by ``=...``."""
EQUALITY = ("=", "==", "!=")
"""Operators for values that are not numbers."""
_AND = re.compile(r"(?:^|\s+)and(?:\s+|$)", re.IGNORECASE)
_CONDITION = re.compile(rf"\s*(.+?)\s*({'|'.join(map(re.escape, OPERATORS))})\s*(.+?)\s*")
_TRUTH = {"true": True, "false": False}


def rows_where(table: pa.Table, text: str | None) -> Bool[np.ndarray, " rows"]:
    """Tell which rows of a table meet all conditions.

    Parameters
    ----------
    table
    text
        ``COLUMN OPERATOR VALUE``, several joined by ``and``; the operators are those of
        `OPERATORS`. A row without a value meets none. None takes all rows.

    Raises
    ------
    ConfigError
        The text is no such condition, or names no column of the table, or its value is of another
        type
        than the column.
    """
    chosen = np.ones(table.num_rows, dtype=bool)
    for part in [] if text is None else _AND.split(text):
        found = _CONDITION.fullmatch(part)
        if found is None:
            raise ConfigError(
                f"where is {text!r}, of which {part!r} is no condition: give COLUMN OPERATOR "
                f"VALUE, several joined by and; the operators are {', '.join(OPERATORS)}"
            )
        chosen &= _meets(table, *found.groups())
    return chosen


def _meets(table: pa.Table, name: str, operator: str, value: str) -> Bool[np.ndarray, " rows"]:
    if name not in table.column_names:
        meant = nearest_name(name, table.column_names)
        raise ConfigError(f"where names {name!r}, no column of the table: {meant}")
    column = table[name]
    if pa.types.is_null(column.type):
        return np.zeros(table.num_rows, dtype=bool)
    number = _as_in(column.type, value, name)
    if not isinstance(number, float) and operator not in EQUALITY:
        raise ConfigError(f"where compares {name} by {operator}, but its values are no numbers")
    met = OPERATORS[operator](column, number)
    if pa.types.is_floating(column.type):
        met = pc.and_(met, pc.invert(pc.is_nan(column)))
    return np.asarray(pc.fill_null(met, False).to_numpy(zero_copy_only=False), dtype=bool)


def _as_in(kind: pa.DataType, value: str, name: str) -> float | bool | str:
    """Read a value as those of a column."""
    text = value[1:-1] if len(value) > 1 and value[0] == value[-1] and value[0] in "'\"" else value
    if pa.types.is_boolean(kind) and text.lower() in _TRUTH:
        return _TRUTH[text.lower()]
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        return text
    if pa.types.is_integer(kind) or pa.types.is_floating(kind):
        try:
            return float(text)
        except ValueError:
            pass
    raise ConfigError(f"where compares {name} with {value!r}, but its values are of type {kind}")
