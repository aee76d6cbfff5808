import dataclasses

import pytest

from lenspinn.errors import ConfigError, ModelError
from lenspinn.models import Classifier
from lenspinn.simulate import SimulateConfig, simulate
from lenspinn.train import ModelConfig, load_run, train_model


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (ModelConfig("no_such_model"), "no model 'no_such_model'"),
        (ModelConfig("tiny_classifier", {"num_pix": 32}), "num_pix is 32, but .* have 8"),
        (ModelConfig("tiny_classifier", {"classes": ["a", "b"]}), "classes is .*'a', 'b'"),
        (ModelConfig("tiny_classifier", {"pixel_scale": 0.05}), "pixel_scale is 0.05"),
        (ModelConfig("tiny_classifier", {"pixel_scale": 0.0803}), "pixel_scale is 0.0803"),
        (ModelConfig("tiny_classifier", {"depth": 3}), "no option 'depth'"),
    ],
)
def test_model_that_does_not_fit_is_refused_before_anything_is_written(tiny_config, model, message):
    with pytest.raises(ModelError, match=message):
        train_model(dataclasses.replace(tiny_config, model=model), progress=False)
    assert not tiny_config.out.exists()


@pytest.fixture
def rubin_config(tiny_config, tmp_path):
    """Images whose recipe says how they were taken."""
    data = SimulateConfig(recipe="survey/rubin", num=72, out=tmp_path / "rubin.zarr")
    return dataclasses.replace(tiny_config, data=simulate(data, progress=False), epochs=1)


def test_a_model_that_fits_images_is_told_how_they_were_taken(rubin_config):
    config = dataclasses.replace(rubin_config, model=ModelConfig("tiny_fit"))
    run = load_run(train_model(config, progress=False))
    options = run.model.config["options"]
    assert (options["num_pix"], options["psf_fwhm"]) == (run.data_info.num_pix, 0.71)
    assert options["background_sigma"] == run.data_info.noise_sigma


def test_numbers_given_by_hand_may_be_rounded(rubin_config):
    config = dataclasses.replace(rubin_config, model=ModelConfig("tiny_fit", {"psf_fwhm": 0.712}))
    run = load_run(train_model(config, progress=False))
    assert run.model.config["options"]["psf_fwhm"] == 0.712


@pytest.mark.parametrize("given", [0.08, "wide"])
def test_a_model_told_of_another_camera_is_refused(given, rubin_config):
    config = dataclasses.replace(rubin_config, model=ModelConfig("tiny_fit", {"psf_fwhm": given}))
    with pytest.raises(ModelError, match=f"psf_fwhm is {given}, but the images in .* have 0.71"):
        train_model(config, progress=False)
    assert not config.out.exists()


def test_images_in_another_unit_than_the_model_takes_are_refused(tiny_config, monkeypatch):
    monkeypatch.setattr(Classifier, "takes_unit", "counts")
    with pytest.raises(ModelError, match=r"takes images in counts, but those in .* are in e-/s"):
        train_model(tiny_config, progress=False)
    assert not tiny_config.out.exists()


def test_theta_E_is_learnt_from_turned_images_too(tiny_config, monkeypatch):
    monkeypatch.setattr(Classifier, "truth_keys", ("theta_E",))
    run = load_run(train_model(dataclasses.replace(tiny_config, augment=True), progress=False))
    assert run.config.augment


def test_images_are_not_turned_away_from_their_truth(tiny_config, monkeypatch):
    monkeypatch.setattr(Classifier, "truth_keys", ("theta_E", "gamma1"))
    with pytest.raises(ConfigError, match="augment turns images but not the truth"):
        train_model(dataclasses.replace(tiny_config, augment=True), progress=False)
    assert not tiny_config.out.exists()
