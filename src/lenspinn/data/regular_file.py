"""A check that a path is a plain file, before it is opened: a pipe or a device never ends."""

import stat
from pathlib import Path

from lenspinn.errors import DataError

__all__ = ["require_regular_file"]


def require_regular_file(path: Path, kind: str) -> int:
    """Return the size of a file in bytes, having refused what is no regular file.

    Parameters
    ----------
    path : Path
        Links are followed.
    kind : str
        What it is about to be read as, for the error.

    Raises
    ------
    DataError
        If there is no such file, or it is a folder, a pipe or a device.
    """
    try:
        found = path.stat()
    except OSError as error:
        raise DataError(
            f"{path} cannot be read as {kind}: {error.strerror}; check its name and folder"
        ) from error
    except ValueError as error:  # a NUL in the name
        raise DataError(f"{str(path)!r} is not the name of a file; give another") from error
    if not stat.S_ISREG(found.st_mode):
        what = "a folder" if stat.S_ISDIR(found.st_mode) else "a pipe or a device"
        raise DataError(f"{path} cannot be read as {kind}: it is {what}; give a regular file")
    return found.st_size
