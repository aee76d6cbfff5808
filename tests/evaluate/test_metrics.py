import numpy as np
import pytest
import torch
from torchmetrics.functional.classification import (
    multiclass_auroc,
    multiclass_calibration_error,
    multiclass_f1_score,
)

from lenspinn.errors import DataError
from lenspinn.evaluate.metrics import (
    classification_metrics,
    median_of,
    paired_difference,
    roc_curve,
    trust_metrics,
    weighted_auc,
)

CLASSES = ("axion", "cdm", "no_sub")
ROUNDING = 1e-12  # sums of at most a few thousand float64
FLOAT32 = 1e-5  # torchmetrics works in float32
PERCENTILE_NOISE = 0.15  # of a 2.5 % percentile of 1,000 resamples, in standard errors


def one_hot(predicted: list[int], confidence: float = 1.0) -> np.ndarray:
    probabilities = np.full((len(predicted), 3), (1 - confidence) / 2)
    probabilities[np.arange(len(predicted)), predicted] = confidence
    return probabilities


def random_case(num: int, seed: int = 5) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 3, num)
    logits = rng.normal(size=(num, 3)) + 1.5 * np.eye(3)[labels]
    probabilities = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    return probabilities, labels


def test_scores_of_a_confusion_worked_out_by_hand():
    labels = np.array([0, 0, 0, 0, 1, 1, 1, 2, 2, 2])
    predicted = [0, 0, 0, 1, 1, 1, 2, 2, 2, 2]
    metrics = classification_metrics(one_hot(predicted), labels, CLASSES)
    assert metrics["confusion"] == [[3, 1, 0], [0, 2, 1], [0, 0, 3]]
    assert metrics["accuracy"] == pytest.approx(8 / 10, abs=ROUNDING)
    assert metrics["f1_axion"] == pytest.approx(6 / 7, abs=ROUNDING)
    assert metrics["f1_cdm"] == pytest.approx(4 / 6, abs=ROUNDING)
    assert metrics["f1_no_sub"] == pytest.approx(6 / 7, abs=ROUNDING)
    assert metrics["macro_f1"] == pytest.approx((6 / 7 + 2 / 3 + 6 / 7) / 3, abs=ROUNDING)


def test_auc_of_scores_worked_out_by_hand_counts_ties_half():
    scores = np.array([0.1, 0.4, 0.4, 0.8])
    positive = np.array([False, True, False, True])
    auc = weighted_auc(scores, positive, np.ones((1, 4)))
    assert auc[0] == pytest.approx((1 + 0.5 + 1 + 1) / 4, abs=ROUNDING)


def test_area_under_the_roc_curve_is_the_auc():
    probabilities, labels = random_case(300)
    scores, positive = probabilities[:, 1].round(1), labels == 1  # rounded: many ties
    x, y = roc_curve(scores, positive)
    assert (x[0], y[0], x[-1], y[-1]) == (0, 0, 1, 1)
    auc = weighted_auc(scores, positive, np.ones((1, 300)))[0]
    assert np.trapezoid(y, x) == pytest.approx(auc, abs=ROUNDING)


def test_auc_of_repeated_images_equals_auc_of_their_weights():
    probabilities, labels = random_case(40)
    scores, positive = probabilities[:, 0], labels == 0
    weights = np.random.default_rng(1).integers(0, 4, 40)
    repeated = weighted_auc(
        np.repeat(scores, weights), np.repeat(positive, weights), np.ones((1, weights.sum()))
    )
    weighted = weighted_auc(scores, positive, weights[None].astype(float))
    assert weighted == pytest.approx(repeated, abs=ROUNDING)


def test_auc_equals_the_share_of_pairs_in_the_right_order():
    probabilities, labels = random_case(200)
    metrics = classification_metrics(probabilities, labels, CLASSES, n_bootstrap=10)
    for index, name in enumerate(CLASSES):
        scores = probabilities[:, index]
        pairs = scores[labels == index][:, None] - scores[labels != index][None]
        assert metrics[f"auc_{name}"] == pytest.approx((pairs > 0).mean(), abs=ROUNDING)


def test_perfect_probabilities_score_one_with_no_calibration_error():
    labels = np.arange(30) % 3
    metrics = classification_metrics(np.eye(3)[labels], labels, CLASSES)
    for name in ("accuracy", "micro_f1", "macro_f1", "auc_cdm", "auc_micro"):
        assert metrics[name] == metrics[f"{name}_low"] == metrics[f"{name}_high"] == 1
    assert metrics["ece"] == 0


def test_probabilities_without_information_have_auc_one_half():
    labels = np.arange(30) % 3
    metrics = classification_metrics(np.full((30, 3), 1 / 3), labels, CLASSES)
    assert metrics["auc_axion"] == metrics["auc_micro"] == 0.5
    assert metrics["accuracy"] == pytest.approx(1 / 3, abs=ROUNDING)
    assert metrics["ece"] == pytest.approx(0, abs=ROUNDING)


def test_calibration_error_is_the_gap_between_confidence_and_accuracy():
    labels = np.zeros(100, dtype=np.int64)
    predicted = [0] * 70 + [1] * 30
    metrics = classification_metrics(one_hot(predicted, confidence=0.9), labels, CLASSES)
    assert metrics["ece"] == pytest.approx(0.9 - 0.7, abs=ROUNDING)


def test_scores_of_calibrated_draws_have_a_small_calibration_error():
    rng = np.random.default_rng(2)
    probabilities = rng.dirichlet([1, 1, 1], size=20_000)
    labels = (rng.random(20_000)[:, None] > probabilities.cumsum(axis=1)).sum(axis=1)
    metrics = classification_metrics(probabilities, labels, CLASSES, n_bootstrap=10)
    expected_noise = 0.02  # 10 occupied bins of 2,000 images: sqrt(p (1 - p) / 2000) ~ 0.01 each
    assert metrics["ece"] < expected_noise


