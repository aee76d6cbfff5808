import dataclasses
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch

from lenspinn.data.store import ImageStore, StoreWriter
from lenspinn.errors import ConfigError, DataError, ModelError, StoreError
from lenspinn.evaluate import evaluate_run
from lenspinn.files import FolderLock
from lenspinn.models import create_model, from_pretrained, save_pretrained
from lenspinn.train import ModelConfig, TrainConfig, best_row, load_run, train_model
from lenspinn.train.callbacks import ResumeCheckpoint
from lenspinn.train.module import ClassifierModule

from .conftest import write_store


class KilledError(Exception):
    """Stands for a process that dies."""


def weights(folder):
    return {
        name: (folder / name / "model.safetensors").read_bytes() for name in ("model", "model_last")
    }


def rows_without_time(folder):
    rows = [line.split(",") for line in (folder / "metrics.csv").read_text().splitlines()]
    assert rows[0][-1] == "seconds"
    return [row[:-1] for row in rows]


def with_changed_images(path, out, rows, change):
    """Copy a store with other pixels in some rows."""
    store = ImageStore.open(path)
    images = store.images(slice(None))
    images[rows] = change(images[rows])
    writer = StoreWriter.open(out, store.info, {})
    for shard in writer.pending_shards():
        part = slice(shard.start, shard.stop)
        writer.write_shard(shard, images[part], store.labels[part], {})
    writer.finish()
    return out


def test_run_folder_holds_what_it_promises(tiny_config):
    folder = train_model(tiny_config, progress=False)
    assert folder == tiny_config.out
    assert sorted(path.name for path in folder.iterdir()) == [
        "checkpoints",
        "config.yaml",
        "data.json",
        "manifest.json",
        "metrics.csv",
        "model",
        "model_last",
        "provenance.json",
        "split.npz",
        "tensorboard",
    ]
    assert (folder / "checkpoints" / "last.ckpt").is_file()


def test_run_read_back_is_the_run_that_was_made(tiny_config, tiny_store):
    run = load_run(train_model(tiny_config, progress=False))
    assert run.config == tiny_config
    assert run.data_info == ImageStore.open(tiny_store).info
    assert {name: len(rows) for name, rows in run.split.items()} == {
        "train": 48,
        "validation": 12,
        "test": 12,
    }
    assert len(run.history) == 6
    assert run.provenance["num_threads"] == torch.get_num_threads()
    assert not run.model.training


def test_split_parts_are_disjoint_and_cover_the_dataset(tiny_config):
    split = load_run(train_model(tiny_config, progress=False)).split
    np.testing.assert_array_equal(np.sort(np.concatenate(list(split.values()))), np.arange(72))


def test_same_seed_gives_the_same_bytes_and_another_seed_others(tiny_config, tmp_path):
    first = weights(train_model(tiny_config, progress=False))
    again = dataclasses.replace(tiny_config, out=tmp_path / "again")
    other = dataclasses.replace(tiny_config, out=tmp_path / "other", seed=1)
    assert weights(train_model(again, progress=False)) == first
    assert weights(train_model(other, progress=False))["model_last"] != first["model_last"]


def test_augmentation_changes_what_is_learnt(tiny_config, tmp_path):
    plain = weights(train_model(tiny_config, progress=False))
    turned = dataclasses.replace(tiny_config, augment=True, out=tmp_path / "turned")
    assert weights(train_model(turned, progress=False))["model_last"] != plain["model_last"]


def test_number_of_loading_threads_does_not_change_the_weights(tiny_config, tmp_path):
    first = weights(train_model(tiny_config, progress=False))
    threaded = dataclasses.replace(tiny_config, out=tmp_path / "threaded", num_workers=2)
    assert weights(train_model(threaded, progress=False)) == first


