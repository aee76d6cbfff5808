"""HTML of a verdict and a picture, as a notebook shows them."""

import base64
import html
import io
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["figure_html", "figure_png", "verdict_html"]

RESOLUTION = 72
"""Resolution of the picture, dots per inch."""


def figure_html(figure: "Figure", description: str) -> str:
    """Return a picture as HTML that stands alone.

    Parameters
    ----------
    figure
    description
        Description of the picture for readers who cannot see it.
    """
    content = base64.b64encode(figure_png(figure, resolution=RESOLUTION)).decode()
    return f'<img alt="{html.escape(description)}" src="data:image/png;base64,{content}">'


def figure_png(figure: "Figure", *, resolution: int) -> bytes:
    """Return a picture as PNG, with a resolution in dots per inch."""
    picture = io.BytesIO()
    figure.savefig(picture, format="png", dpi=resolution)
    return picture.getvalue()


def verdict_html(verdict: str, *, trusted: bool) -> str:
    """Return a verdict in the colour of trust."""
    from lenspinn.data.style import BAD, GOOD  # brings matplotlib

    color = GOOD if trusted else BAD
    return f'<p style="color: {color}"><b>{html.escape(verdict)}</b></p>'
