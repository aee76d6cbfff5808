import json
import math
from collections.abc import Callable
from typing import NamedTuple

import caustics.func
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from lenstronomy.LensModel.lens_model import LensModel
from lenstronomy.Util import param_util
from torch import Tensor

from lenspinn import lensing

PARITY = 1e-6  # Relative: what issue 2 asks for.
EXACT_PARITY = 1e-9  # Relative: what is reached.
SIE_CORE = 1e-10  # Arcsec: that of lenstronomy's SIE, and so an absolute tolerance.
ROUNDING = 1e-11
SINGLE_PRECISION = 1e-5  # Relative.

checked = settings(deadline=None, derandomize=True, max_examples=60)


def scalar(value: float, dtype: torch.dtype = torch.float64) -> Tensor:
    return torch.full((1, 1), value, dtype=dtype)


class Profile(NamedTuple):
    """A profile, its lenstronomy name, and the ranges of its parameters."""

    deflection: Callable[..., tuple[Tensor, Tensor]]
    potential: Callable[..., Tensor]
    convergence: Callable[..., Tensor]
    lenstronomy: str
    ranges: dict[str, tuple[float, float]]


def _profile(name: str, lenstronomy: str, **ranges: tuple[float, float]) -> Profile:
    kinds = ("deflection", "potential", "convergence")
    return Profile(*(getattr(lensing, f"{kind}_{name}") for kind in kinds), lenstronomy, ranges)


PROFILES = {
    "point_mass": _profile("point_mass", "POINT_MASS", theta_E=(0.01, 2.0)),
    "sis": _profile("sis", "SIS", theta_E=(0.1, 2.0)),
    "sie": _profile("sie", "SIE", theta_E=(0.1, 2.0), e1=(-0.5, 0.5), e2=(-0.5, 0.5)),
    "shear": _profile("shear", "SHEAR", gamma1=(-0.2, 0.2), gamma2=(-0.2, 0.2)),
    "tnfw": _profile("tnfw", "TNFW", alpha_Rs=(0.001, 0.1), Rs=(0.05, 0.5), r_trunc=(0.06, 3.0)),
}
AXISYMMETRIC = ("point_mass", "sis", "tnfw")

every_profile = pytest.mark.parametrize("profile", PROFILES.values(), ids=PROFILES.keys())


@st.composite
def position(draw):
    """A position 0.01 to 3 arcsec from the centre, in any direction."""
    radius, angle = draw(st.floats(0.01, 3.0)), draw(st.floats(0.0, 2 * math.pi))
    return scalar(radius * math.cos(angle)), scalar(radius * math.sin(angle))


@st.composite
def parameters_of(draw, profile):
    return {name: scalar(draw(st.floats(*span))) for name, span in profile.ranges.items()}


def jacobian(profile, x, y, parameters):
    """Rows (d alpha_x / d theta, d alpha_y / d theta) by autograd, as floats."""
    x, y = x.clone().requires_grad_(), y.clone().requires_grad_()
    return [
        [part.item() for part in torch.autograd.grad(component, (x, y), retain_graph=True)]
        for component in profile.deflection(x, y, **parameters)
    ]


def numbers(parameters):
    return {name: value.item() for name, value in parameters.items()}


# --- against the references ---------------------------------------------------------------------


def reference_cases(shared_data, model):
    file = shared_data / "peer_reference" / "lenstronomy_profiles.json"
    for case in json.loads(file.read_text())["profiles"]:
        if case["model"] != model:
            continue
        kwargs = dict(case["kwargs"])
        x0, y0 = kwargs.pop("center_x", 0.0), kwargs.pop("center_y", 0.0)
        kwargs.pop("ra_0", None), kwargs.pop("dec_0", None)
        columns = {k: np.array(case[k]) for k in ("potential", "alpha_x", "alpha_y", "kappa")}
        x, y = (torch.tensor([case[k]], dtype=torch.float64) for k in ("x", "y"))
        yield x - x0, y - y0, {k: scalar(v) for k, v in kwargs.items()}, columns


