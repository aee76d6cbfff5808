import math

import pytest
import torch
from torch import Tensor

from lenspinn.data.transforms import min_max
from lenspinn.models.inverse_lens import InverseLens
from lenspinn.models.self_consistency import radius_error, self_consistency
from lenspinn.simulate import get_recipe, simulate_images

ROUNDING = 1e-6
STEP = 0.02  # arcsec, of the radii that are tried
# What docs and docstring say for 300 images, in the median, and room for the 60 of this test.
NOISE_FREE, NOISY = 0.02, 0.05


def best_radii(images: Tensor, pixel_scale: float) -> Tensor:
    """The Einstein radius of each image at which its score is lowest."""
    layer = InverseLens(images.shape[-1], pixel_scale)
    radii = torch.arange(0.2, 2.4, STEP)
    scores = []
    for radius in radii:
        theta_E = radius.expand(len(images))
        source = layer(images, theta_E)
        scores.append(self_consistency(images, layer.rays(theta_E), source, pixel_scale))
    return radii[torch.stack(scores).argmin(dim=0)]


@pytest.mark.parametrize(
    ("recipe", "tolerance"),
    [("deeplense/model_3_varied_mass", NOISE_FREE), ("survey/hst", NOISY)],
)
def test_an_image_is_most_consistent_with_itself_at_its_true_radius(recipe, tolerance):
    images, _, truth = simulate_images(get_recipe(recipe), 60, 1, engine="eager")
    scaled = min_max(torch.from_numpy(images).float())[:, 0]
    error = best_radii(scaled, 0.08) / torch.from_numpy(truth["theta_E"]) - 1
    assert error.abs().median() < tolerance


def test_the_score_of_an_image_does_not_depend_on_its_unit(images):
    layer, plane = InverseLens(images.shape[-1], 0.08), images[:, 0]
    theta_E = torch.full((len(images),), 0.7)
    one, other = (
        self_consistency(scaled, layer.rays(theta_E), layer(scaled, theta_E), 0.08)
        for scaled in (plane, 64 * plane)
    )
    torch.testing.assert_close(one, other, rtol=0, atol=1e-4)


def test_every_radius_gets_a_gradient(images):
    layer, plane = InverseLens(images.shape[-1], 0.08), images[:, 0]
    theta_E = torch.linspace(0.1, 1.5, len(images)).requires_grad_()
    self_consistency(plane, layer.rays(theta_E), layer(plane, theta_E), 0.08).sum().backward()
    assert theta_E.grad.isfinite().all()
    assert (theta_E.grad != 0).all()


def test_an_image_without_contrast_has_a_finite_score():
    layer, plane = InverseLens(40, 0.08), torch.zeros(2, 40, 40)
    theta_E = torch.full((2,), 0.7, requires_grad=True)
    score = self_consistency(plane, layer.rays(theta_E), layer(plane, theta_E), 0.08)
    score.sum().backward()
    assert score.isfinite().all()
    assert theta_E.grad.isfinite().all()


def test_an_error_of_five_per_cent_costs_a_half():
    truth = torch.tensor([0.5, 1.0, 2.0])
    assert radius_error(1.05 * truth, truth).item() == pytest.approx(0.5, rel=1e-4)


def test_images_of_unknown_truth_do_not_count():
    theta_E = torch.tensor([1.1, 7.0], requires_grad=True)
    loss = radius_error(theta_E, torch.tensor([1.0, math.nan]))
    loss.backward()
    assert loss.item() == pytest.approx(1.5, rel=1e-4)  # Huber: 2 widths, less a half
    assert theta_E.grad[1] == 0


def test_nothing_known_is_no_loss():
    theta_E = torch.tensor([1.1], requires_grad=True)
    loss = radius_error(theta_E, torch.tensor([math.nan]))
    loss.backward()
    assert loss == 0
    assert theta_E.grad.abs().max() < ROUNDING
