from pathlib import Path
from unittest.mock import Mock

import pytest

from lenspinn.apply.answer import Answer
from lenspinn.apply.grounds import Judge
from lenspinn.apply.image import ReadyImage
from lenspinn.catalogue import answers as room
from lenspinn.catalogue.lens_rows import LensRow
from lenspinn.catalogue.one_lens import Work
from lenspinn.catalogue.work import do_rows
from lenspinn.errors import ImageError
from lenspinn.measure import image_fits
from lenspinn.measure.image_fits import FittedLens
from lenspinn.models import LensFit


def row(lenses: Path, image: str, **said) -> LensRow:
    return LensRow(row=3, id=image, said={"image": image, **said}, folder=lenses.parent)


@pytest.fixture
def fitted_network(monkeypatch) -> None:
    """A network that fits lenses, whose answer says the same of any image."""
    answer = Mock(spec=Answer)
    monkeypatch.setattr(room, "_judge", lambda _: Mock(spec=Judge, model=Mock(spec=LensFit)))
    monkeypatch.setattr(room, "make_ready", lambda *_, **__: Mock(spec=ReadyImage))
    monkeypatch.setattr(room, "answer_ready", lambda ready, _: [answer] * len(ready))
    monkeypatch.setattr(room, "answer_values", lambda _: {"verdict": "said"})


def test_what_the_network_fitted_is_not_fitted_again(lenses, fitted_network, measured, monkeypatch):
    made = []

    def make_ready(*_, fits, **__):
        fits.fitted()
        return Mock(spec=ReadyImage)

    monkeypatch.setattr(room, "make_ready", make_ready)
    monkeypatch.setattr(image_fits, "find_arcs", lambda *_, **asked: made.append(asked))
    monkeypatch.setattr(
        image_fits, "fit_rings", lambda _: Mock(spec=FittedLens, measurement=measured)
    )
    (values,) = do_rows(Work(jobs=("measure", "apply"), model="network"), [row(lenses, "A")])
    assert len(made) == 1
    assert values["measure_theta_E_arcsec"] == measured.theta_E
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
