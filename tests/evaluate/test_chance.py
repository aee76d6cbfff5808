import json

import pytest

from lenspinn.evaluate.chance import chance_metrics, chance_sentence, verdict_of


def test_chance_is_the_share_of_the_largest_class_whatever_was_named():
    found = chance_metrics([[0, 10, 0], [0, 30, 0], [10, 0, 0]], accuracy_low=0.55)
    assert found == {"chance_accuracy": pytest.approx(0.6), "above_chance": False}


@pytest.mark.parametrize(("low", "above"), [(0.5, False), (0.501, True)])
def test_only_an_interval_that_lies_above_it_is_above_chance(low, above):
    assert chance_metrics([[5, 5], [3, 7]], accuracy_low=low)["above_chance"] is above


def test_the_sentence_names_both_numbers_and_what_to_do_without_skill():
    scores = {"accuracy": 0.36, "accuracy_low": 0.31, "accuracy_high": 0.41, "n_test": 300}
    text = chance_sentence(scores | {"chance_accuracy": 1 / 3, "above_chance": False})
    assert "0.360 (0.310 to 0.410) is not above chance" in text
    assert "would reach 0.333" in text
    assert "train on more images" in text


def test_the_sentence_of_a_network_with_skill_says_so():
    scores = {"accuracy": 0.9, "accuracy_low": 0.88, "accuracy_high": 0.92, "n_test": 300}
    text = chance_sentence(scores | {"chance_accuracy": 1 / 3, "above_chance": True})
    assert text.startswith("the accuracy 0.900 (0.880 to 0.920) is above chance")


def test_the_verdict_of_an_evaluation_is_read_beside_its_report(tmp_path):
    scores = {"accuracy": 0.9, "accuracy_low": 0.88, "accuracy_high": 0.92, "n_test": 1300}
    record = scores | {"chance_accuracy": 1 / 3}
    (tmp_path / "evaluation.json").write_text(json.dumps({"records": [record]}))
    text = verdict_of(tmp_path / "report.md")
    assert text.startswith("accuracy 0.900 (0.880 to 0.920) on 1,300 images")
    assert text.endswith("guessing would reach 0.333")
