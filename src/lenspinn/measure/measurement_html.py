"""The HTML of a measurement in a notebook: verdict, numbers with errors, and the picture."""

from lenspinn.data.figure_html import figure_html, verdict_html
from lenspinn.measure.lens_measurement import LensMeasurement
from lenspinn.measure.lens_picture import measurement_figure

__all__ = ["measurement_html"]


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
    return (
        f"{verdict_html(measured.verdict, trusted=measured.trusted)}"
        f"{figure_html(measurement_figure(measured), 'maps of the measurement')}"
        "<table><tr><th></th><th></th><th>value</th><th>statistical error</th></tr>"
        f"{''.join(rows)}</table>"
    )


def _row(part: str, name: str, value: float, error: float) -> str:
    return f"<tr><td>{part}</td><td>{name}</td><td>{value:.4g}</td><td>{error:.2g}</td></tr>"
