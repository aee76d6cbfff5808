from dataclasses import replace

import numpy as np
import pytest

from lenspinn.apply.estimates import Estimate, answered_classes, estimates_of
from lenspinn.evaluate.judgement import Judgement
from lenspinn.evaluate.predict import network_outputs
from lenspinn.models import CLASSES, create_model
from lenspinn.models.quantities import QUANTITIES

ASKED = tuple(QUANTITIES.values())


@pytest.fixture
def outputs():
    """Of a network that says 1, 2, 3 with sigmas of 0.1, 0.2, 0.3 of its quantities."""
    model = create_model("lenspinn_small", num_pix=40)
    images = np.random.default_rng(2).random((4, 1, 40, 40), dtype=np.float32)
    means = np.tile([1.0, 2.0, 3.0], (4, 1))
    found = network_outputs(model, images)
    return replace(found, quantity_means=means, quantity_sigmas=means / 10)


def test_a_quantity_is_given_for_the_class_that_is_answered_only(outputs):
    answered = [("axion",), ("cdm",), ("axion", "cdm"), ()]
    estimates = estimates_of(ASKED, outputs, answered)
    names = [[e.quantity.name for e in found] for found in estimates]
    assert names == [
        ["axion_mass_eV", "theta_E"],
        ["substructure_fraction", "theta_E"],
        ["theta_E"],
        [],
    ]


def test_each_quantity_has_its_own_mean_and_sigma(outputs):
    (found, *_) = estimates_of(ASKED, outputs, [("cdm",)] * 4)
    assert [e.mean for e in found] == [2.0, 3.0]
    assert [e.sigma for e in found] == pytest.approx([0.2, 0.3])


def test_a_network_without_quantities_estimates_nothing(outputs):
    assert estimates_of((), outputs, [("axion",)] * 4) == [()] * 4


def test_classes_are_those_of_the_set_or_none():
    probabilities = np.array([[0.8, 0.1, 0.1], [0.2, 0.4, 0.4]])
    judgement = Judgement(
        probabilities=probabilities,
        possible=np.array([[True, False, False], [False, True, True]]),
        shift=np.array([0.001, 0.5]),
        by_score={"features": np.array([0.001, 0.5])},
        coverage=0.9,
    )
    assert answered_classes(judgement, CLASSES) == [(), ("cdm", "no_sub")]


def test_an_estimate_says_what_it_is():
    mass = Estimate(quantity=QUANTITIES["axion_mass_eV"], mean=-22.812, sigma=0.314)
    assert str(mass) == "log10 axion_mass_eV -22.81 +- 0.31"
    radius = Estimate(quantity=QUANTITIES["theta_E"], mean=0.93121, sigma=0.0021)
    assert str(radius) == "theta_E 0.9312 +- 0.0021 arcsec"
    assert mass.to_json() == {
        "quantity": "log10_axion_mass_eV",
        "unit": "eV",
        "mean": -22.812,
        "sigma": 0.314,
    }
