"""A check that a path is a plain file, before it is opened: a pipe or a device never ends."""

import stat
from pathlib import Path

from lenspinn.errors import DataError, LenspinnError

__all__ = ["require_regular_file"]


def require_regular_file(
    path: Path,
    kind: str,
    *,
    most_bytes: int | None = None,
    error: type[LenspinnError] = DataError,
    remedy: str | None = None,
) -> int:
    """Return the size of a file in bytes; refuse what is no regular file, or too large.

    Parameters
    ----------
    path : Path
        Path of the file; links are followed.
    kind : str
        Kind of content that the file is to be read as, for the error.
    most_bytes : int or None
        Largest size that can be read; None: any.
    error : type
        Class of the error.
    remedy : str or None
        Advice at the end of the error; by default advice that fits each fault.

    Raises
    ------
    LenspinnError
        Of the class ``error``, if there is no such file, it is a folder, a pipe or a device, or it
        has more bytes.
    """

    def refusal(reason: str, usual: str) -> LenspinnError:
        return error(f"{_shown(path)} cannot be read as {kind}: {reason}; {remedy or usual}")

    try:
        found = path.stat()
    except OSError as problem:
        raise refusal(f"{problem.strerror}", "check its name and folder") from problem
    except ValueError as problem:  # a NUL in the name
        raise error(f"{_shown(path)} is not the name of a file; give another") from problem
    if not stat.S_ISREG(found.st_mode):
        what = "a folder" if stat.S_ISDIR(found.st_mode) else "a pipe or a device"
        raise refusal(f"it is {what}, no regular file", "give one that is")
    if most_bytes is not None and found.st_size > most_bytes:
        reason = f"it has {found.st_size} bytes, and at most {most_bytes} are read"
        raise refusal(reason, "give a smaller one")
    return found.st_size


def _shown(path: Path) -> str:
    name = str(path)
    name = name if name.isprintable() else ascii(name)
    return name if len(name) <= 300 else f"{name[:300]}..."
