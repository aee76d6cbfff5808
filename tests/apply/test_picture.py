import dataclasses
from pathlib import Path
from typing import Literal

import numpy as np
import pytest
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Circle, Rectangle

from lenspinn.apply import Answer, Mismatch, Uncertainty
from lenspinn.apply.answer import Shown
from lenspinn.apply.estimates import Estimate
from lenspinn.apply.picture import BAD, GOOD, answer_figure
from lenspinn.apply.prepare import Prepared
from lenspinn.explain import View
from lenspinn.explain.view import FitView
from lenspinn.fitting.smooth import SMOOTH_PARAMETERS
from lenspinn.measure import LensMeasurement
from lenspinn.models import NetworkInput
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


@pytest.fixture
def fitted(view: View) -> View:
    """As a network that fits the lens gives it."""
    values = dict.fromkeys(SMOOTH_PARAMETERS, 0.0) | {"theta_E": 0.8, "e1": 0.1}
    fit = FitView(
        parameters=np.array([list(values.values())], dtype=np.float32),
        model=pixels(16),
        residual=pixels(16),
        chi2=1.7,
    )
    return dataclasses.replace(view, theta_E_error=0.01, fit=fit)


def answer(pixel_scale: float, *mismatches: Mismatch) -> Answer:
    return Answer(
        name="J0946",
        path=Path("J0946.fits"),
        probabilities={"axion": 0.1, "cdm": 0.7, "no_sub": 0.2},
        theta_E=0.8,
        pixel_scale=pixel_scale,
        mismatches=mismatches,
    )


SURE = Uncertainty(
    possible=("cdm",), coverage=0.9, shift=0.5, by_score={"pixels": 0.5}, refused=False
)


def drawn(
    found: Answer, view: View, delivered: np.ndarray, prepared: Prepared | None = None
) -> Figure:
    shown = Shown(view=view, delivered=delivered, prepared=prepared)
    return answer_figure(dataclasses.replace(found, shown=shown))


def texts(figure: Figure) -> dict[str, str]:
    """Lines below the panels and their colours."""
    return {text.get_text(): text.get_color() for text in figure.subfigs[1].texts}


def first_panel(figure: Figure) -> Axes:
    return figure.axes[0]


@pytest.mark.parametrize(
    ("measures", "words"),
    [(False, "learns theta_E from the classes alone"), (True, "was trained to read off the image")],
)
def test_the_picture_says_what_theta_E_is(view: View, measures: bool, words: str) -> None:
    view = dataclasses.replace(view, measures_theta_E=measures)
    lines = texts(drawn(answer(0.2), view, view.image))
    assert any(words in " ".join(line.split()) for line in lines)


def test_a_fitted_theta_E_that_is_not_trusted_has_no_error(fitted: View) -> None:
    sure = dataclasses.replace(answer(0.2), uncertainty=SURE)
    assert any(
        "theta_E 0.8000 +- 0.0100" in line for line in texts(drawn(sure, fitted, fitted.image))
    )
    lines = texts(drawn(answer(0.2), fitted, fitted.image))
    assert any('theta_E 0.80": untrusted' in line for line in lines)
    assert not any("+- 0.0100" in line for line in lines)


def test_an_image_of_the_models_grid_is_drawn_whole(view: View) -> None:
    axes = first_panel(drawn(answer(0.2), view, view.image))
    assert axes.get_xlim() == pytest.approx((-1.6, 1.6))
    assert not any(isinstance(patch, Rectangle) for patch in axes.patches)


def test_the_field_of_the_model_is_marked_on_a_larger_image(view: View) -> None:
    axes = first_panel(drawn(answer(0.1), view, pixels(100)))
    (box,) = (patch for patch in axes.patches if isinstance(patch, Rectangle))
    assert (box.get_x(), box.get_width()) == pytest.approx((-1.6, 3.2))
    assert axes.get_xlim() == pytest.approx((-2.4, 2.4))
    assert any(isinstance(patch, Circle) for patch in axes.patches)


def test_the_verdict_is_green_without_mismatch(view: View) -> None:
    sure = dataclasses.replace(answer(0.2), uncertainty=SURE)
    lines = texts(drawn(sure, view, view.image))
    assert lines[sure.verdict] == GOOD


def test_serious_mismatches_and_the_verdict_are_red(view: View) -> None:
    noise = Mismatch("noise", "the training images have none", serious=True)
    doubtful = answer(0.2, noise)
    lines = texts(drawn(doubtful, view, view.image))
    verdict = [line for line in lines if line in doubtful.verdict]
    assert " ".join(verdict) == doubtful.verdict
    assert {lines[line] for line in verdict} == {BAD}
    assert lines["noise: the training images have none"] == BAD


def test_a_long_warning_is_wrapped_and_the_picture_grows(view: View) -> None:
    long = Mismatch("noise", "word " * 100, serious=False)
    figure = drawn(answer(0.2, long), view, view.image)
    plain = drawn(answer(0.2), view, view.image)
    assert len(texts(figure)) > len(texts(plain)) + 1
    assert figure.get_figheight() > plain.get_figheight()