@every_profile
def test_deflection_and_potential_agree_with_the_stored_reference(profile, shared_data):
    cases = list(reference_cases(shared_data, profile.lenstronomy))
    assert cases
    for x, y, parameters, expected in cases:
        alpha_x, alpha_y = profile.deflection(x, y, **parameters)
        potential = profile.potential(x, y, **parameters)
        np.testing.assert_allclose(alpha_x[0], expected["alpha_x"], rtol=PARITY, atol=0)
        np.testing.assert_allclose(alpha_y[0], expected["alpha_y"], rtol=PARITY, atol=0)
        np.testing.assert_allclose(potential[0], expected["potential"], rtol=PARITY, atol=0)


@every_profile
def test_convergence_agrees_with_the_stored_reference(profile, shared_data):
    # lenstronomy takes the convergence of its SIE from finite differences 1e-10 arcsec apart.
    rtol = 2e-5 if profile.lenstronomy == "SIE" else PARITY
    for x, y, parameters, expected in reference_cases(shared_data, profile.lenstronomy):
        convergence = profile.convergence(x, y, **parameters)
        np.testing.assert_allclose(convergence[0], expected["kappa"], rtol=rtol, atol=0)


@every_profile
def test_random_lenses_agree_with_lenstronomy(profile):
    rng = np.random.default_rng(7)
    x, y = rng.uniform(-2.5, 2.5, (2, 40))
    theta_x, theta_y = torch.from_numpy(x)[None], torch.from_numpy(y)[None]
    model = LensModel([profile.lenstronomy])
    for _ in range(20):
        kwargs = {name: rng.uniform(*span) for name, span in profile.ranges.items()}
        parameters = {name: scalar(value) for name, value in kwargs.items()}
        alpha = torch.cat(profile.deflection(theta_x, theta_y, **parameters))
        potential = profile.potential(theta_x, theta_y, **parameters)
        np.testing.assert_allclose(alpha, model.alpha(x, y, [kwargs]), EXACT_PARITY, SIE_CORE)
        np.testing.assert_allclose(
            potential[0], model.potential(x, y, [kwargs]), EXACT_PARITY, SIE_CORE
        )


def test_sie_convergence_agrees_with_the_power_law_of_lenstronomy():
    # EPL with an isothermal slope is the same lens, and its convergence is in closed form there.
    rng = np.random.default_rng(8)
    x, y = rng.uniform(-2.5, 2.5, (2, 200))
    kwargs = {"theta_E": 1.2, "e1": 0.2, "e2": -0.3}
    expected = LensModel(["EPL"]).kappa(x, y, [{**kwargs, "gamma": 2.0}])
    ours = lensing.convergence_sie(
        torch.from_numpy(x)[None],
        torch.from_numpy(y)[None],
        **{name: scalar(value) for name, value in kwargs.items()},
    )
    np.testing.assert_allclose(ours[0], expected, rtol=EXACT_PARITY)


def test_tnfw_agrees_with_caustics_away_from_its_scale_radius():
    x = torch.tensor([[0.01, 0.1, 0.3, 0.8, 1.2, 3.0, 10.0]], dtype=torch.float64)
    tau, unit = scalar(2.5), scalar(1.0)
    enclosed = caustics.func.mass_enclosed_2d_tnfw(x, unit, tau, 1 / (1 - math.log(2)))
    alpha, _ = lensing.deflection_tnfw(x, torch.zeros_like(x), unit, unit, tau)
    torch.testing.assert_close(alpha, enclosed / x, rtol=EXACT_PARITY, atol=0)


def test_ellipticity_agrees_with_lenstronomy():
    rng = np.random.default_rng(9)
    for e1, e2 in rng.uniform(-0.6, 0.6, (50, 2)):
        phi, q = param_util.ellipticity2phi_q(e1, e2)
        ours = lensing.ellipticity_to_axis_ratio(scalar(e1), scalar(e2))
        assert [value.item() for value in ours] == pytest.approx([q, phi], rel=ROUNDING)


# --- analytic properties ------------------------------------------------------------------------


@every_profile
@checked
@given(data=st.data())
def test_deflection_is_the_gradient_of_the_potential(profile, data):
    x, y = (value.requires_grad_() for value in data.draw(position()))
    parameters = data.draw(parameters_of(profile))
    gradient = torch.cat(torch.autograd.grad(profile.potential(x, y, **parameters), (x, y)))
    alpha = torch.cat(profile.deflection(x, y, **parameters))
    torch.testing.assert_close(gradient, alpha, rtol=1e-8, atol=1e-10)


