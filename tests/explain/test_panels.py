from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Circle

from lenspinn.data import map_panels
from lenspinn.explain import View, panels
from lenspinn.explain.view import FitView
from lenspinn.fitting.smooth import SMOOTH_PARAMETERS

CLASSES = ("axion", "cdm", "no_sub")


def ring(num_pix: int = 16) -> np.ndarray:
    axis = np.linspace(-1, 1, num_pix)
    return np.exp(-((np.hypot(axis, axis[:, None]) - 0.5) ** 2) / 0.02).astype(np.float32)


@pytest.fixture
def view() -> View:
    coverage = np.ones((16, 16), dtype=np.float32)
    coverage[0, :] = 0
    return View(
        image=ring(),
        preprocessed=ring(),
        cam=ring(),
        probabilities=np.array([0.1, 0.7, 0.2]),
        classes=CLASSES,
        pixel_scale=0.25,
        theta_E=0.9,
        source=ring(),
        coverage=coverage,
    )


@pytest.fixture
def axes() -> Axes:
    return Figure().add_subplot()


def radii(axes: Axes) -> list[float]:
    return [patch.get_radius() for patch in axes.patches if isinstance(patch, Circle)]


@pytest.mark.parametrize(
    "draw", [panels.draw_image, panels.draw_preprocessed, panels.draw_cam, panels.draw_source]
)
def test_maps_are_drawn_in_arcsec_with_row_0_at_the_bottom(
    draw: Callable[[Axes, View], None], axes: Axes, view: View
) -> None:
    draw(axes, view)
    for image in axes.images:
        assert tuple(image.get_extent()) == (-2, 2, -2, 2)
        assert image.origin == "lower"


@pytest.mark.parametrize("draw", [panels.draw_image, panels.draw_cam, panels.draw_source])
def test_the_predicted_einstein_radius_is_drawn(
    draw: Callable[[Axes, View], None], axes: Axes, view: View
) -> None:
    draw(axes, view)
    assert radii(axes) == [0.9]


def test_source_pixels_nothing_landed_on_are_not_drawn(axes: Axes, view: View) -> None:
    panels.draw_source(axes, view)
    drawn = np.ma.getmaskarray(axes.images[0].get_array())
    assert drawn[0].all()
    assert not drawn[1:].any()


@pytest.mark.parametrize(("theta_E", "half_width"), [(0.0, 0.5), (1.0, 1.35), (5.0, 2.0)])
def test_the_source_panel_follows_the_einstein_radius_within_the_field(
    theta_E: float, half_width: float, axes: Axes, view: View
) -> None:
    panels.draw_source(axes, replace(view, theta_E=theta_E))
    assert axes.get_xlim() == pytest.approx((-half_width, half_width))


def test_a_model_without_physics_leaves_its_source_panel_empty(axes: Axes, view: View) -> None:
    panels.draw_source(axes, replace(view, theta_E=None, source=None, coverage=None))
    assert not axes.images
    assert axes.texts[0].get_text() == "no lens model"


def test_grad_cam_is_opaque_where_the_evidence_is(axes: Axes, view: View) -> None:
    panels.draw_cam(axes, view)
    opacity = axes.images[1].get_array()[..., 3]
    np.testing.assert_allclose(opacity, panels.CAM_OPACITY * view.cam, atol=1e-6)  # float32


def test_bars_are_the_probabilities_and_the_true_class_is_bold(axes: Axes, view: View) -> None:
    panels.draw_probabilities(axes, view, label="no_sub")
    assert [bar.get_width() for bar in axes.patches] == [0.1, 0.7, 0.2]
    weights = {text.get_text(): text.get_fontweight() for text in axes.get_yticklabels()}
    assert weights == {"axion": "normal", "cdm": "normal", "no_sub": "bold"}


def fitted(view: View) -> View:
    values = dict.fromkeys(SMOOTH_PARAMETERS, 0.0) | {"theta_E": 0.9, "e1": 0.2, "source_x": 0.1}
    fit = FitView(
        parameters=np.array([list(values.values())], dtype=np.float32),
        model=ring(),
        residual=np.where(ring() > 0.5, np.nan, 2.0).astype(np.float32),
        chi2=1.0,
    )
    return replace(view, fit=fit)


@pytest.mark.parametrize("draw", [panels.draw_image, panels.draw_cam, panels.draw_source])
def test_a_fitted_lens_has_curves_in_the_place_of_a_circle(
    draw: Callable[[Axes, View], None], axes: Axes, view: View
) -> None:
    draw(axes, fitted(view))
    assert radii(axes) == []
    assert axes.lines


def test_the_critical_curve_of_an_ellipse_is_one(axes: Axes, view: View) -> None:
    panels.draw_critical_curve(axes, fitted(view))
    longest = max((line.get_xydata() for line in axes.lines), key=len)
    width, height = np.ptp(longest, axis=0)
    assert width > 1.2 * height  # along the long axis of the lens


def test_left_out_pixels_of_a_residual_are_not_drawn(axes: Axes, view: View) -> None:
    fit = fitted(view).fit
    assert fit is not None
    map_panels.draw_residual(axes, fit.residual, 0.25)
    drawn = np.ma.getmaskarray(axes.images[0].get_array())
    np.testing.assert_array_equal(drawn, np.isnan(fit.residual))
    assert axes.images[0].get_clim() == (-map_panels.MOST_SIGMAS, map_panels.MOST_SIGMAS)
