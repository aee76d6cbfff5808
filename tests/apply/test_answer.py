import json
from pathlib import Path
from typing import Any

import pytest

from lenspinn.apply import Answer, Mismatch, Uncertainty
from lenspinn.apply.estimates import Estimate
from lenspinn.models.quantities import QUANTITIES

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


def uncertainty(**changes: Any) -> Uncertainty:
    facts: dict[str, Any] = {
        "possible": ("cdm",),
        "coverage": 0.9,
        "shift": 0.6,
        "by_score": {"features": 0.3, "pixels": 0.4},
        "refused": False,
    }
    return Uncertainty(**(facts | changes))


REFUSED = uncertainty(
    shift=0.004, by_score={"features": 0.3, "pixels": 0.002}, refused=True, possible=("axion",)
)


def test_a_calibrated_answer_of_one_class_names_it() -> None:
    sure = answer(uncertainty=uncertainty())
    assert sure.answer == "cdm"
    assert sure.verdict == 'cdm (calibrated probability 0.700; 90% set), theta_E 1.38"'


def test_classes_that_cannot_be_told_apart_are_named_together() -> None:
    two = answer(uncertainty=uncertainty(possible=("cdm", "no_sub")))
    assert two.answer == "cdm or no_sub: cannot tell"
    assert "calibrated probability 0.700 and 0.200" in two.verdict
    three = answer(uncertainty=uncertainty(possible=("axion", "cdm", "no_sub")))
    assert three.answer == "axion, cdm or no_sub: cannot tell"


def test_an_image_unlike_those_of_calibration_is_not_answered() -> None:
    refused = answer(uncertainty=REFUSED)
    assert refused.answer is None
    assert not refused.trusted
    assert refused.verdict == (
        "not answered: unlike the calibration images in noise, brightness or sharpness "
        "(p = 0.004); untrusted probabilities axion 0.100, cdm 0.700, no_sub 0.200, "
        'theta_E 1.38"'
    )


def test_a_score_of_the_model_itself_is_named_as_the_reason() -> None:
    odd = uncertainty(by_score={"features": 0.3, "fit chi^2": 0.001}, refused=True)
    assert odd.reason.startswith("unlike the calibration images in fit chi^2 (p = ")


def test_json_of_a_refusal_keeps_the_probabilities_and_says_that_there_is_no_answer() -> None:
    content = json.loads(json.dumps(answer(uncertainty=REFUSED).to_json()))
    assert (content["answer"], content["trusted"]) == (None, False)
    assert content["probabilities"] == {"axion": 0.1, "cdm": 0.7, "no_sub": 0.2}
    assert content["uncertainty"]["shift"] == 0.004
    assert content["calibrated"]


def test_without_calibration_there_is_no_answer_however_probable_a_class_is() -> None:
    fresh = answer(probabilities={"axion": 0.0, "cdm": 0.95, "no_sub": 0.05})
    assert (fresh.answer, fresh.trusted) == (None, False)
    assert fresh.verdict == (
        'not answered; untrusted probabilities axion 0.000, cdm 0.950, no_sub 0.050, theta_E 1.38"'
    )
    content = fresh.to_json()
    assert (content["answer"], content["calibrated"]) == (None, False)
    assert "prediction" not in content


def test_the_most_probable_class_is_known_without_being_an_answer() -> None:
    assert answer().most_probable == "cdm"


def test_an_answer_without_mismatch_is_one_line() -> None:
    sure = answer(uncertainty=uncertainty())
    assert sure.trusted
    assert "\n" not in str(sure)


def test_what_the_run_lacks_speaks_against_every_answer() -> None:
    lacks = Mismatch("chance", "accuracy 0.367 (0.33 to 0.40)", serious=True)
    doubtful = answer(uncertainty=uncertainty(), mismatches=(lacks, NOISE))
    assert (doubtful.answer, doubtful.trusted) == (None, False)
    assert doubtful.verdict.endswith(
        "NOT TO BE TRUSTED: the run is no better than chance; noise unlike the training images"
    )