@every_profile
@checked
@given(data=st.data())
def test_convergence_is_half_the_divergence_and_the_curl_is_zero(profile, data):
    (x, y), parameters = data.draw(position()), data.draw(parameters_of(profile))
    (xx, xy), (yx, yy) = jacobian(profile, x, y, parameters)
    size = abs(xx) + abs(yy) + abs(xy)
    convergence = profile.convergence(x, y, **parameters).item()
    assert (xx + yy) / 2 == pytest.approx(convergence, rel=1e-8, abs=1e-8 * size)
    assert xy == pytest.approx(yx, rel=1e-8, abs=1e-8 * size)


@every_profile
@checked
@given(data=st.data(), angle=st.floats(-math.pi, math.pi))
def test_rotating_the_lens_rotates_the_deflection(profile, data, angle):
    (x, y), parameters = data.draw(position()), data.draw(parameters_of(profile))
    turned = dict(parameters)
    for first, second in (("e1", "e2"), ("gamma1", "gamma2")):
        if first in parameters:
            turned[first], turned[second] = _rotate(
                parameters[first], parameters[second], 2 * angle
            )
    expected = _rotate(*profile.deflection(x, y, **parameters), angle)
    alpha = profile.deflection(*_rotate(x, y, angle), **turned)
    torch.testing.assert_close(alpha, expected, rtol=1e-8, atol=1e-10)


def _rotate(x, y, angle):
    c, s = math.cos(angle), math.sin(angle)
    return c * x - s * y, s * x + c * y


@checked
@given(at=position(), theta_E=st.floats(0.01, 3.0))
def test_sis_deflects_by_theta_E_everywhere(at, theta_E):
    assert torch.hypot(*lensing.deflection_sis(*at, scalar(theta_E))).item() == pytest.approx(
        theta_E, rel=ROUNDING
    )


@checked
@given(at=position(), theta_E=st.floats(0.01, 3.0))
def test_sis_convergence_falls_as_one_over_radius(at, theta_E):
    expected = theta_E / (2 * torch.hypot(*at))
    torch.testing.assert_close(lensing.convergence_sis(*at, scalar(theta_E)), expected)


@checked
@given(at=position(), theta_E=st.floats(0.01, 3.0))
def test_point_mass_deflects_by_theta_E_squared_over_radius(at, theta_E):
    alpha = torch.hypot(*lensing.deflection_point_mass(*at, scalar(theta_E)))
    torch.testing.assert_close(alpha, theta_E**2 / torch.hypot(*at))


@checked
@given(at=position(), e=st.floats(0.0, 1e-9), angle=st.floats(0.0, 2 * math.pi))
def test_sie_with_q_near_one_is_sis(at, e, angle):
    theta_E = scalar(1.3)
    nearly_round = scalar(e * math.cos(angle)), scalar(e * math.sin(angle))
    alpha = torch.cat(lensing.deflection_sie(*at, theta_E, *nearly_round))
    sphere = torch.cat(lensing.deflection_sis(*at, theta_E))
    torch.testing.assert_close(alpha, sphere, rtol=0, atol=5e-9)  # Of the order of e itself.


@pytest.mark.parametrize("name", ["point_mass", "sis"])
def test_mean_convergence_inside_theta_E_is_one(name):
    theta_E = scalar(0.8)
    alpha, _ = PROFILES[name].deflection(theta_E, scalar(0.0), theta_E)
    # By Gauss' theorem alpha / theta is the mean convergence of an axisymmetric lens.
    assert (alpha / theta_E).item() == pytest.approx(1.0, rel=ROUNDING)


def test_mean_sie_convergence_inside_its_critical_ellipse_is_one():
    q, phi, theta_E = 0.6, 0.4, 0.9
    # The trapezoid rule on a closed smooth curve converges exponentially.
    t = torch.linspace(0, 2 * math.pi, 401, dtype=torch.float64)[None, :-1]
    a, b = theta_E / math.sqrt(q), theta_E * math.sqrt(q)
    x, y = _rotate(a * torch.cos(t), b * torch.sin(t), phi)
    normal_x, normal_y = _rotate(b * torch.cos(t), a * torch.sin(t), phi)
    ellipticity = lensing.axis_ratio_to_ellipticity(scalar(q), scalar(phi))
    alpha_x, alpha_y = lensing.deflection_sie(x, y, scalar(theta_E), *ellipticity)
    flux = (alpha_x * normal_x + alpha_y * normal_y).mean() * 2 * math.pi
    assert flux.item() / 2 == pytest.approx(math.pi * theta_E**2, rel=ROUNDING)


