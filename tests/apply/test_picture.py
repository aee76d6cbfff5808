import dataclasses
from pathlib import Path

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Circle, Rectangle

from lenspinn.apply import Answer, Mismatch, Uncertainty
from lenspinn.apply.estimates import Estimate
from lenspinn.apply.picture import BAD, GOOD, answer_figure
from lenspinn.explain import View
from lenspinn.models.quantities import QUANTITIES


def pixels(num_pix: int) -> np.ndarray:
    return np.random.default_rng(num_pix).uniform(size=(num_pix, num_pix)).astype(np.float32)


@pytest.fixture
def view() -> View:
    return View(
        image=pixels(16),
        preprocessed=pixels(16),
        cam=pixels(16),
        probabilities=np.array([0.1, 0.7, 0.2]),
        classes=("axion", "cdm", "no_sub"),
        pixel_scale=0.2,
        theta_E=0.8,
        source=pixels(16),
        coverage=np.ones((16, 16), dtype=np.float32),
    )


def answer(pixel_scale: float, *mismatches: Mismatch) -> Answer:
    return Answer(
        name="J0946",
        path=Path("J0946.fits"),
        probabilities={"axion": 0.1, "cdm": 0.7, "no_sub": 0.2},
        theta_E=0.8,
        pixel_scale=pixel_scale,
        mismatches=mismatches,
    )


def texts(figure: Figure) -> dict[str, str]:
    """Lines below the panels and their colours."""
    return {text.get_text(): text.get_color() for text in figure.subfigs[1].texts}


def first_panel(figure: Figure) -> Axes:
    return figure.axes[0]


def test_an_image_of_the_models_grid_is_drawn_whole(view: View) -> None:
    axes = first_panel(answer_figure(answer(0.2), view, view.image))
    assert axes.get_xlim() == pytest.approx((-1.6, 1.6))
    assert not any(isinstance(patch, Rectangle) for patch in axes.patches)


def test_the_field_of_the_model_is_marked_on_a_larger_image(view: View) -> None:
    axes = first_panel(answer_figure(answer(0.1), view, pixels(100)))
    (box,) = (patch for patch in axes.patches if isinstance(patch, Rectangle))
    assert (box.get_x(), box.get_width()) == pytest.approx((-1.6, 3.2))
    assert axes.get_xlim() == pytest.approx((-2.4, 2.4))
    assert any(isinstance(patch, Circle) for patch in axes.patches)


def test_the_verdict_is_green_without_mismatch(view: View) -> None:
    lines = texts(answer_figure(answer(0.2), view, view.image))
    assert lines[answer(0.2).verdict] == GOOD


def test_serious_mismatches_and_the_verdict_are_red(view: View) -> None:
    noise = Mismatch("noise", "the training images have none", serious=True)
    doubtful = answer(0.2, noise)
    lines = texts(answer_figure(doubtful, view, view.image))
    assert lines[doubtful.verdict] == BAD
    assert lines["noise: the training images have none"] == BAD


def test_a_long_warning_is_wrapped_and_the_picture_grows(view: View) -> None:
    long = Mismatch("noise", "word " * 100, serious=False)
    figure = answer_figure(answer(0.2, long), view, view.image)
    plain = answer_figure(answer(0.2), view, view.image)
    assert len(texts(figure)) > len(texts(plain)) + 1
    assert figure.get_figheight() > plain.get_figheight()


def test_the_picture_says_that_theta_e_is_not_measured(view: View) -> None:
    assert any(
        "not a measurement" in line for line in texts(answer_figure(answer(0.2), view, view.image))
    )


def test_a_refusal_is_red_and_its_probabilities_are_called_untrusted(view: View) -> None:
    uncertainty = Uncertainty(
        possible=("cdm",),
        coverage=0.9,
        shift=0.004,
        by_score={"features": 0.3, "pixels": 0.002},
        refused=True,
    )
    refused = dataclasses.replace(answer(0.2), uncertainty=uncertainty)
    figure = answer_figure(refused, view, view.image)
    lines = texts(figure)
    assert any(line.startswith("not answered") and lines[line] == BAD for line in lines)
    assert any("p = 0.004 (features 0.300, pixels 0.002" in line for line in lines)
    assert "probability, untrusted" in [axes.get_title() for axes in figure.axes]


def test_probabilities_of_a_run_without_calibration_are_called_so(view: View) -> None:
    titles = [axes.get_title() for axes in answer_figure(answer(0.2), view, view.image).axes]
    assert "probability (not calibrated)" in titles


def test_predicted_quantities_are_in_the_text_if_there_are_any(view: View) -> None:
    radius = Estimate(quantity=QUANTITIES["theta_E"], mean=0.93, sigma=0.02)
    with_one = dataclasses.replace(answer(0.2), estimates=(radius,))
    line = "Predicted by the network: theta_E 0.9300 +- 0.0200 arcsec."
    assert line in texts(answer_figure(with_one, view, view.image))
    assert not any(
        "Predicted" in text for text in texts(answer_figure(answer(0.2), view, view.image))
    )