def test_scores_agree_with_torchmetrics():
    probabilities, labels = random_case(500)
    metrics = classification_metrics(probabilities, labels, CLASSES, n_bootstrap=10)
    p, y = torch.tensor(probabilities), torch.tensor(labels)
    reference = {
        "micro_f1": multiclass_f1_score(p, y, 3, average="micro"),
        "macro_f1": multiclass_f1_score(p, y, 3, average="macro"),
        "auc_no_sub": multiclass_auroc(p, y, 3, average=None)[2],
        "ece": multiclass_calibration_error(p, y, 3, n_bins=15),
    }
    for name, value in reference.items():
        assert metrics[name] == pytest.approx(value.item(), abs=FLOAT32), name


def test_accuracy_equals_micro_f1_with_its_interval():
    metrics = classification_metrics(*random_case(100), CLASSES)
    for end in ("", "_low", "_high"):
        assert metrics[f"micro_f1{end}"] == metrics[f"accuracy{end}"]


def test_bootstrap_interval_covers_a_binomial_rate_nineteen_times_in_twenty():
    rng = np.random.default_rng(3)
    rate, num, trials = 0.85, 300, 200
    covered = 0
    for _ in range(trials):
        predicted = (rng.random(num) > rate).astype(int)
        metrics = classification_metrics(
            np.eye(2)[predicted], np.zeros(num, dtype=np.int64), ("a", "b"), n_bootstrap=200
        )
        covered += metrics["accuracy_low"] <= rate <= metrics["accuracy_high"]
    spread = 3 * np.sqrt(0.95 * 0.05 / trials)  # three standard errors of 200 trials
    assert abs(covered / trials - 0.95) < spread + 0.01  # percentile intervals are 1 % short


def test_same_seed_gives_the_same_intervals_and_another_seed_others():
    case = random_case(200)
    first = classification_metrics(*case, CLASSES, seed=1)
    assert first == classification_metrics(*case, CLASSES, seed=1)
    other = classification_metrics(*case, CLASSES, seed=2)
    assert first["auc_cdm_low"] != other["auc_cdm_low"]


def test_auc_of_a_class_that_does_not_occur_is_none():
    probabilities, labels = random_case(60)
    metrics = classification_metrics(probabilities, labels % 2, CLASSES)
    assert metrics["auc_no_sub"] is None
    assert metrics["auc_no_sub_low"] is None


@pytest.mark.parametrize(
    "scores", [[[2.0, -0.5, 0.1]], [[0.5, 0.5, 0.5]], [[1.5, -0.5, 0.0]], [[np.nan, 0.5, 0.5]]]
)
def test_scores_that_are_not_probabilities_are_refused(scores):
    with pytest.raises(DataError, match="sum to 1 are needed"):
        classification_metrics(np.array(scores), np.array([0]), CLASSES)


def test_labels_beyond_the_classes_are_refused():
    with pytest.raises(DataError, match="do not fit the 3 classes"):
        classification_metrics(one_hot([0, 1]), np.array([0, 3]), CLASSES)


def test_columns_that_do_not_match_the_classes_are_refused():
    with pytest.raises(DataError, match="do not fit 2 labels and 2 classes"):
        classification_metrics(one_hot([0, 1]), np.array([0, 1]), ("axion", "cdm"))


def test_a_paired_interval_is_that_of_the_differences_of_single_images():
    rng = np.random.default_rng(3)
    hard = rng.random(2000) < 0.2
    ours = (~hard | (rng.random(2000) < 0.7)).astype(float)
    theirs = (~hard | (rng.random(2000) < 0.5)).astype(float)
    difference, low, high = paired_difference(ours, theirs)
    assert difference == pytest.approx(ours.mean() - theirs.mean(), abs=ROUNDING)
    error = (ours - theirs).std() / np.sqrt(2000)
    assert low == pytest.approx(difference - 1.96 * error, abs=PERCENTILE_NOISE * error)
    assert high == pytest.approx(difference + 1.96 * error, abs=PERCENTILE_NOISE * error)
    assert error < np.hypot(ours.std(), theirs.std()) / np.sqrt(2000)


def test_a_classifier_does_not_differ_from_itself():
    correct = np.arange(50) % 3 > 0
    assert paired_difference(correct * 1.0, correct * 1.0) == (0, 0, 0)


def test_trust_metrics_count_covered_images_set_sizes_and_refusals():
    labels = np.array([0, 0, 1, 1])
    possible = np.array(
        [[True, False, False], [False, True, False], [True, True, True], [False, True, False]]
    )
    refused = np.array([False, False, True, False])
    scores = trust_metrics(one_hot([0, 1, 1, 1]), possible, refused, labels, CLASSES)
    assert scores["set_coverage"] == 0.75
    assert (scores["set_coverage_axion"], scores["set_coverage_cdm"]) == (0.5, 1.0)
    assert scores["set_coverage_no_sub"] is None
    assert scores["set_size"] == 1.5
    assert scores["refused"] == 0.25
    assert scores["ece_calibrated"] == pytest.approx(0.25, abs=ROUNDING)
    assert scores["refused_low"] <= 0.25 <= scores["refused_high"]


def test_a_median_of_some_images_counts_them_by_their_weights():
    values, among = np.array([5.0, 1.0, 3.0, 100.0]), np.array([True, True, True, False])
    weights = np.array([[1.0, 1, 1, 9], [3, 1, 1, 0], [0, 0, 0, 1]])
    np.testing.assert_array_equal(median_of(values, among)(weights), [3.0, 5.0, np.nan])
    assert np.isnan(median_of(values, ~among & among)(weights)).all()
