"""Pictures on disk, each written as a whole or not at all."""

import io
from pathlib import Path

from matplotlib.figure import Figure

from lenspinn.files import write_whole

RESOLUTION = 150
"""Resolution of pictures, dots per inch."""


def save_figure(figure: Figure, path: Path) -> Path:
    """Write a figure as PNG with `write_whole`."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=RESOLUTION)
    return write_whole(path, buffer.getvalue())