def test_a_serious_mismatch_says_plainly_that_the_answer_is_not_to_be_trusted() -> None:
    doubtful = answer(uncertainty=uncertainty(), mismatches=(SCALE, NOISE))
    assert not doubtful.trusted
    first, *warnings = str(doubtful).splitlines()
    assert first.endswith("NOT TO BE TRUSTED: noise unlike the training images")
    assert [line.split(":")[1].strip() for line in warnings] == ["pixel scale", "noise"]


def test_a_note_that_is_not_serious_leaves_the_answer_trusted() -> None:
    noted = answer(uncertainty=uncertainty(), mismatches=(SCALE,))
    assert noted.trusted
    assert noted.answer == "cdm"
    assert "NOT TO BE TRUSTED" not in str(noted)


def test_a_lens_that_no_calibration_image_had_is_the_reason() -> None:
    outside = ("offset from the middle 0.41 (0 to 0.19 in calibration)",)
    beside = answer(uncertainty=uncertainty(refused=True, outside=outside))
    assert beside.answer is None
    assert (
        "unlike the calibration images in its fitted lens: offset from the middle 0.41 (0 to "
        "0.19 in calibration)" in beside.verdict
    )
    # An image that is unlike them in its scores too says so first.
    both = uncertainty(refused=True, outside=outside, shift=0.01)
    assert both.reason.startswith("unlike the calibration images in what the network sees")


def test_own_classes_are_answered_as_the_three_are() -> None:
    own = answer(
        probabilities={"sphere": 0.4, "vortex": 0.6},
        uncertainty=uncertainty(possible=("sphere", "vortex")),
    )
    assert own.answer == "sphere or vortex: cannot tell"


def test_a_model_without_physics_says_nothing_of_theta_e() -> None:
    assert "theta_E" not in str(answer(theta_E=None))


def test_json_holds_the_verdict_and_the_numbers() -> None:
    content = json.loads(json.dumps(answer(mismatches=(NOISE,)).to_json()))
    assert content["probabilities"] == {"axion": 0.1, "cdm": 0.7, "no_sub": 0.2}
    assert content["theta_E_arcsec"] == 1.384
    assert content["trusted"] is False
    assert content["mismatches"] == [{"kind": "noise", "message": NOISE.message, "serious": True}]


def test_an_answer_has_the_quantities_of_its_class() -> None:
    fraction = Estimate(quantity=QUANTITIES["substructure_fraction"], mean=-1.2, sigma=0.15)
    found = answer(uncertainty=uncertainty(), estimates=(fraction,))
    assert "\n  predicted: log10 substructure_fraction -1.20 +- 0.15" in str(found)
    (content,) = json.loads(json.dumps(found.to_json()))["estimates"]
    assert (content["quantity"], content["sigma"]) == ("log10_substructure_fraction", 0.15)
    assert answer().to_json()["estimates"] == []
    with pytest.raises(ValueError, match="quantities are those of an answer"):
        answer(estimates=(fraction,))


def test_a_calibrated_answer_with_a_serious_mismatch_has_no_calibrated_probability() -> None:
    doubtful = answer(uncertainty=uncertainty(), mismatches=(NOISE,))
    assert doubtful.answer is None
    assert doubtful.verdict == (
        "not answered; untrusted probabilities axion 0.100, cdm 0.700, no_sub 0.200, theta_E "
        '1.38"; NOT TO BE TRUSTED: noise unlike the training images'
    )


def test_notebooks_show_the_verdict_and_what_speaks_against_it() -> None:
    shown = answer(name="<J0946>", mismatches=(NOISE,))._repr_html_()
    assert "&lt;J0946&gt;: " in shown
    assert NOISE.message in shown
    assert "NOT TO BE TRUSTED" in shown


def test_an_answer_without_its_image_says_that_it_has_no_picture() -> None:
    with pytest.raises(ValueError, match="nothing to show"):
        answer().plot()
