import dataclasses

import numpy as np
import pytest

from lenspinn.errors import ConfigError
from lenspinn.sensitivity import network as module
from lenspinn.sensitivity.network import describe_network, load_network, network_records
from lenspinn.sensitivity.sweep import sweeps_of
from lenspinn.train import load_run

from .conftest import SMALL, make_config


@pytest.fixture
def sweeps(tmp_path):
    return sweeps_of(make_config(tmp_path))


@pytest.mark.filterwarnings("error")
def test_a_network_of_the_same_instrument_and_magnitudes_is_taken(network, sweeps):
    assert load_network(network, sweeps[0], seed=1).folder == network


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"recipe": "survey/euclid"},
            "for instrument hst_wfc3_f160w, and images of survey/euclid have euclid_vis",
        ),
        ({"overrides": {}}, "trained for num_pix 40, and images of survey/hst have 64"),
        (
            {"overrides": SMALL | {"instrument.psf_fwhm": 0.2}},
            r"trained for instrument\.psf_fwhm 0\.08, and images of survey/hst have 0\.2",
        ),
        (
            {"overrides": SMALL | {"populations.wdm": "warm_subhalos"}, "num": 90},
            r"for classes \('axion', 'cdm', 'no_sub'\)",
        ),
    ],
)
def test_a_network_for_other_images_is_refused(network, tmp_path, changes, message):
    with pytest.raises(ConfigError, match=message):
        load_network(network, sweeps_of(make_config(tmp_path, **changes))[0], seed=1)


def test_the_lenses_of_training_are_refused(network, sweeps):
    with pytest.raises(ConfigError, match="drawn from seed 0 too"):
        load_network(network, sweeps[0], seed=0)


def test_another_recipe_and_unseen_magnitudes_are_said(network, tmp_path):
    config = make_config(tmp_path, recipe="survey/hst_shallow", magnitudes=[22.0, 25.5])
    with (
        pytest.warns(UserWarning, match=r"has never seen images of 25\.5$"),
        pytest.warns(UserWarning, match="trained on survey/hst, not survey/hst_shallow"),
    ):
        load_network(network, sweeps_of(config)[0], seed=1)


def test_a_network_trained_at_one_magnitude_knows_that_one_alone(run_folder):
    info = load_run(run_folder).data_info  # of deeplense/model_3: 20 mag
    assert [module._covers(info, magnitude) for magnitude in (20.0, 22.0)] == [True, False]
    unknown = dataclasses.replace(info, recipe_config={})
    assert module._covers(unknown, 22.0)


def test_a_network_is_identified_by_its_weights(network):
    run = load_run(network)
    described = describe_network(run, num=60)
    assert described["trained_on_magnitude"] == {"uniform": [20.0, 25.0]}
    assert (described["model"], described["num"]) == ("lenspinn_small", 60)
    assert len(described["weights_sha256"]) == 64


def answers(no_sub):
    """A network that says so of images in their order."""

    def predict(_, images):
        p = np.asarray(no_sub(np.arange(len(images))), dtype=np.float64)
        return np.stack([(1 - p) / 2, (1 - p) / 2, p], axis=1)

    return predict


def test_a_network_that_knows_finds_everything(network, sweeps, monkeypatch):
    monkeypatch.setattr(module, "predict", answers(lambda i: np.where(i % 3 == 2, 0.9, 0.1)))
    found = network_records(load_run(network), sweeps[0], 24.0, num=60, seed=1)
    assert [(r["class"], r["rate"], r["n"], r["n_without"]) for r in found] == [
        ("axion", 1.0, 20, 20),
        ("cdm", 1.0, 20, 20),
    ]


def test_a_network_that_guesses_finds_one_in_twenty(network, sweeps, monkeypatch):
    guess = np.random.default_rng(3).random(1200)
    monkeypatch.setattr(module, "predict", answers(lambda i: guess[i]))
    for record in network_records(load_run(network), sweeps[0], 24.0, num=1200, seed=1):
        assert record["rate"] == pytest.approx(0.05, abs=0.04)


def test_against_mass_each_bin_has_its_own_rate(network, sweeps, monkeypatch):
    """The stub finds the first half of all images."""
    monkeypatch.setattr(
        module, "predict", answers(lambda i: np.where((i < 60) & (i % 3 != 2), 0.1, 0.9))
    )
    found = network_records(load_run(network), sweeps[1], 22.0, num=120, seed=1)
    for quantity in ("subhalo_mass", "vortex_mass"):
        points = [r for r in found if r["quantity"] == quantity]
        assert len(points) >= 3
        assert all(p["mass_low"] <= p["mass_median"] <= p["mass_high"] for p in points)
        assert sum(p["n"] for p in points) <= 40
        mean = np.average([p["rate"] for p in points], weights=[p["n"] for p in points])
        assert mean == pytest.approx(0.5, abs=0.15)