def test_kept_weights_are_those_of_the_best_validation_row(tiny_config, tmp_path):
    # Which seed peaks before its end depends on the last bits of the arithmetic.
    for seed in range(10):
        config = dataclasses.replace(tiny_config, seed=seed, out=tmp_path / str(seed))
        history = load_run(folder := train_model(config, progress=False)).history
        best = best_row(history)
        if best["step"] < history[-1]["step"]:
            break
    else:
        pytest.fail("the last row is the best for every seed: the test would show nothing")
    stopped_at = []

    def stop_there(self, trainer, module):
        if trainer.global_step == best["step"]:
            stopped_at.append(trainer.global_step)
            raise KilledError(module.model.state_dict())

    patch = pytest.MonkeyPatch()
    patch.setattr(ResumeCheckpoint, "on_validation_end", stop_there, raising=False)
    with pytest.raises(KilledError) as caught:
        train_model(dataclasses.replace(config, out=tmp_path / "stopped"), progress=False)
    patch.undo()
    kept = from_pretrained(folder / "model").state_dict()
    assert all(torch.equal(kept[name], value) for name, value in caught.value.args[0].items())


def test_test_images_influence_nothing(tiny_config, tmp_path):
    folder = train_model(tiny_config, progress=False)
    test_rows = load_run(folder).split["test"]
    other_store = with_changed_images(
        tiny_config.data, tmp_path / "other.zarr", test_rows, lambda images: images[::-1] * 100
    )
    other = dataclasses.replace(tiny_config, data=other_store, out=tmp_path / "other")
    assert weights(train_model(other, progress=False)) == weights(folder)
    assert rows_without_time(other.out) == rows_without_time(folder)


@pytest.mark.parametrize(("validations_per_epoch", "augment"), [(1, False), (2, True), (6, False)])
def test_run_stopped_after_each_of_its_checkpoints_ends_the_same(
    tiny_config, tmp_path, monkeypatch, validations_per_epoch, augment
):
    config = dataclasses.replace(
        tiny_config, validations_per_epoch=validations_per_epoch, augment=augment
    )
    train_model(config, progress=False)
    stopped = dataclasses.replace(config, out=tmp_path / "stopped")
    save = ResumeCheckpoint._save

    def save_and_die(self, trainer):
        save(self, trainer)
        raise KilledError

    monkeypatch.setattr(ResumeCheckpoint, "_save", save_and_die)
    deaths = 0
    while not (stopped.out / "model_last").exists():
        try:
            train_model(stopped, progress=False)
        except KilledError:
            deaths += 1
    assert deaths == {1: 18, 2: 15, 6: 3}[validations_per_epoch]
    assert weights(stopped.out) == weights(config.out)
    assert rows_without_time(stopped.out) == rows_without_time(config.out)


def test_run_killed_by_the_system_ends_with_the_bytes_of_one_that_was_not(tmp_path, small_config):
    uninterrupted = weights(train_model(small_config, progress=False))
    killed = dataclasses.replace(small_config, out=tmp_path / "killed")
    with start(killed) as process:
        while not (killed.out / "checkpoints" / "last.ckpt").exists():
            assert process.poll() is None, "ended before its first checkpoint"
            time.sleep(0.01)
        process.send_signal(signal.SIGKILL)
    assert not (killed.out / "model_last").exists(), "killed too late to show anything"
    with start(killed) as process:
        assert process.wait() == 0
    assert weights(killed.out) == uninterrupted
    assert rows_without_time(killed.out) == rows_without_time(small_config.out)


