import warnings
from collections.abc import Iterator
from dataclasses import astuple, fields
from pathlib import Path

import pytest

from lenspinn.web import Finding, LensChoice

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # of gradio's own dependencies, when they are imported
    from lenspinn.web import page

DEFAULTS = astuple(LensChoice())


def unseen(share: float, desc: str) -> None:
    """Show no progress."""


def changed(**values: object) -> tuple:
    return astuple(LensChoice(**values))


def test_every_slider_begins_in_its_range_and_every_field_has_a_part() -> None:
    names = {field.name for field in fields(LensChoice)}
    assert set(page.RANGES) | set(page.CHOICES) == names
    assert {name for group in page.GROUPS.values() for name in group} == names
    for name, (low, high, *_) in page.RANGES.items():
        assert low <= getattr(LensChoice(), name) <= high


def test_a_move_changes_picture_and_sentence() -> None:
    picture, sentence = page.play(*DEFAULTS)
    assert picture.startswith("<img ")
    other, other_sentence = page.play(*changed(theta_E=1.3))
    assert picture != other
    assert sentence != other_sentence


def test_what_cannot_be_is_one_sentence() -> None:
    impossible = {"theta_E": -1.0}
    values = tuple(
        impossible.get(field.name, value)
        for field, value in zip(fields(LensChoice), DEFAULTS, strict=True)
    )
    for function in (page.play, page.ask):
        shown, sentence = function(*values)
        assert shown == ""
        assert "theta_E" in sentence


def test_networks_are_shown() -> None:
    shown, sentence = page.ask(*DEFAULTS)
    assert shown.startswith("<img ")
    assert sentence.startswith("lenspinn_fit_hst: ")


def test_no_image_no_work() -> None:
    (only,) = page.study(None, None, None, 0.0, unseen)
    assert only[0] == page.NOTHING_YET
    assert only[-1] is None


def test_a_bad_file_is_shown_as_one_sentence(tmp_path: Path) -> None:
    bad = tmp_path / "x.fits"
    bad.write_bytes(b"SIMPLE  = no")
    *_, last = page.study(str(bad), None, None, 0.0, unseen)
    assert last[0].startswith("image.fits ")
    assert "\n" not in last[0]
    assert last[-1] is None


def test_findings_fill_the_page_one_after_the_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def study(image: Path, out: Path, **_: object) -> Iterator[Finding]:
        for job in page.JOBS:
            picture, record = out / f"{job}.png", out / f"{job}.json"
            picture.write_bytes(b"png")
            record.write_text("{}")
            yield Finding(job=job, sentence=f"{job} is done", picture=picture, files=(record,))

    monkeypatch.setattr(page, "study_image", study)
    steps, there = [], []
    for step in page.study("x.fits", None, None, 0.0, unseen):
        steps.append(step)
        there.append([Path(name).is_file() for name in step[-1] or ()])
    assert [sum(bool(text) for text in step[1:-1:2]) for step in steps] == [0, 1, 2, 3]
    assert [step[0] for step in steps] == ["Working …"] * 3 + ["Done."]
    assert steps[-1][1].startswith("measure is done")
    assert all(map(all, there))
    assert not any(Path(name).exists() for name in steps[-1][-1])  # gradio has its own copies


def test_the_gallery_shows_names_and_commands() -> None:
    shown = page.gallery()
    assert "survey/hst_realistic" in shown
    assert "lenspinn simulate --recipe deeplense/model_3 " in shown
