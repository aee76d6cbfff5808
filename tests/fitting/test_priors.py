import pytest
import torch

from lenspinn.fitting.priors import SHAPE_PRIORS, Priors, known_parameters, with_shape_priors
from lenspinn.fitting.smooth import SMOOTH_PARAMETERS, parameter_names

E1 = SMOOTH_PARAMETERS.index("e1")


def test_nothing_is_known_of_what_is_not_named():
    priors = known_parameters({"e1": (0.1, 0.02)}, 14)
    assert priors.mean[0, E1] == 0.1
    assert priors.inverse_width[0, E1] == 50
    assert priors.inverse_width.count_nonzero() == 1


def test_the_shape_of_lenses_is_known_unless_it_is_said_otherwise():
    priors = known_parameters({"a4": (0.02, 0.005)}, 19)
    known = dict(zip(parameter_names(19), priors.mean[0].tolist(), strict=True))
    assert known["gamma"] == SHAPE_PRIORS["gamma"][0]
    assert known["a4"] == pytest.approx(0.02)
    assert priors.inverse_width.count_nonzero() == len(SHAPE_PRIORS)


def test_each_image_may_have_its_own():
    priors = known_parameters({"e1": (torch.tensor([0.1, -0.1]), 0.02)}, 14)
    assert priors.mean[:, E1].tolist() == pytest.approx([0.1, -0.1])
    misfit = priors.misfit(torch.zeros(2, 14))
    assert misfit[:, E1].tolist() == pytest.approx([5, -5])
    assert priors.penalty(torch.zeros(2, 14)).tolist() == pytest.approx([25, 25])


@pytest.mark.parametrize("name", ["log_amplitude", "gamma", "theta"])
def test_what_is_not_free_or_solved_for_has_no_prior(name):
    with pytest.raises(ValueError, match=f"no prior can be given of {name}"):
        known_parameters({name: (0.0, 1.0)}, 14)


def test_priors_stay_where_the_shape_becomes_free():
    own = Priors(torch.full((3, 14), 0.5), torch.ones(3, 14))
    both = with_shape_priors(own)
    assert (both.mean[:, :14] == own.mean).all()
    assert (both.mean[:, 14] == SHAPE_PRIORS["gamma"][0]).all()
    assert both.inverse_width.shape == (3, 19)
