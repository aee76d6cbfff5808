"""A measurement as a notebook shows it: verdict, numbers with errors, and the picture."""

import base64
import html
import io

from lenspinn.data.style import BAD, GOOD
from lenspinn.measure.lens_measurement import LensMeasurement
from lenspinn.measure.lens_picture import measurement_figure

__all__ = ["measurement_html"]

RESOLUTION = 72
"""Dots per inch of the picture."""


def measurement_html(measured: LensMeasurement) -> str:
    """Return a verdict, a table of lens and source, and the picture, as HTML that stands alone."""
    plain = measured.plain
    rows = [
        _row(part, name, value, errors[name])
        for part, values, errors in (
            ("lens", plain.lens, plain.lens_errors),
            ("source", plain.source, plain.source_errors),
        )
        for name, value in values.items()
    ]
    picture = io.BytesIO()
    measurement_figure(measured).savefig(picture, format="png", dpi=RESOLUTION)
    content = base64.b64encode(picture.getvalue()).decode()
    color = GOOD if measured.trusted else BAD
    return (
        f'<p style="color: {color}"><b>{html.escape(measured.verdict)}</b></p>'
        f'<img alt="maps of the measurement" src="data:image/png;base64,{content}">'
        "<table><tr><th></th><th></th><th>value</th><th>statistical error</th></tr>"
        f"{''.join(rows)}</table>"
    )


def _row(part: str, name: str, value: float, error: float) -> str:
    return f"<tr><td>{part}</td><td>{name}</td><td>{value:.4g}</td><td>{error:.2g}</td></tr>"
