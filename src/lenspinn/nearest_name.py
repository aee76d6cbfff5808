"""Nearest known name, for errors about an unknown one."""

from collections.abc import Iterable
from difflib import get_close_matches

__all__ = ["nearest_name"]

ALIKE = 0.4
"""Least similarity of a name that is suggested, as `difflib` measures it."""


def nearest_name(name: str, known: Iterable[str]) -> str:
    """Return the second half of an error sentence: the nearest known name, or all of them."""
    known = list(known)
    close = get_close_matches(name, known, n=1, cutoff=ALIKE)
    return f"did you mean '{close[0]}'?" if close else f"known are {', '.join(known)}"
