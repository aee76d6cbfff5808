import pytest
import torch

from lenspinn.models.lens_guess import (
    HUBER,
    LENS_TRUTH,
    TYPICAL_LENSES,
    guess_error,
    true_parameters,
)

WIDTHS = torch.tensor([width for _, width, _ in TYPICAL_LENSES.values()])


@pytest.fixture
def truth():
    return {key: torch.rand(3) + 0.5 for key in LENS_TRUTH}


@pytest.fixture
def start(truth):
    """The truth as a start of a fit, with some brightness."""
    return torch.nn.functional.pad(true_parameters(truth), (0, 1), value=7.0)


def test_sizes_are_logarithms(truth):
    known = dict(zip(TYPICAL_LENSES, true_parameters(truth).T, strict=True))
    torch.testing.assert_close(known["theta_E"], truth["theta_E"])
    torch.testing.assert_close(known["log_R_sersic"], truth["R_sersic"].log())
    torch.testing.assert_close(known["log_n_sersic"], truth["n_sersic"].log())


def test_the_truth_has_no_error(truth, start):
    assert (guess_error(start, true_parameters(truth)) == 0).all()


def test_errors_are_in_units_of_their_widths_and_large_ones_linear(truth, start):
    for error, expected in ((1.0, 0.5), (10.0, HUBER * (10 - HUBER / 2))):
        wrong = start.clone()
        wrong[:, :-1] += error * WIDTHS
        found = guess_error(wrong, true_parameters(truth))
        torch.testing.assert_close(found, torch.full_like(found, expected), rtol=1e-3, atol=0)


def test_what_is_not_known_is_no_error(truth, start):
    truth["theta_E"][1] = torch.nan
    wrong = (start + 1).requires_grad_()
    error = guess_error(wrong, true_parameters(truth))
    assert error[1, 0] == 0
    error.sum().backward()
    assert wrong.grad.isfinite().all()
    assert wrong.grad[1, 0] == 0
