from pathlib import Path

from lenspinn.catalogue.lens_rows import LensRow
from lenspinn.catalogue.one_lens import OneLens
from lenspinn.errors import ImageError


def lens() -> OneLens:
    return OneLens(LensRow(row=7, id="a", said={}, folder=Path()))


def raising(error: Exception):
    def job(_):
        raise error

    return job


def test_what_a_job_finds_stands_under_its_name():
    one = lens()
    one.timed("measure", lambda _: {"gain": 3.0})
    values = one.row_values
    assert values.pop("measure_seconds") >= 0
    assert values == {"row": 7, "measure_status": "ok", "measure_gain": 3.0}


def test_bad_input_is_its_sentence_on_one_line_and_a_bug_is_named_as_one():
    one = lens()
    one.timed("measure", raising(ImageError("no\n ring")))
    one.timed("detect", raising(KeyError("x")))
    assert one.row_values["measure_message"] == "no ring"
    assert one.row_values["measure_status"] == "failed"
    assert one.row_values["detect_message"] == "this is a bug: KeyError: 'x'"


def test_what_cannot_be_read_fails_in_every_job():
    one = lens()
    with one.failing(["measure", "apply"]):
        raise FileNotFoundError("no file")
    assert one.row_values["measure_message"] == one.row_values["apply_message"] == "no file"
