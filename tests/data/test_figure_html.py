import base64
import re

from matplotlib.figure import Figure

from lenspinn.data.figure_html import figure_html, verdict_html
from lenspinn.data.style import BAD, GOOD


def test_the_picture_is_in_the_page_itself() -> None:
    shown = figure_html(Figure(figsize=(1, 1)), 'a "b" <c>')
    (picture,) = re.findall(r"base64,([^\"]+)", shown)
    assert base64.b64decode(picture).startswith(b"\x89PNG")
    assert "<c>" not in shown


def test_a_verdict_has_the_colour_of_trust_and_runs_nothing() -> None:
    assert GOOD in verdict_html("a", trusted=True)
    shown = verdict_html("<script>", trusted=False)
    assert BAD in shown
    assert "<script>" not in shown
