"""Images fitted once, and training on them."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch

from lenspinn.data.store import ImageStore
from lenspinn.errors import ConfigError
from lenspinn.models import create_model, from_pretrained, save_pretrained
from lenspinn.models.lens_solution import Seen
from lenspinn.simulate import SimulateConfig, simulate
from lenspinn.train import ModelConfig, StreamConfig, TrainConfig, fitted, load_run, train_model
from lenspinn.train.fitted import FittedModule, fit_images

NUM = 24
OPTIONS = {"steps": 2, "free_light": True, "quantities": ["theta_E"]}
# Of float16, in which maps of up to 10 or so are kept.
HALF = 0.01
ROWS = np.array([20, 3, 11, 7, 15, 0])


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    path = tmp_path_factory.mktemp("fitted") / "lenses.zarr"
    simulate(SimulateConfig(recipe="survey/hst_shallow", num=NUM, seed=4, out=path, engine="eager"))
    return ImageStore.open(path)


@pytest.fixture(scope="module")
def model():
    torch.manual_seed(0)
    return create_model("lenspinn_fit", **OPTIONS).eval()


@pytest.fixture
def short_files(monkeypatch):
    monkeypatch.setattr(fitted, "FILE_IMAGES", 3)


@pytest.fixture
def config(store, model, tmp_path):
    return TrainConfig(
        data=store.path,
        out=tmp_path / "run",
        model=ModelConfig("lenspinn_fit", OPTIONS),
        weights=save_pretrained(model, tmp_path / "weights"),
        fit_once=True,
        augment=True,
        split=(0.5, 0.25, 0.25),
        batch_size=6,
        epochs=2,
    )


def assert_alike(found, expected, tolerance):
    for name in Seen._fields:
        here, there = getattr(found, name), getattr(expected, name)
        assert here.dtype == torch.float32
        torch.testing.assert_close(here, there, rtol=tolerance, atol=tolerance, msg=name)


def test_images_are_read_back_as_they_were_fitted(store, tmp_path, short_files):
    model = create_model("lenspinn_fit", steps=2).eval()
    found = fit_images(model, store, ROWS, tmp_path, seed=0, progress=False)
    in_order = np.sort(ROWS)
    for part in np.split(in_order, [3]):
        expected = model.fit_once(torch.from_numpy(store.images(part)))
        assert_alike(found.read(part), expected, HALF)
    places = np.argsort(np.argsort(ROWS))
    assert torch.equal(found.read(ROWS).maps, found.read(in_order).maps[places])


def test_lens_light_is_free_in_half_of_the_fits(store, model, tmp_path):
    fits = [
        fit_images(model, store, np.arange(NUM), tmp_path / str(seed), seed=seed, progress=False)
        for seed in (0, 0, 1)
    ]
    first, again, other = (each.read(np.arange(NUM)).maps for each in fits)
    assert (first == again).all()
    changed = (first - other).abs().amax(dim=(1, 2, 3)) > HALF
    # Not drawn alike twice: three in four, where lit of one kind or the other, or of another shape.
    assert NUM / 2 < changed.sum() < NUM


def test_fits_that_were_interrupted_go_on(store, model, tmp_path, short_files):
    def fit():
        return fit_images(model, store, ROWS, tmp_path, seed=0, progress=False).read(ROWS)

    whole = fit()
    files = sorted(tmp_path.glob("*.npy"))
    assert len(files) == 2
    kept = files[0].stat().st_mtime_ns
    files[1].unlink()
    assert_alike(fit(), whole, 0.0)
    assert files[0].stat().st_mtime_ns == kept


def test_processes_share_the_fits(store, model, tmp_path, short_files):
    alone = fit_images(model, store, ROWS, tmp_path / "alone", seed=0, progress=False)
    shared = fit_images(
        model, store, ROWS, tmp_path / "shared", seed=0, num_workers=2, progress=False
    )
    here, there = shared.read(ROWS), alone.read(ROWS)
    assert torch.equal(here.maps[:, 0], there.maps[:, 0])
    # Two steps from a random guess: rounding may send a single fit elsewhere.
    assert (here.maps - there.maps).abs().median() < HALF


def test_an_image_is_turned_with_all_that_was_fitted_to_it(model, config, store):
    seen = model.fit_once(torch.from_numpy(store.images(ROWS)))
    module = FittedModule(model, config, total_steps=4)
    orientation = torch.tensor([0, 1, 2, 3, 4, 7])
    turned = module.turned(seen, orientation)
    assert (turned.maps[0] == seen.maps[0]).all()
    assert (turned.maps[1] == seen.maps[1].flip(-1)).all()
    assert (turned.maps[4] == seen.maps[4].transpose(-1, -2)).all()
    assert turned.numbers is seen.numbers


def test_outputs_of_images_fitted_before_are_those_of_images(store):
    torch.manual_seed(0)
    model = create_model("lenspinn_fit", steps=2).eval()
    image = torch.from_numpy(store.images(ROWS))
    logits, loss = model.outputs_of(model.fit_once(image), {})
    torch.testing.assert_close(logits, model(image))
    assert loss == 0


def test_training_leaves_the_encoder_and_the_test_images_alone(config):
    run = load_run(train_model(config, progress=False))
    begun = from_pretrained(config.weights)
    assert not (config.out / "fits").exists()
    for name, value in begun.named_parameters():
        moved = not torch.equal(value, run.model.get_parameter(name))
        assert moved == (name.partition(".")[0] in ("classifier", "head", "quantity_head")), name
    assert run.history[-1]["images_seen"] == 2 * len(run.split["train"])


def test_a_training_that_was_killed_goes_on_with_its_fits(config, monkeypatch):
    whole = train_model(config, progress=False)
    interrupted = dataclasses.replace(config, out=config.out.with_name("interrupted"))
    step = FittedModule.training_step

    def killed_at_the_third_step(self, batch, batch_idx):
        if self.global_step == 2:
            raise KeyboardInterrupt
        return step(self, batch, batch_idx)

    monkeypatch.setattr(FittedModule, "training_step", killed_at_the_third_step)
    with pytest.raises(KeyboardInterrupt):
        train_model(interrupted, progress=False)
    monkeypatch.setattr(FittedModule, "training_step", step)
    monkeypatch.setattr(fitted, "_fit_file", None)  # all are there: nothing is fitted again
    train_model(interrupted, progress=False)
    for name in ("model", "model_last"):
        path = f"{name}/model.safetensors"
        assert (interrupted.out / path).read_bytes() == (whole / path).read_bytes()


def test_a_network_that_fits_no_lens_is_refused(config):
    config = dataclasses.replace(config, model=ModelConfig("lenspinn_small"))
    with pytest.raises(ConfigError, match="fit_once: lenspinn_small fits no lens"):
        train_model(config, progress=False)


@pytest.mark.parametrize("change", [{"weights": None}, {"data": Path("stream")}])
def test_fits_need_weights_and_stored_images(config, change):
    stream = StreamConfig(recipe="survey/hst") if "data" in change else config.stream
    with pytest.raises(ConfigError, match="fit_once goes with stored data, and with weights"):
        dataclasses.replace(config, stream=stream, **change)
