"""Results on disk, each file whole or not there: a kill leaves no half file."""

import io
import os
from pathlib import Path

from matplotlib.figure import Figure

RESOLUTION = 150
"""Dots per inch of pictures."""


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


def save_figure(figure: Figure, path: Path) -> Path:
    """Write a figure as PNG with `write_whole`."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=RESOLUTION)
    return write_whole(path, buffer.getvalue())