@pytest.fixture
def heed_ctrl_c():
    """Python's own handler of SIGINT: a shell's background jobs, such as CI, may ignore it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("heed_ctrl_c")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signal_to_stop_is_an_interruption_that_can_be_resumed(
    tiny_config, tmp_path, monkeypatch, number
):
    step = ClassifierModule.training_step

    def step_and_signal(self, batch, batch_idx):
        if self.global_step == 7:
            os.kill(os.getpid(), number)
        return step(self, batch, batch_idx)

    handler = signal.getsignal(number)
    monkeypatch.setattr(ClassifierModule, "training_step", step_and_signal)
    with pytest.raises(KeyboardInterrupt):
        train_model(tiny_config, progress=False)
    monkeypatch.setattr(ClassifierModule, "training_step", step)
    assert signal.getsignal(number) is handler
    uninterrupted = dataclasses.replace(tiny_config, out=tmp_path / "uninterrupted")
    train_model(uninterrupted, progress=False)
    assert weights(train_model(tiny_config, progress=False)) == weights(uninterrupted.out)


def test_finished_run_is_returned_untouched(tiny_config):
    folder = train_model(tiny_config, progress=False)
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*")}
    assert train_model(tiny_config, progress=False) == folder
    assert {path: path.stat().st_mtime_ns for path in folder.rglob("*")} == before


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"lr": 0.5}, r"holds a run with lr 0\.01, not 0\.5"),
        ({"epochs": 2}, "holds a run with epochs 3, not 2: give another folder"),
        ({"epochs": 4}, r"epochs 3, not 4, and its learning rate \(one_cycle\) was planned for"),
        (
            {"model": ModelConfig("tiny_classifier", {"pixel_scale": 0.08})},
            r"holds a run with model\.options\.pixel_scale None, not 0\.08",
        ),
    ],
)
def test_folder_of_another_run_is_refused_with_the_key_named(tiny_config, change, message):
    train_model(tiny_config, progress=False)
    with pytest.raises(ConfigError, match=message):
        train_model(dataclasses.replace(tiny_config, **change), progress=False)


def test_a_run_older_than_a_setting_has_its_default(tiny_config):
    folder = train_model(tiny_config, progress=False)
    settings = (folder / "config.yaml").read_text()
    (folder / "config.yaml").write_text(settings.replace("augment: false\n", ""))
    assert train_model(tiny_config, progress=False) == folder
    with pytest.raises(ConfigError, match="holds a run with augment False, not True"):
        train_model(dataclasses.replace(tiny_config, augment=True), progress=False)


def test_a_run_goes_on_with_another_number_of_loading_threads(tiny_config):
    folder = train_model(tiny_config, progress=False)
    before = weights(folder)
    threaded = dataclasses.replace(tiny_config, num_workers=2)
    assert train_model(threaded, progress=False) == folder
    os.rename(folder / "model_last", folder / "unfinished")
    assert weights(train_model(threaded, progress=False)) == before


@pytest.mark.parametrize("finished", [True, False])
def test_more_epochs_end_with_the_bytes_of_a_run_that_never_stopped(
    tiny_config, tmp_path, finished
):
    config = dataclasses.replace(tiny_config, schedule="constant", lr=1e-3, epochs=2)
    folder = train_model(config, progress=False)
    if not finished:
        os.rename(folder / "model_last", folder / "unfinished")
    longer = dataclasses.replace(config, epochs=4)
    train_model(longer, progress=False)
    uninterrupted = dataclasses.replace(longer, out=tmp_path / "uninterrupted")
    train_model(uninterrupted, progress=False)
    assert weights(folder) == weights(uninterrupted.out)
    assert rows_without_time(folder) == rows_without_time(uninterrupted.out)
    assert load_run(folder).config.epochs == 4
    assert load_run(folder).verified
    with pytest.raises(ConfigError, match="holds a run with epochs 4, not 2"):
        train_model(config, progress=False)


def test_a_run_that_was_evaluated_does_not_go_on(tiny_config):
    config = dataclasses.replace(tiny_config, schedule="constant", epochs=1)
    (train_model(config, progress=False) / "evaluation").mkdir()
    with pytest.raises(ConfigError, match="epochs 1, not 2, and was evaluated after those"):
        train_model(dataclasses.replace(config, epochs=2), progress=False)
    assert load_run(config.out).config.epochs == 1


def test_two_trainings_do_not_share_a_folder(tiny_config):
    folder = train_model(tiny_config, progress=False)
    os.rename(folder / "model_last", folder / "unfinished")
    with FolderLock(folder), pytest.raises(DataError, match="being written by another process"):
        train_model(tiny_config, progress=False)


@pytest.mark.parametrize("name", ["run.creating", "run.part", "run.held_out.zarr"])
def test_folders_beside_a_run_are_not_touched(tiny_config, name):
    beside = tiny_config.out.with_name(name)
    beside.mkdir()
    (beside / "thesis.tex").write_text("years of work")
    train_model(tiny_config, progress=False)
    assert (beside / "thesis.tex").read_text() == "years of work"


def test_a_run_and_its_dataset_may_be_moved_together(tiny_config, tmp_path):
    place, moved = tmp_path / "place", tmp_path / "moved"
    shutil.copytree(tiny_config.data, place / "tiny.zarr")
    config = dataclasses.replace(tiny_config, data=place / "tiny.zarr", out=place / "run")
    train_model(config, progress=False)
    place.rename(moved)
    assert load_run(moved / "run").data == moved / "tiny.zarr"
    asked = dataclasses.replace(config, data=moved / "tiny.zarr", out=moved / "run")
    assert train_model(asked, progress=False) == moved / "run"


def test_nothing_in_a_run_names_a_path_of_the_machine(tiny_config, tmp_path):
    folder = train_model(tiny_config, progress=False)
    further = dataclasses.replace(
        tiny_config, weights=folder / "model", epochs=1, out=tmp_path / "further"
    )
    train_model(further, progress=False)
    for run in (folder, further.out):
        for name in ("config.yaml", "data.json", "provenance.json", "model/config.json"):
            assert str(tmp_path) not in (run / name).read_text(), name
    assert "weights: ../run/model" in (further.out / "config.yaml").read_text()


def swap_models(folder):
    config = json.loads((folder / "model" / "config.json").read_text())
    config["options"]["classes"] = ["no_sub", "cdm", "axion"]
    (folder / "model" / "config.json").write_text(json.dumps(config))


def test_a_model_of_another_dataset_is_refused(tiny_config):
    folder = train_model(tiny_config, progress=False)
    swap_models(folder)
    (folder / "manifest.json").unlink()
    with pytest.raises(ModelError, match=r"that of its config\.yaml and data\.json \(classes"):
        load_run(folder)


def test_a_run_without_a_manifest_is_read_and_not_verified(tiny_config):
    folder = train_model(tiny_config, progress=False)
    (folder / "manifest.json").unlink()
    assert not load_run(folder).verified


def test_training_begins_with_the_weights_of_a_saved_model(tiny_config, tmp_path):
    first = train_model(tiny_config, progress=False)
    still = dataclasses.replace(
        tiny_config, weights=first / "model", seed=9, lr=1e-12, epochs=1, out=tmp_path / "further"
    )
    run = load_run(train_model(still, progress=False))
    before, after = (from_pretrained(folder / "model") for folder in (first, run.folder))
    torch.testing.assert_close(before.head.weight, after.head.weight, atol=1e-9, rtol=0)
    assert run.config.weights == (first / "model").resolve()


def test_a_run_of_the_hub_is_loaded_by_its_name_and_left_as_it_is(tiny_config, published):
    published("someone/tiny", train_model(tiny_config, progress=False))
    run = load_run("someone/tiny")
    assert run.by_name
    assert run.verified
    assert run.results == Path()
    assert load_run(tiny_config.out).results == tiny_config.out


def test_training_begins_with_the_weights_of_a_name(tiny_config, tmp_path, published):
    published("someone/tiny", train_model(tiny_config, progress=False))
    further = dataclasses.replace(
        tiny_config, weights=Path("someone/tiny"), epochs=1, out=tmp_path / "further"
    )
    run = load_run(train_model(further, progress=False))
    assert "weights: someone/tiny" in (run.folder / "config.yaml").read_text()
    assert run.config.weights == Path("someone/tiny")
    assert run.settings["weights"] == "someone/tiny"
    assert train_model(further, progress=False) == run.folder


def test_a_network_that_goes_on_keeps_the_options_of_its_weights(tiny_config, tmp_path):
    model = create_model("tiny_fit", background_sigma=0.3, psf_fwhm=0.2, num_pix=8)
    saved = save_pretrained(model, tmp_path / "saved")
    words = dataclasses.replace(
        tiny_config, weights=saved, model=ModelConfig("", {"psf_fwhm": 0.25}), epochs=1
    )
    run = load_run(train_model(words, progress=False))
    assert run.config.model == ModelConfig("tiny_fit", {"background_sigma": 0.3, "psf_fwhm": 0.25})
    assert run.model.config["options"]["background_sigma"] == 0.3


def test_what_the_dataset_knows_comes_before_the_options_of_the_weights(tiny_config, tmp_path):
    classes = ("halo", "none")
    model = create_model("tiny_fit", pixel_scale=0.2)
    config = dataclasses.replace(
        tiny_config,
        data=write_store(tmp_path / "own.zarr", classes=classes),
        weights=save_pretrained(model, tmp_path / "saved"),
        model=ModelConfig(),
        epochs=1,
    )
    with pytest.warns(UserWarning, match="begin anew, all others were taken"):
        run = load_run(train_model(config, progress=False))
    assert run.model.classes == classes
    assert run.model.pixel_scale == run.data_info.pixel_scale


@pytest.mark.parametrize("classes", [("halo", "none"), ("axion", "cdm", "no_sub", "sidm")])
def test_classes_are_a_choice_in_training_and_in_evaluation(tiny_config, tmp_path, classes):
    data = write_store(tmp_path / "own.zarr", classes=classes)
    config = dataclasses.replace(tiny_config, data=data, epochs=1)
    run = load_run(train_model(config, progress=False))
    assert run.model.classes == classes
    report = evaluate_run(run.folder, progress=False)
    assert all(f"| {name} | " in report.read_text() for name in classes)
    record = json.loads((report.parent / "evaluation.json").read_text())["records"][0]
    assert np.shape(record["confusion"]) == (len(classes), len(classes))
    assert {f"auc_{name}" for name in classes} <= record.keys()


def test_training_for_other_classes_begins_with_all_weights_but_the_head(tiny_config, tmp_path):
    first = train_model(tiny_config, progress=False)
    data = write_store(tmp_path / "own.zarr", classes=("halo", "none"))
    still = dataclasses.replace(
        tiny_config, data=data, weights=first / "model", lr=1e-12, epochs=1, out=tmp_path / "own"
    )
    with pytest.warns(UserWarning, match=r"head\.weight, head\.bias begin anew, all others"):
        train_model(still, progress=False)
    before, after = (from_pretrained(folder / "model") for folder in (first, still.out))
    torch.testing.assert_close(before.cnn[0].weight, after.cnn[0].weight, atol=1e-9, rtol=0)
    assert after.head.weight.shape[0] == 2


def test_weights_that_do_not_fit_are_refused_before_anything_is_written(tiny_config, tmp_path):
    save_pretrained(create_model("resnet18"), tmp_path / "other")
    config = dataclasses.replace(tiny_config, weights=tmp_path / "other")
    with pytest.raises(ModelError, match="not those of a tiny_classifier but of a resnet18"):
        train_model(config, progress=False)
    assert not config.out.exists()


def test_folder_with_something_else_is_refused_and_kept(tiny_config):
    tiny_config.out.mkdir()
    (tiny_config.out / "thesis.tex").write_text("years of work")
    with pytest.raises(ConfigError, match="holds something else than a run"):
        train_model(tiny_config, progress=False)
    assert [path.name for path in tiny_config.out.iterdir()] == ["thesis.tex"]


def test_dataset_exchanged_under_a_run_is_refused(tiny_config):
    folder = train_model(tiny_config, progress=False)
    info = json.loads((folder / "data.json").read_text())
    (folder / "data.json").write_text(json.dumps(info | {"seed": 99}))
    with pytest.raises(ConfigError, match="begun on another dataset"):
        train_model(tiny_config, progress=False)


def test_resuming_with_another_number_of_threads_warns(tiny_config):
    folder = train_model(tiny_config, progress=False)
    os.rename(folder / "model_last", folder / "unfinished")
    provenance = json.loads((folder / "provenance.json").read_text())
    (folder / "provenance.json").write_text(json.dumps(provenance | {"num_threads": 1000}))
    with pytest.warns(UserWarning, match="other num_threads .1000, now"):
        train_model(tiny_config, progress=False)


def test_missing_dataset_is_refused_before_anything_is_written(tiny_config, tmp_path):
    with pytest.raises(StoreError, match="nowhere"):
        train_model(dataclasses.replace(tiny_config, data=tmp_path / "nowhere"), progress=False)
    assert not tiny_config.out.exists()


def test_split_without_validation_images_is_refused(tiny_config):
    config = dataclasses.replace(tiny_config, split=(0.9, 0.001, 0.099))
    with pytest.raises(ConfigError, match=r"no validation images of the 72 in .*: give a larger"):
        train_model(config, progress=False)


def test_training_that_diverges_is_stopped(tiny_config):
    config = dataclasses.replace(tiny_config, lr=1e6, schedule="constant")
    with pytest.raises(ModelError, match=r"training loss is (nan|inf) at step "):
        train_model(config, progress=False)


def test_unfinished_run_cannot_be_loaded(tiny_config):
    folder = train_model(tiny_config, progress=False)
    os.rename(folder / "model_last", folder / "unfinished")
    with pytest.raises(ConfigError, match="is unfinished"):
        load_run(folder)


def test_folder_without_a_run_cannot_be_loaded(tmp_path):
    with pytest.raises(ConfigError, match="is not a run folder"):
        load_run(tmp_path)


def test_run_folder_may_be_moved(tiny_config, tmp_path):
    train_model(tiny_config, progress=False).rename(tmp_path / "moved")
    assert load_run(tmp_path / "moved").config.out == tmp_path / "moved"
    moved = dataclasses.replace(tiny_config, out=tmp_path / "moved")
    assert train_model(moved, progress=False) == tmp_path / "moved"


def test_training_leaves_the_callers_random_numbers_alone(tiny_config):
    before = torch.get_rng_state()
    train_model(tiny_config, progress=False)
    assert torch.equal(torch.get_rng_state(), before)


def test_training_without_progress_bar_says_nothing(tiny_config, capfd):
    train_model(tiny_config, progress=False)
    assert capfd.readouterr() == ("", "")


@pytest.fixture
def small_config(tiny_config, tmp_path):
    """A registered model, which a process of its own can train: 8 steps of lenspinn_small."""
    rng = np.random.default_rng(0)
    info = dataclasses.replace(
        ImageStore.open(tiny_config.data).info, num_images=48, num_pix=64, recipe="test 64"
    )
    writer = StoreWriter.open(tmp_path / "small.zarr", info, {})
    images = rng.random((48, 1, 64, 64), dtype=np.float32)
    for rows in writer.pending_shards():
        writer.write_shard(rows, images, np.arange(48) % 3, {})
    writer.finish()
    return TrainConfig(
        data=writer.path,
        out=tmp_path / "small",
        model=ModelConfig("lenspinn_small"),
        split=(0.75, 0.125, 0.125),
        batch_size=9,
        epochs=2,
        checkpoint_every_steps=1,
    )


def start(config):
    """Begin a training in a process of its own, with as many threads as this one."""
    words = ["train", f"--data={config.data}", f"--out={config.out}"]
    words += [f"--model.name={config.model.name}", f"--split={list(config.split)}"]
    for key in ("batch_size", "epochs", "checkpoint_every_steps"):
        words.append(f"--{key}={getattr(config, key)}")
    threads = str(torch.get_num_threads())
    return subprocess.Popen(
        [sys.executable, "-m", "lenspinn.cli", *words],
        env=os.environ | {"OMP_NUM_THREADS": threads},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