@pytest.mark.parametrize("name", ["point_mass", "sis", "sie"])
def test_lens_of_zero_theta_E_deflects_nothing(name):
    theta_x, theta_y = lensing.pixel_grid(9, 0.2, dtype=torch.float64)
    parameters = {key: scalar(0.1) for key in PROFILES[name].ranges} | {"theta_E": scalar(0.0)}
    for component in PROFILES[name].deflection(theta_x, theta_y, **parameters):
        assert (component == 0).all()


@pytest.mark.parametrize(
    ("name", "strength", "factor"),
    [
        ("point_mass", "theta_E", 3**0.5),
        ("sis", "theta_E", 3),
        ("sie", "theta_E", 3),
        ("tnfw", "alpha_Rs", 3),
        ("shear", "gamma1", 3),
    ],
)
@checked
@given(data=st.data())
def test_three_times_the_mass_deflects_three_times_as_much(name, strength, factor, data):
    profile = PROFILES[name]
    at, parameters = data.draw(position()), data.draw(parameters_of(profile))
    if name == "shear":
        parameters["gamma2"] = scalar(0.0)
    once = torch.cat(profile.deflection(*at, **parameters))
    parameters[strength] = factor * parameters[strength]
    thrice = torch.cat(profile.deflection(*at, **parameters))
    torch.testing.assert_close(thrice, 3 * once, rtol=ROUNDING, atol=1e-15)


def test_untruncated_tnfw_deflects_by_alpha_Rs_at_Rs():
    alpha, _ = lensing.deflection_tnfw(
        scalar(0.3), scalar(0.0), scalar(0.05), scalar(0.3), scalar(1e5)
    )
    assert alpha.item() == pytest.approx(0.05, rel=1e-8)  # Truncated at 3e5 Rs: (Rs / r_trunc)^2.


@pytest.mark.parametrize("kind", ["deflection", "potential", "convergence"])
@pytest.mark.parametrize("edge", [0.5, (1 - 0.05) ** 0.5, 1.0, (1 + 0.05) ** 0.5])
def test_tnfw_is_smooth_where_one_formula_takes_over_from_another(kind, edge):
    step = 1e-7
    x = scalar(edge) + torch.tensor([[-2 * step, -step, step, 2 * step]], dtype=torch.float64)
    profile = getattr(lensing, f"{kind}_tnfw")
    value = profile(x, torch.zeros_like(x), scalar(1.0), scalar(1.0), scalar(2.0))
    value = value[0] if kind == "deflection" else value
    # A third difference of a smooth function is step^3: only rounding is left.
    third = value[0, 3] - value[0, 0] - 2 * (value[0, 2] - value[0, 1])
    assert third.abs().item() < 1e-13


def test_axis_ratio_and_ellipticity_are_inverse():
    q, phi = scalar(0.63), scalar(-1.1)
    back = lensing.ellipticity_to_axis_ratio(*lensing.axis_ratio_to_ellipticity(q, phi))
    torch.testing.assert_close(back, (q, phi), rtol=ROUNDING, atol=0)


def test_shear_and_point_mass_have_no_convergence():
    theta_x, theta_y = lensing.pixel_grid(5, 0.3)
    one = scalar(1.0, torch.float32)
    assert (lensing.convergence_shear(theta_x, theta_y, one, one) == 0).all()
    assert (lensing.convergence_point_mass(theta_x, theta_y, one) == 0).all()


# --- as functions of tensors --------------------------------------------------------------------

TYPICAL = {
    "theta_E": 0.9, "e1": 0.1, "e2": -0.2, "gamma1": 0.05, "gamma2": -0.03,
    "alpha_Rs": 0.05, "Rs": 0.3, "r_trunc": 0.9,
}  # fmt: skip


def typical(profile, dtype=torch.float64):
    return {name: scalar(TYPICAL[name], dtype) for name in profile.ranges}


