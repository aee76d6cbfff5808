import numpy as np
import pytest
import torch

from lenspinn.fitting.critical import caustics, critical_curves
from lenspinn.fitting.smooth import SHAPE_PARAMETERS, SMOOTH_PARAMETERS

THETA_E = 0.9
# Of a curve through points a quarter of a pixel apart.
CURVE = 0.01


def lens(**values: float) -> torch.Tensor:
    known = {"theta_E": THETA_E} | values
    return torch.tensor([[known.get(name, 0.0) for name in SMOOTH_PARAMETERS]])


def longest(curves: list[np.ndarray]) -> np.ndarray:
    return max(curves, key=len)


def area(curve: np.ndarray) -> float:
    x, y = curve.T
    return 0.5 * abs(float(np.sum(x * np.roll(y, 1) - y * np.roll(x, 1))))


def test_the_critical_curve_of_a_sphere_is_the_einstein_ring() -> None:
    curve = longest(critical_curves(lens(center_x=0.1), 64, 0.08))
    radius = np.hypot(curve[:, 0] - 0.1, curve[:, 1])
    np.testing.assert_allclose(radius, THETA_E, rtol=CURVE)


def test_an_ellipse_encloses_the_same_area() -> None:
    curve = longest(critical_curves(lens(e1=0.15, e2=-0.1), 64, 0.08))
    assert area(curve) == pytest.approx(np.pi * THETA_E**2, rel=CURVE)


def test_the_caustic_of_shear_is_an_astroid_of_known_size() -> None:
    # Of an isothermal sphere in shear gamma the cusps lie at 2 theta_E gamma / (1 +- gamma).
    gamma = 0.1
    parameters = lens(gamma1=gamma)
    caustic = longest(caustics(parameters, critical_curves(parameters, 64, 0.08)))
    reach = sorted(np.abs(caustic).max(axis=0))
    expected = [2 * THETA_E * gamma / (1 + gamma), 2 * THETA_E * gamma / (1 - gamma)]
    np.testing.assert_allclose(reach, expected, rtol=0.05)


def test_there_is_a_caustic_for_each_critical_curve() -> None:
    parameters = lens(e1=0.2)
    curves = critical_curves(parameters, 32, 0.1)
    assert [len(curve) for curve in curves] == [len(c) for c in caustics(parameters, curves)]


def sloped(gamma: float) -> torch.Tensor:
    shape = [gamma if name == "gamma" else 0.0 for name in SHAPE_PARAMETERS]
    return torch.cat([lens(center_x=0.03, center_y=-0.02), torch.tensor([shape])], dim=1)


def test_a_lens_steeper_than_isothermal_has_no_cut() -> None:
    curves = critical_curves(sloped(2.3), 64, 0.08)
    assert len(curves) == 1
    radius = np.hypot(curves[0][:, 0] - 0.03, curves[0][:, 1] + 0.02)
    np.testing.assert_allclose(radius, THETA_E, rtol=CURVE)


@pytest.mark.parametrize("gamma", [1.7, 2.0])
def test_other_lenses_have_one(gamma: float) -> None:
    assert len(critical_curves(sloped(gamma), 64, 0.08)) == 2
