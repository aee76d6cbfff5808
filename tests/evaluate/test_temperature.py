import numpy as np
import pytest

from lenspinn.errors import DataError
from lenspinn.evaluate.temperature import fit_temperature, scaled_probabilities

STANDARD_ERRORS = 4  # of the fitted temperature, which is about T / sqrt(images) here
ROUNDING = 1e-12


def draw(temperature: float, num: int = 20_000) -> tuple[np.ndarray, np.ndarray]:
    """Logits, and labels that are right with softmax(logits / temperature)."""
    rng = np.random.default_rng(4)
    logits = rng.normal(0, 3, (num, 3))
    chances = scaled_probabilities(logits, temperature)
    labels = (rng.uniform(size=(num, 1)) > chances.cumsum(axis=1)).sum(axis=1)
    return logits, labels


@pytest.mark.parametrize("temperature", [0.4, 1.0, 2.5])
def test_the_temperature_that_made_the_labels_is_found(temperature):
    logits, labels = draw(temperature)
    allowed = STANDARD_ERRORS * temperature / np.sqrt(len(labels))
    assert fit_temperature(logits, labels) == pytest.approx(temperature, abs=allowed)


def test_a_scale_of_the_logits_is_a_scale_of_the_temperature():
    logits, labels = draw(1.0, num=500)
    once, twice = fit_temperature(logits, labels), fit_temperature(2 * logits, labels)
    assert twice == pytest.approx(2 * once, rel=1e-4)  # the search stops at 1e-5


def test_where_every_image_is_right_the_temperature_stays_1():
    logits, _ = draw(1.0, num=50)
    assert fit_temperature(logits, logits.argmax(axis=1)) == 1.0


def test_no_images_are_refused():
    with pytest.raises(DataError, match="there are 0"):
        fit_temperature(np.zeros((0, 3)), np.zeros(0, dtype=int))


def test_a_high_temperature_makes_all_classes_alike_and_keeps_their_order():
    logits = np.array([[2.0, 1.0, -1.0]])
    sharp, vague = scaled_probabilities(logits), scaled_probabilities(logits, 100.0)
    assert vague.argsort().tolist() == sharp.argsort().tolist()
    assert np.ptp(vague) < np.ptp(sharp) / 10
    assert vague.sum() == pytest.approx(1, abs=ROUNDING)
