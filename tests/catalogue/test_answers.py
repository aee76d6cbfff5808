from pathlib import Path
from types import SimpleNamespace
from unittest.mock import Mock

import pytest

from lenspinn.apply.answer import Answer
from lenspinn.apply.grounds import Judge
from lenspinn.apply.image import ReadyImage
from lenspinn.catalogue import answers as room
from lenspinn.catalogue import work
from lenspinn.catalogue.lens_rows import LensRow
from lenspinn.catalogue.one_lens import Work
from lenspinn.catalogue.work import do_rows
from lenspinn.errors import ImageError


def row(lenses: Path, image: str, **said) -> LensRow:
    return LensRow(row=3, id=image, said={"image": image, **said}, folder=lenses.parent)


@pytest.fixture
def fitted_network(lenses, measured, monkeypatch):
    """A network that fits lenses, whose answer to any image holds `measured`."""
    prepared = SimpleNamespace(measured=measured, psf_assumed=False)
    answer = Mock(spec=Answer, shown=SimpleNamespace(prepared=prepared))
    data_info = SimpleNamespace(lens_light=False)
    judge = Mock(spec=Judge, model=None, run=SimpleNamespace(data_info=data_info))
    monkeypatch.setattr(room, "_judge", lambda _: judge)
    monkeypatch.setattr(room, "make_ready", lambda *_, **__: Mock(spec=ReadyImage))
    monkeypatch.setattr(room, "answer_ready", lambda ready, _: [answer] * len(ready))
    monkeypatch.setattr(room, "answer_values", lambda _: {"verdict": "said"})
    return SimpleNamespace(prepared=prepared, judge=judge)


@pytest.mark.parametrize("same", ["same", "other light", "other PSF", "other guess"])
def test_what_the_network_fitted_is_not_fitted_again(
    lenses, fitted_network, measured, monkeypatch, same
):
    given = []

    def measure(found, known, *, fitted, **_):
        given.append(fitted)
        return measured, []

    monkeypatch.setattr(work, "measure_telescope_image", measure)
    fitted_network.judge.run.data_info.lens_light = same == "other light"
    fitted_network.prepared.psf_assumed = same == "other PSF"
    said = {"theta_E_guess": 0.8} if same == "other guess" else {}
    (values,) = do_rows(
        Work(jobs=("measure", "apply"), model="network"), [row(lenses, "A", **said)]
    )
    assert given == [measured if same == "same" else None]
    assert values["apply_verdict"] == "said"


def test_one_image_that_no_network_can_take_does_not_cost_the_others(
    lenses, fitted_network, monkeypatch
):
    good_image, bad_image = Mock(spec=ReadyImage), Mock(spec=ReadyImage)

    def answer(ready, _):
        if bad_image in ready:
            raise ImageError("cannot be used")
        return [Mock(spec=Answer, shown=None) for _ in ready]

    images = iter([good_image, bad_image])
    monkeypatch.setattr(room, "make_ready", lambda *_, **__: next(images))
    monkeypatch.setattr(room, "answer_ready", answer)
    good, bad = do_rows(
        Work(jobs=("apply",), model="network"), [row(lenses, "A"), row(lenses, "B")]
    )
    assert good["apply_status"] == "ok"
    assert (bad["apply_status"], bad["apply_message"]) == ("failed", "cannot be used")
