"""Files on disk, each whole or not there: a kill leaves no half file."""

import os
from pathlib import Path

__all__ = ["write_whole"]


def write_whole(path: Path, content: bytes) -> Path:
    """Write a file beside its place, then move it there.

    Parameters
    ----------
    path
        In an existing folder; a file already there is replaced.
    content
        All of it.

    Returns
    -------
    Path
        The file.
    """
    part = path.with_name(f"{path.name}.part")
    part.write_bytes(content)
    os.replace(part, path)
    return path