def test_the_picture_says_that_theta_e_is_not_measured(view: View) -> None:
    assert any("not a measurement" in line for line in texts(drawn(answer(0.2), view, view.image)))


def test_a_refusal_is_red_and_its_probabilities_are_called_untrusted(view: View) -> None:
    uncertainty = Uncertainty(
        possible=("cdm",),
        coverage=0.9,
        shift=0.004,
        by_score={"features": 0.3, "pixels": 0.002},
        refused=True,
    )
    refused = dataclasses.replace(answer(0.2), uncertainty=uncertainty)
    figure = drawn(refused, view, view.image)
    lines = texts(figure)
    assert any(line.startswith("not answered") and lines[line] == BAD for line in lines)
    assert any("p = 0.004 (features 0.300, pixels 0.002" in line for line in lines)
    assert "probability, untrusted" in [axes.get_title() for axes in figure.axes]


def test_probabilities_of_a_run_without_calibration_are_called_untrusted(view: View) -> None:
    figure = drawn(answer(0.2), view, view.image)
    titles = [axes.get_title() for axes in figure.axes]
    assert "probability, untrusted" in titles
    assert "untrusted evidence for cdm (Grad-CAM)" in titles
    assert texts(figure)[answer(0.2).verdict] == BAD


def test_predicted_quantities_are_in_the_text_if_there_are_any(view: View) -> None:
    radius = Estimate(quantity=QUANTITIES["theta_E"], mean=0.93, sigma=0.02)
    with_one = dataclasses.replace(answer(0.2), uncertainty=SURE, estimates=(radius,))
    line = "Predicted by the network: theta_E 0.9300 +- 0.0200 arcsec."
    assert line in texts(drawn(with_one, view, view.image))
    assert not any("Predicted" in text for text in texts(drawn(answer(0.2), view, view.image)))


def prepared_with(measured: LensMeasurement, mode: Literal["model", "mask"]) -> Prepared:
    return Prepared(
        observed=NetworkInput(torch.zeros(1, 1, 16, 16)),
        measured=measured,
        middle=(0.3, -0.2),
        light=np.ones((30, 30)) if mode == "model" else None,
        light_mode=mode,
        noise_from="the noise map",
        psf_from="the file",
        psf_assumed=False,
        sharpness=0.3,
        training_sharpness=0.8,
        scatter=1.0,
        left_out=0.0,
        factor=1.0,
    )


def test_a_fitted_lens_is_shown_with_all_that_explains_it(
    fitted: View, measured: LensMeasurement
) -> None:
    prepared = prepared_with(measured, "model")
    told = dataclasses.replace(answer(0.1), preparation={"chi2": 1.7, **prepared.to_json()})
    figure = drawn(told, fitted, pixels(100), prepared)
    titles = " ".join(axes.get_title() for axes in figure.axes)
    for part in ("lens light", "critical curve", "model", "residual in sigma", "caustic"):
        assert part in titles
    text = " ".join(texts(figure))
    assert "lens light modelled and subtracted; noise: the noise map; PSF: the file" in text
    assert "chi^2 per degree of freedom 1.70" in text


def test_the_image_as_delivered_is_drawn_around_its_lens(
    fitted: View, measured: LensMeasurement
) -> None:
    figure = drawn(answer(0.1), fitted, pixels(100), prepared_with(measured, "model"))
    assert figure.axes[0].images[0].get_extent() == pytest.approx([-5.3, 4.7, -4.8, 5.2])


def test_masked_lens_light_is_called_so(fitted: View, measured: LensMeasurement) -> None:
    figure = drawn(answer(0.1), fitted, pixels(100), prepared_with(measured, "mask"))
    assert "lens light masked" in [text.get_text() for text in figure.axes[1].texts]


def test_an_answer_that_is_not_trusted_has_no_calibrated_probabilities(view: View) -> None:
    noise = Mismatch("noise", "too much", serious=True)
    for mismatches, title in (((), "calibrated probability"), ((noise,), "probability, untrusted")):
        found = dataclasses.replace(answer(0.2, *mismatches), uncertainty=SURE)
        titles = [axes.get_title() for axes in drawn(found, view, view.image).axes]
        assert title in titles


@pytest.mark.parametrize("num", [2, 4, 7])
def test_any_number_of_classes_has_a_bar_each(view: View, num: int) -> None:
    names = tuple(f"class_{index}" for index in range(num))
    chances = np.full(num, 1 / num)
    own = dataclasses.replace(
        answer(0.2), probabilities=dict(zip(names, chances.tolist(), strict=True))
    )
    seen = dataclasses.replace(view, classes=names, probabilities=chances)
    panel = drawn(own, seen, view.image).axes[-1]
    assert [text.get_text() for text in panel.get_yticklabels()] == list(names)
    assert len(panel.patches) == num


def test_an_answer_without_its_image_cannot_be_drawn() -> None:
    with pytest.raises(ValueError, match="nothing to show"):
        answer_figure(answer(0.2))
