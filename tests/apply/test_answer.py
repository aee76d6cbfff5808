import json
from pathlib import Path
from typing import Any

from lenspinn.apply import Answer, Mismatch

NOISE = Mismatch("noise", "0.11% of the peak; the training images have none", serious=True)
SCALE = Mismatch("pixel scale", "0.08 arcsec is assumed", serious=False)


def answer(**changes: Any) -> Answer:
    facts: dict[str, Any] = {
        "name": "J0946",
        "path": Path("lenses/J0946.fits"),
        "probabilities": {"axion": 0.1, "cdm": 0.7, "no_sub": 0.2},
        "theta_E": 1.384,
        "pixel_scale": 0.05,
        "mismatches": (),
    }
    return Answer(**(facts | changes))


def test_the_most_probable_class_is_the_prediction() -> None:
    assert answer().prediction == "cdm"


def test_an_answer_without_mismatch_is_one_line() -> None:
    assert answer().trusted
    assert str(answer()) == 'J0946: cdm (probability 0.700), theta_E 1.38"'


def test_a_serious_mismatch_says_plainly_that_the_answer_is_not_to_be_trusted() -> None:
    doubtful = answer(mismatches=(SCALE, NOISE))
    assert not doubtful.trusted
    first, *warnings = str(doubtful).splitlines()
    assert first.endswith("NOT TO BE TRUSTED: noise unlike the training images")
    assert [line.split(":")[1].strip() for line in warnings] == ["pixel scale", "noise"]


def test_a_note_that_is_not_serious_leaves_the_answer_trusted() -> None:
    noted = answer(mismatches=(SCALE,))
    assert noted.trusted
    assert "NOT TO BE TRUSTED" not in str(noted)


def test_a_model_without_physics_says_nothing_of_theta_e() -> None:
    assert "theta_E" not in str(answer(theta_E=None))


def test_json_holds_the_verdict_and_the_numbers() -> None:
    content = json.loads(json.dumps(answer(mismatches=(NOISE,)).to_json()))
    assert content["prediction"] == "cdm"
    assert content["probabilities"] == {"axion": 0.1, "cdm": 0.7, "no_sub": 0.2}
    assert content["theta_E_arcsec"] == 1.384
    assert content["trusted"] is False
    assert content["mismatches"] == [{"kind": "noise", "message": NOISE.message, "serious": True}]
