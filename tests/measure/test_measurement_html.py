import base64
import re
from dataclasses import replace

from lenspinn.data.style import BAD
from lenspinn.measure import LensMeasurement
from lenspinn.measure.measurement_html import measurement_html


def test_it_holds_the_verdict_every_number_and_the_picture(measured: LensMeasurement) -> None:
    shown = measurement_html(replace(measured, reasons=("a < b",)))
    assert "NOT TO BE TRUSTED: a &lt; b" in shown
    assert f"color: {BAD}" in shown
    plain = measured.plain
    for name, value in (plain.lens | plain.source).items():
        assert f"<td>{name}</td><td>{value:.4g}</td>" in shown
    (picture,) = re.findall(r"base64,([^\"]+)", shown)
    assert base64.b64decode(picture).startswith(b"\x89PNG")


def test_notebooks_show_it(measured: LensMeasurement) -> None:
    assert measured._repr_html_() == measurement_html(measured)
