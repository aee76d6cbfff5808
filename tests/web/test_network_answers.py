import io

import pytest
from PIL import Image

from lenspinn.web import LensChoice, play_lens
from lenspinn.web.network_answers import NetworkAnswer, answers_figure, ask_networks


@pytest.fixture(scope="module")
def answers() -> list[NetworkAnswer]:
    return ask_networks(play_lens(LensChoice()))


def test_networks_that_take_a_telescope_s_image_are_asked(answers: list[NetworkAnswer]) -> None:
    assert [each.name for each in answers] == ["lenspinn_fit_hst"]
    (first,) = answers
    assert first.answer is not None
    assert first.sentence.startswith("lenspinn_fit_hst: ")
    assert first.answer.theta_E == pytest.approx(1.1, abs=0.05)


def test_its_answer_is_drawn(answers: list[NetworkAnswer]) -> None:
    drawn = answers_figure(answers)
    assert drawn is not None
    assert Image.open(io.BytesIO(drawn)).size[0] > 200


def test_an_image_of_another_telescope_gets_no_answer_and_the_reason() -> None:
    (answer,) = ask_networks(play_lens(LensChoice(instrument="Euclid VIS")))
    assert answer.answer is not None
    assert not answer.answer.trusted
    assert "instrument: euclid_vis; the training images are hst_wfc3_f160w" in answer.sentence


def test_nothing_is_drawn_of_networks_that_cannot_take_an_image() -> None:
    assert answers_figure([NetworkAnswer(name="it", answer=None, sentence="too small")]) is None
