import math

import caustics.func
import pytest
import torch

from lenspinn import lensing

from .conftest import EXACT_PARITY, scalar


def test_tnfw_agrees_with_caustics_away_from_its_scale_radius():
    x = torch.tensor([[0.01, 0.1, 0.3, 0.8, 1.2, 3.0, 10.0]], dtype=torch.float64)
    tau, unit = scalar(2.5), scalar(1.0)
    enclosed = caustics.func.mass_enclosed_2d_tnfw(x, unit, tau, 1 / (1 - math.log(2)))
    alpha, _ = lensing.deflection_tnfw(x, torch.zeros_like(x), unit, unit, tau)
    torch.testing.assert_close(alpha, enclosed / x, rtol=EXACT_PARITY, atol=0)


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
