import dataclasses
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lenspinn.errors import ConfigError
from lenspinn.overlay import FORMS_OF_VALUES
from lenspinn.simulate.distributions import (
    Fixed,
    LogUniform,
    Normal,
    PowerLaw,
    Uniform,
    as_distribution,
    as_plain,
    require_positive,
    require_within,
)

KINDS = [
    Fixed(3.0),
    Uniform(-1.0, 2.0),
    LogUniform(1e-24, 1e-22),
    Normal(0.5, 0.1),
    PowerLaw(1e6, 1e10, -1.9),
]
# Seeds are fixed; 5 sigma of the mean of so many draws leaves room for any of them.
DRAWS = 20_000


def means_agree(values: np.ndarray, expected: float) -> bool:
    return abs(values.mean() - expected) <= 5 * values.std() / math.sqrt(len(values)) + 1e-12


@pytest.mark.parametrize("distribution", KINDS)
def test_its_plain_form_reads_back(distribution):
    assert as_distribution(as_plain(distribution), "key") == distribution


@pytest.mark.parametrize("distribution", KINDS)
def test_one_draw_is_a_float_and_many_are_an_array(distribution):
    rng = np.random.default_rng(0)
    assert isinstance(distribution.draw(rng), float)
    assert distribution.draw(rng, 5).shape == (5,)


@pytest.mark.parametrize("distribution", KINDS)
def test_draws_are_from_minimum_to_maximum(distribution):
    draws = distribution.draw(np.random.default_rng(1), DRAWS)
    assert draws.min() >= distribution.minimum
    assert draws.max() <= distribution.maximum


def test_a_normal_without_width_has_bounds():
    assert Normal(0.5, 0.0).minimum == Normal(0.5, 0.0).maximum == 0.5
    assert Normal(0.5, 0.1).maximum == -Normal(0.5, 0.1).minimum == math.inf


@pytest.mark.parametrize(
    ("distribution", "uniform"),
    [
        (Uniform(-1.0, 2.0), lambda x: (x + 1) / 3),
        (LogUniform(1e-24, 1e-22), lambda x: np.log10(x / 1e-24) / 2),
        (
            PowerLaw(1e6, 1e10, -1.9),
            lambda m: (1e6**-0.9 - m**-0.9) / (1e6**-0.9 - 1e10**-0.9),
        ),
    ],
)
def test_its_cumulative_probability_is_uniform(distribution, uniform):
    share = uniform(distribution.draw(np.random.default_rng(2), DRAWS))
    assert means_agree(share, 1 / 2)
    assert means_agree(share**2, 1 / 3)
    assert share.min() >= 0
    assert share.max() <= 1


def test_normal_has_its_mean_and_sigma():
    draws = Normal(0.5, 0.1).draw(np.random.default_rng(3), DRAWS)
    assert means_agree(draws, 0.5)
    assert means_agree((draws - 0.5) ** 2, 0.01)


@given(st.floats(-1e6, 1e6))
def test_a_number_is_a_fixed_value(value):
    assert as_distribution(value, "key") == Fixed(value)


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ({"normal": [0, -1]}, "sigma >= 0"),
        ({"uniform": [2, 1]}, "low <= high"),
        ({"log_uniform": [0, 1]}, "0 < low"),
        ({"power_law": [1, 2, -1]}, "slope"),
        ({"gaussian": [0, 1]}, "no distribution 'gaussian'"),
        ({"normal": [0]}, "mean, sigma"),
        ("large", "neither a number"),
        (float("nan"), "finite"),
    ],
)
def test_an_impossible_value_is_refused_by_key(value, said):
    with pytest.raises(ConfigError, match=said) as refusal:
        as_distribution(value, "lens.e1")
    assert "lens.e1" in str(refusal.value)


def test_a_prior_that_can_reach_zero_is_refused():
    class Prior:
        mass = Normal(1.0, 0.1)
        absent = None

    require_positive(Prior, "absent")
    with pytest.raises(ConfigError, match="mass must always be above 0"):
        require_positive(Prior, "mass")


def test_every_kind_is_a_form_that_replaces_another_as_a_whole():
    names = {next(iter(as_plain(kind))) for kind in KINDS if not isinstance(kind, Fixed)}
    assert names | {"fixed"} == set(FORMS_OF_VALUES)


@pytest.mark.parametrize(
    "value",
    [
        [],
        {},
        None,
        True,
        "a",
        float("nan"),
        float("inf"),
        10**400,
        {"uniform": []},
        {"uniform": [0, math.nan]},
        {"uniform": [-1e308, 1e308]},
        {"uniform": [True, 2]},
        {"normal": [0, math.inf]},
        {"power_law": [1, 1e10, -400]},
        {"power_law": [1, 1e10, math.nan]},
        {"gamma": [1, 2]},
        {"uniform": [0, 1], "normal": [0, 1]},
        {"class_path": "os.system"},
    ],
)
def test_what_is_no_distribution_is_a_sentence_that_names_the_key(value):
    with pytest.raises(ConfigError, match=r"^lens\.e1: "):
        as_distribution(value, "lens.e1")


@dataclasses.dataclass
class Prior:
    """A prior of one value."""

    width: Uniform | Normal | None


@pytest.mark.parametrize("width", [None, Uniform(0.0, 1.0), Normal(0.5, 0.5)])
def test_what_lies_within_a_range_is_taken(width):
    require_within(Prior(width), 0.0, 1.0, "width")


@pytest.mark.parametrize("width", [Uniform(0.0, 1.1), Normal(0.5, 0.6)])
def test_what_reaches_out_of_a_range_is_refused_by_name(width):
    with pytest.raises(ConfigError, match="width must lie between 0 and 1, which"):
        require_within(Prior(width), 0.0, 1.0, "width")
