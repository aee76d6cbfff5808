import numpy as np
import pytest
import torch

import lenspinn
from lenspinn import lensing
from lenspinn.lensing import arrays, profiles, raytrace

TENSORS = ("deflection_", "potential_", "convergence_")


def test_every_profile_is_there_for_arrays() -> None:
    names = {name for name in profiles.__all__ if name.startswith(TENSORS)}
    assert names - {"deflection_sie_with", "deflection_multipole_parts"} <= set(arrays.__all__)


def test_numbers_give_numbers() -> None:
    alpha_x, alpha_y = lensing.deflection_sis(3.0, 4.0, 1.5)
    assert np.ndim(alpha_x) == 0
    assert (alpha_x, alpha_y) == pytest.approx((0.9, 1.2))


def test_arrays_give_arrays_of_the_same_shape_and_type() -> None:
    x, y = (axis.numpy() for axis in lenspinn.pixel_grid(8, 0.2))
    kappa = lensing.convergence_sie(x, y, 1.0, 0.1, 0.0)
    assert kappa.shape == (8, 8)
    assert kappa.dtype == np.float32
    wanted = profiles.convergence_sie(
        *map(torch.from_numpy, (x, y)), *(torch.full((1, 1), v) for v in (1.0, 0.1, 0.0))
    )
    np.testing.assert_allclose(kappa, wanted.numpy(), rtol=1e-6)


def test_a_row_of_positions_and_a_batch_of_lenses_broadcast() -> None:
    psi = lensing.potential_sis(np.array([3.0, 0.3]), np.array([4.0, 0.4]), np.array([1.0, 2, 3]))
    np.testing.assert_allclose(psi, np.outer([1, 2, 3], [5, 0.5]))


def test_arrays_beside_tensors_give_tensors() -> None:
    x = torch.tensor([[1.0]], requires_grad=True)
    alpha_x, _ = lensing.deflection_sis(x, np.zeros((1, 1)), 1.0)
    assert isinstance(alpha_x, torch.Tensor)
    assert alpha_x.requires_grad


def test_the_byte_order_of_fits_files_is_taken() -> None:
    image = np.arange(9.0, dtype=">f4").reshape(3, 3)
    x, y = (axis.numpy() for axis in lenspinn.pixel_grid(3, 1.0))
    np.testing.assert_array_equal(lenspinn.relens(image, x, y, pixel_scale=1.0), image)


def test_a_single_image_needs_no_batch() -> None:
    image = np.random.default_rng(0).random((6, 6))
    x, y = (axis.double().numpy() for axis in lenspinn.pixel_grid(6, 0.1))
    found = lenspinn.delens(image, x, y, pixel_scale=0.1)
    assert isinstance(found, lensing.SourceImage)
    np.testing.assert_allclose(found.source, image, atol=1e-6)


def test_tensors_pass_untouched() -> None:
    image = torch.rand(2, 5, 5)
    x, y = (axis.expand(2, 5, 5) for axis in lenspinn.pixel_grid(5, 0.1))
    found = lenspinn.relens(image, x, y, pixel_scale=0.1)
    assert torch.equal(found, raytrace.relens(image, x, y, pixel_scale=0.1))


def test_sersic_takes_arrays_and_numbers() -> None:
    shape = {"R_sersic": 0.2, "n_sersic": 1.0, "e1": 0.1, "e2": 0.0, "center_x": 0.0}
    light = lensing.sersic(np.array([0.0, 0.1]), 0.0, amplitude=2.0, center_y=0.0, **shape)
    assert light.shape == (2,)
    assert light[0] > light[1] > 0