@every_profile
def test_deflection_is_zero_at_the_centre(profile):
    for dtype in (torch.float32, torch.float64):
        zero = scalar(0.0, dtype)
        for component in profile.deflection(zero, zero, **typical(profile, dtype)):
            assert component.item() == 0


@every_profile
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("is_round", [True, False])
def test_values_and_gradients_are_finite_on_a_grid_with_its_centre(profile, dtype, is_round):
    theta_x, theta_y = (t.requires_grad_() for t in lensing.pixel_grid(9, 0.1, dtype=dtype))
    parameters = typical(profile, dtype)
    if is_round:
        parameters |= {name: scalar(0.0, dtype) for name in ("e1", "e2") if name in parameters}
    leaves = [theta_x, theta_y, *(p.requires_grad_() for p in parameters.values())]
    outputs = [
        *profile.deflection(theta_x, theta_y, **parameters),
        profile.potential(theta_x, theta_y, **parameters),
        profile.convergence(theta_x, theta_y, **parameters),
    ]
    for output in outputs:
        assert output.isfinite().all()
        if not output.requires_grad:
            continue  # The constant convergence of a point mass or of a shear.
        gradients = torch.autograd.grad(
            output.sum(), leaves, retain_graph=True, materialize_grads=True
        )
        assert all(gradient.isfinite().all() for gradient in gradients)


@every_profile
def test_gradient_in_every_parameter_is_the_finite_difference(profile):
    theta_x, theta_y = lensing.pixel_grid(4, 0.3, dtype=torch.float64)
    parameters = [value.requires_grad_() for value in typical(profile).values()]
    assert torch.autograd.gradcheck(
        lambda *values: profile.deflection(theta_x, theta_y, *values), parameters
    )


def test_gradient_of_a_round_sie_in_its_ellipticity_is_right():
    theta_x, theta_y = lensing.pixel_grid(5, 0.31, dtype=torch.float64)

    def deflection(e1, e2):
        return lensing.deflection_sie(theta_x, theta_y, scalar(1.0), scalar(e1), scalar(e2))

    step = 1e-4
    for index in (0, 1):
        ellipticity = [scalar(0.0), scalar(0.0)]
        tangent = [scalar(0.0), scalar(0.0)]
        tangent[index] = scalar(1.0)
        _, derivative = torch.autograd.functional.jvp(
            lambda e1, e2: lensing.deflection_sie(theta_x, theta_y, scalar(1.0), e1, e2),
            tuple(ellipticity),
            tuple(tangent),
        )
        after, before = ([sign * step * (i == index) for i in (0, 1)] for sign in (1, -1))
        for ours, high, low in zip(
            derivative, deflection(*after), deflection(*before), strict=True
        ):
            torch.testing.assert_close(ours, (high - low) / (2 * step), rtol=0, atol=1e-5)


@every_profile
def test_one_grid_broadcasts_over_a_batch_of_lenses(profile):
    theta_x, theta_y = lensing.pixel_grid(6, 0.2, dtype=torch.float64)
    scale = torch.tensor([0.5, 1.0, 1.5], dtype=torch.float64)[:, None, None]
    batch = {name: value * scale for name, value in typical(profile).items()}
    together = profile.deflection(theta_x, theta_y, **batch)
    alone = profile.deflection(theta_x, theta_y, **typical(profile))
    for ours, expected in zip(together, alone, strict=True):
        assert ours.shape == (3, 6, 6)
        torch.testing.assert_close(ours[1], expected, rtol=ROUNDING, atol=0)


@every_profile
def test_single_precision_keeps_five_digits(profile):
    # An offset of a power of two keeps pixels off the axes, and positions exact in both precisions.
    theta_x, theta_y = (t + 2**-6 for t in lensing.pixel_grid(64, 2**-4, dtype=torch.float32))
    single = profile.deflection(theta_x, theta_y, **typical(profile, torch.float32))
    parameters = {name: value.double() for name, value in typical(profile, torch.float32).items()}
    double = profile.deflection(theta_x.double(), theta_y.double(), **parameters)
    size = torch.hypot(*double)
    for ours, expected in zip(single, double, strict=True):
        assert ((ours.double() - expected).abs() / size).max() < SINGLE_PRECISION
