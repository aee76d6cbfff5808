import csv
import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lenspinn.apply import Mismatch, TableAnswer
from lenspinn.apply.estimates import Estimate
from lenspinn.evaluate.judgement import Judgement
from lenspinn.models.quantities import QUANTITIES

CLASSES = ("axion", "cdm", "no_sub")


def table_answer(**changes: Any) -> TableAnswer:
    facts: dict[str, Any] = {
        "name": "lenses",
        "path": Path("data/lenses.zarr"),
        "classes": CLASSES,
        "probabilities": np.array([[0.8, 0.1, 0.1], [0.2, 0.3, 0.5], [0.0, 0.1, 0.9]]),
        "theta_E": np.array([0.8, 0.81, 1.2], dtype=np.float32),
        "labels": ("axion", "cdm", "no_sub"),
        "accuracy": (0.667, 0.0, 1.0),
        "mismatches": (),
        "table": Path("out/lenses.csv"),
        "answers": (),
    }
    return TableAnswer(**(facts | changes))


def judgement() -> Judgement:
    """One class, two classes, and an image that is refused."""
    return Judgement(
        probabilities=table_answer().probabilities,
        possible=np.array([[True, False, False], [False, True, True], [False, False, True]]),
        shift=np.array([0.5, 0.2, 0.004]),
        by_score={"features": np.array([0.5, 0.2, 0.9]), "pixels": np.array([0.6, 0.1, 0.002])},
        coverage=0.9,
    )


def test_the_verdict_counts_classes_and_gives_the_accuracy_with_its_interval() -> None:
    assert table_answer(judgement=judgement()).verdict == (
        "3 images: 1 axion, 0 cdm, 0 no_sub, 1 not answered, 1 cannot tell (about 0 not answered "
        "by chance); accuracy 0.667 (0.000 to 1.000)"
    )


def test_without_calibration_no_image_is_answered() -> None:
    fresh = table_answer()
    assert not fresh.trusted
    assert fresh.image_answers == [None] * 3
    assert fresh.verdict.startswith("3 images: 0 axion, 0 cdm, 0 no_sub, 3 not answered")
    assert fresh.to_json()["answers"]["not answered"] == 3


def test_without_known_classes_there_is_no_accuracy() -> None:
    answer = table_answer(accuracy=None)
    assert "accuracy" not in answer.verdict
    assert answer.to_json()["accuracy"] is None


def test_a_serious_mismatch_says_plainly_that_the_table_is_not_to_be_trusted() -> None:
    recipe = Mismatch("recipe", "survey/hst; the training images are deeplense/model_3", True)
    answer = table_answer(mismatches=(recipe,))
    assert not answer.trusted
    assert "NOT TO BE TRUSTED: recipe" in str(answer)
    assert "survey/hst" in str(answer)


def test_a_table_that_is_not_trusted_answers_no_image() -> None:
    noise = Mismatch("noise", "too much", serious=True)
    doubtful = table_answer(judgement=judgement(), mismatches=(noise,))
    assert doubtful.counts["not answered"] == 3
    rows = list(csv.DictReader(io.StringIO(doubtful.to_csv())))
    assert [row["answer"] for row in rows] == ["", "", ""]


def test_csv_has_one_row_an_image() -> None:
    rows = list(csv.DictReader(io.StringIO(table_answer().to_csv())))
    assert [row["label"] for row in rows] == ["axion", "cdm", "no_sub"]
    assert rows[1] == {
        "image": "1",
        "label": "cdm",
        "answer": "",
        "p_axion": "0.200000",
        "p_cdm": "0.300000",
        "p_no_sub": "0.500000",
        "theta_E_arcsec": "0.81000",
    }


def test_a_model_without_physics_has_no_theta_e_column() -> None:
    assert "theta_E" not in table_answer(theta_E=None).to_csv()


def test_json_summarises_the_table() -> None:
    content = json.loads(json.dumps(table_answer().to_json()))
    assert content["num_images"] == 3
    assert content["trusted"] is False
    assert content["accuracy_high"] == 1.0
    assert content["table"] == "lenses.csv"


def test_a_calibrated_table_counts_images_that_are_undecided_or_not_answered() -> None:
    answer = table_answer(judgement=judgement())
    assert answer.counts == {
        "axion": 1,
        "cdm": 0,
        "no_sub": 0,
        "not answered": 1,
        "cannot tell": 1,
    }
    assert answer.to_json()["answers"] == answer.counts


def test_csv_of_a_calibrated_run_has_answers_and_p_values() -> None:
    text = table_answer(judgement=judgement()).to_csv()
    rows = list(csv.DictReader(io.StringIO(text)))
    assert [row["answer"] for row in rows] == [
        "axion",
        "cdm or no_sub: cannot tell",
        "",
    ]
    assert [row["shift_p_value"] for row in rows] == ["0.5000", "0.2000", "0.0040"]
    assert rows[2]["p_no_sub"] == "0.900000"


def test_csv_has_a_quantity_with_its_sigma_where_its_class_is_answered() -> None:
    quantity = QUANTITIES["axion_mass_eV"]
    mass = Estimate(quantity=quantity, mean=-22.81, sigma=0.31)
    answer = table_answer(
        judgement=judgement(), quantities=(quantity,), estimates=((mass,), (), ())
    )
    rows = list(csv.DictReader(io.StringIO(answer.to_csv())))
    assert [row["predicted_log10_axion_mass_eV"] for row in rows] == ["-22.81000", "", ""]
    assert rows[0]["predicted_log10_axion_mass_eV_sigma"] == "0.31000"
    assert "predicted" not in table_answer().to_csv()
    with pytest.raises(ValueError, match="quantities are those of answers"):
        table_answer(quantities=(quantity,), estimates=((mass,), (), ()))
