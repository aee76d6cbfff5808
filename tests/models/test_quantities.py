import math

import pytest
import torch
from torch.nn.functional import gaussian_nll_loss

from lenspinn.errors import ModelError
from lenspinn.models import CLASSES
from lenspinn.models.quantities import (
    FIRST_ERROR,
    MOST_SIGMAS,
    QUANTITIES,
    Prediction,
    QuantityHead,
    defined_truth,
    gaussian_loss,
    select_quantities,
    targets,
)
from lenspinn.simulate import get_recipe
from lenspinn.simulate.draw import truth_fields

ALL = tuple(QUANTITIES.values())
AXION, FRACTION, THETA_E = (list(QUANTITIES).index(n) for n in QUANTITIES)
FLOAT32 = 1e-5
# Of a Gaussian's mean and standard deviation from 512 draws: three standard errors.
MEAN_OF_512, SIGMA_OF_512 = 0.14, 0.1


def spread_of(*values):
    return torch.tensor([values])


@pytest.mark.parametrize("name", QUANTITIES)
def test_every_quantity_is_a_truth_of_one_number_and_its_class_a_class(name):
    assert truth_fields(get_recipe("survey/hst"))[name] == ()
    assert QUANTITIES[name].of_class in (None, *CLASSES)


def test_quantities_are_selected_once_each_in_their_order():
    chosen = select_quantities(["theta_E", "axion_mass_eV", "theta_E"], CLASSES)
    assert [quantity.name for quantity in chosen] == ["theta_E", "axion_mass_eV"]
    assert [quantity.column for quantity in chosen] == ["theta_E", "log10_axion_mass_eV"]


def test_an_unknown_quantity_is_named_with_those_there_are():
    with pytest.raises(ModelError, match="no quantity 'mass'; the quantities are axion_mass_eV, "):
        select_quantities(["mass"], CLASSES)


def test_a_quantity_of_a_class_that_the_network_does_not_know_is_refused():
    with pytest.raises(ModelError, match="'axion_mass_eV' is one of the class axion, which is not"):
        select_quantities(["axion_mass_eV"], ["cdm", "no_sub"])


def test_truth_counts_for_the_class_that_has_it():
    # A vortex is substructure too, but no subhalo.
    truth = {"substructure_fraction": torch.tensor([0.1, 0.01, 0.0]), "theta_E": torch.ones(3)}
    defined = defined_truth(ALL, truth, torch.arange(3), CLASSES)
    assert defined["substructure_fraction"].isnan().tolist() == [True, False, True]
    assert defined["theta_E"].tolist() == [1.0, 1.0, 1.0]
    assert truth["substructure_fraction"].isfinite().all()  # the caller's is left alone


def test_targets_are_logarithms_where_the_quantity_says_so():
    truth = {
        "axion_mass_eV": torch.tensor([1e-23, torch.nan]),
        "substructure_fraction": torch.tensor([0.0, 0.01]),
        "theta_E": torch.tensor([0.8, 1.2]),
    }
    expected = torch.tensor([[-23.0, torch.nan, 0.8], [torch.nan, -2.0, 1.2]])
    torch.testing.assert_close(targets(ALL, truth), expected, equal_nan=True)


def test_an_untrained_head_says_what_is_usual_and_what_the_fit_says():
    mean, sigma = QuantityHead(ALL, 4)(
        torch.rand(2, 4), torch.tensor([0.8, 1.2]), torch.ones(2) / 1e3
    )
    assert mean[:, AXION].tolist() == [-23.0, -23.0]
    assert mean[:, THETA_E].tolist() == pytest.approx([0.8, 1.2])
    assert sigma[0].tolist() == pytest.approx([0.6, 1.0, FIRST_ERROR / 1e3], rel=FLOAT32)


def test_the_error_of_theta_e_follows_that_of_the_fit():
    head = QuantityHead(ALL, 4)
    features, error = torch.rand(3, 4), torch.tensor([1e-4, 3e-4, torch.nan])
    sigma = head(features, torch.ones(3), error).sigma[:, THETA_E]
    assert (sigma[1] / sigma[0]).item() == pytest.approx(3.0, rel=FLOAT32)
    assert sigma[2] == FIRST_ERROR  # a fit without an error knows nothing


def test_the_loss_is_the_gaussian_likelihood_of_what_is_known():
    prediction = Prediction(spread_of(0.3, 5.0), spread_of(0.5, 1.0))
    target = spread_of(-0.4, torch.nan)
    expected = gaussian_nll_loss(torch.tensor(0.3), torch.tensor(-0.4), torch.tensor(0.25))
    torch.testing.assert_close(gaussian_loss(prediction, target), expected)


def test_what_is_unknown_has_no_gradient():
    mean = spread_of(0.3, 5.0).requires_grad_()
    sigma = spread_of(0.5, 1.0).requires_grad_()
    gaussian_loss(Prediction(mean, sigma), spread_of(-0.4, torch.nan)).backward()
    assert mean.grad[0, 1] == sigma.grad[0, 1] == 0
    assert mean.grad[0, 0] != 0
    nothing = torch.full((1, 2), torch.nan)
    assert gaussian_loss(Prediction(mean, sigma), nothing) == 0


def test_an_outlier_pulls_as_one_at_the_limit_does():
    def gradients(away):
        mean, sigma = (torch.ones(1, 1).requires_grad_() for _ in range(2))
        gaussian_loss(Prediction(mean, sigma), 1 + torch.full((1, 1), away)).backward()
        return mean.grad.item(), sigma.grad.item()

    assert gradients(300.0) == pytest.approx(gradients(MOST_SIGMAS))
    assert gradients(MOST_SIGMAS) == pytest.approx((-MOST_SIGMAS, 1 - MOST_SIGMAS**2))
    assert gradients(3.0) == pytest.approx((-3.0, -8.0))


def test_a_head_learns_the_mean_and_the_scatter_of_each_kind_of_image(generator):
    """Two kinds: a right fit with right errors; one 8 % too large, with 2 % of scatter."""
    num = 512
    kind = torch.arange(num) % 2
    error = torch.full((num,), 3e-4)
    noise = torch.randn(num, generator=generator)
    truth = 0.6 + 0.9 * torch.rand(num, generator=generator)
    fit = torch.where(kind == 1, truth * (1.08 + 0.02 * noise), truth + 3e-4 * noise)
    masses = torch.where(kind == 1, -23 + 0.3 * torch.randn(num, generator=generator), torch.nan)
    target = torch.stack([masses, torch.full_like(truth, torch.nan), truth], dim=1)
    features = torch.nn.functional.one_hot(kind, 2).float()
    torch.manual_seed(0)
    head = QuantityHead(ALL, 2)
    optimizer = torch.optim.AdamW(head.parameters(), lr=1e-2)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, 600)
    for _ in range(600):
        optimizer.zero_grad()
        gaussian_loss(head(features, fit, error), target).backward()
        optimizer.step()
        schedule.step()
    mean, sigma = head(features, fit, error)
    for of_kind in (0, 1):
        pull = ((target - mean) / sigma)[kind == of_kind, THETA_E]
        assert pull.mean().item() == pytest.approx(0, abs=2 * MEAN_OF_512)
        assert pull.std().item() == pytest.approx(1, abs=2 * SIGMA_OF_512)
    assert (mean - truth[:, None])[kind == 0, THETA_E].abs().max() < 4 * 3e-4
    assert sigma[kind == 1, AXION].mean().item() == pytest.approx(0.3, rel=2 * SIGMA_OF_512)
    assert math.isfinite(sigma[:, FRACTION].sum().item())
