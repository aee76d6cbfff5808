import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from lenstronomy.LensModel.lens_model import LensModel

from lenspinn import lensing

from .conftest import EXACT_PARITY, checked, position, scalar

ORDERS = (2, 3, 4)


@pytest.mark.parametrize("m", ORDERS)
def test_multipoles_are_those_of_lenstronomy(m):
    rng = np.random.default_rng(m)
    x, y = rng.uniform(-2.5, 2.5, (2, 50))
    at = torch.from_numpy(x)[None], torch.from_numpy(y)[None]
    kwargs = {"m": m, "a_m": 0.03, "phi_m": 0.4}
    model, shape = LensModel(["MULTIPOLE"]), (m, scalar(0.03), scalar(0.4))
    alpha = torch.cat(lensing.deflection_multipole(*at, *shape))
    np.testing.assert_allclose(alpha, model.alpha(x, y, [kwargs]), EXACT_PARITY, 1e-12)
    potential = lensing.potential_multipole(*at, *shape)
    np.testing.assert_allclose(potential[0], model.potential(x, y, [kwargs]), EXACT_PARITY, 1e-12)
    kappa = lensing.convergence_multipole(*at, *shape)
    np.testing.assert_allclose(kappa[0], model.kappa(x, y, [kwargs]), 1e-6, 1e-9)


@pytest.mark.parametrize("m", ORDERS)
@checked
@given(at=position(), phi=st.floats(-3.0, 3.0))
def test_deflection_is_the_gradient_of_the_potential(m, at, phi):
    x, y = (value.requires_grad_() for value in at)
    shape = m, scalar(0.05), scalar(phi)
    gradient = torch.autograd.grad(lensing.potential_multipole(x, y, *shape), (x, y))
    torch.testing.assert_close(
        gradient, lensing.deflection_multipole(x, y, *shape), rtol=1e-8, atol=1e-11
    )


@checked
@given(at=position(), radius=st.floats(0.1, 10.0))
def test_deflection_does_not_depend_on_radius(at, radius):
    shape = 4, scalar(0.05), scalar(0.2)
    farther = [radius * value for value in at]
    torch.testing.assert_close(
        lensing.deflection_multipole(*farther, *shape),
        lensing.deflection_multipole(*at, *shape),
        rtol=0,
        atol=1e-13,
    )
