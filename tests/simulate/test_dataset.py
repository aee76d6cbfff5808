import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import yaml

from lenspinn.data import store
from lenspinn.data.store import ImageStore, StoreWriter
from lenspinn.errors import ConfigError, DataError, StoreError
from lenspinn.files import FolderLock
from lenspinn.simulate import (
    SimulateConfig,
    draw_scene,
    get_recipe,
    render,
    simulate,
    simulate_images,
)
from lenspinn.simulate import dataset as dataset_module

REPOSITORY = Path(__file__).resolve().parents[2]
CONFIGS = sorted((REPOSITORY / "configs" / "simulate").glob("*.yaml"))
# 15 x 15 pixels fill no whole number of vector registers, and 96 images a shard are no whole number
# of blocks: the hardest case for equal bytes.
SMALL = {"num_pix": 15}
NUM, SHARD = 290, 96


def contents(folder: Path) -> dict[str, bytes]:
    files = (file for file in folder.rglob("*") if file.is_file())
    return {str(file.relative_to(folder)): file.read_bytes() for file in files}


def small(out: Path, **changes) -> SimulateConfig:
    values = dict(recipe="survey/hst", num=NUM, seed=6, overrides=SMALL, out=out)
    return SimulateConfig(**values | changes)


@pytest.fixture
def small_shards(monkeypatch):
    monkeypatch.setattr(store, "SHARD_IMAGES", SHARD)


@pytest.mark.parametrize("engine", ["torch", "lenstronomy"])
def test_a_dataset_opens_with_labels_in_turn_and_its_truth(tmp_path, engine):
    out = simulate(small(tmp_path / "a.zarr", num=7, engine=engine), progress=False)
    opened = ImageStore.open(out)
    assert list(opened.labels) == [0, 1, 2, 0, 1, 2, 0]
    assert opened.info.classes == ("axion", "cdm", "no_sub")
    assert (opened.info.recipe, opened.info.unit, opened.info.seed) == ("survey/hst", "e-/s", 6)
    assert opened.info.noise_sigma == pytest.approx(0.005920, abs=5e-7)
    scene, truth = draw_scene(get_recipe("survey/hst", **SMALL), 6, 4)
    assert opened.truth.keys() == truth.keys()
    for name, values in truth.items():
        np.testing.assert_array_equal(opened.truth[name][4], values[0])
    model = render(scene, get_recipe("survey/hst", **SMALL).camera)[0].numpy()
    residual = opened.images([4])[0, 0] - model
    assert 0.004 < np.median(np.abs(residual)) / 0.6745 < 0.05  # noisy, and of the right scene


def test_clumps_are_in_the_truth_of_a_dataset(tmp_path):
    out = simulate(small(tmp_path / "a.zarr", recipe="survey/hst_clumpy", num=4), progress=False)
    opened = ImageStore.open(out)
    _, truth = draw_scene(get_recipe("survey/hst_clumpy", **SMALL), 6, 3)
    assert opened.truth.keys() == truth.keys()
    assert opened.truth["clump_share"].shape == (4,)
    for name in ("clump_flux", "clump_x", "clump_y", "clump_sigma", "clump_share"):
        np.testing.assert_array_equal(opened.truth[name][3], truth[name][0])
    assert opened.truth["clump_x"].shape == (4, 10)


@pytest.mark.parametrize("recipe", ["survey/hst", "survey/hst_clumpy", "deeplense/model_1"])
def test_bytes_do_not_depend_on_batch_size_or_workers(tmp_path, small_shards, recipe):
    def run(batch_size: int, num_workers: int) -> dict[str, bytes]:
        out = tmp_path / f"{batch_size}_{num_workers}.zarr"
        changes = dict(recipe=recipe, batch_size=batch_size, num_workers=num_workers)
        return contents(simulate(small(out, **changes), progress=False))

    first = run(1, 1)
    for batch_size, num_workers in ((7, 3), (64, 1), (64, 3), (512, 1)):
        assert run(batch_size, num_workers) == first


def test_images_in_memory_are_those_on_disk(tmp_path, small_shards):
    opened = ImageStore.open(simulate(small(tmp_path / "a.zarr"), progress=False))
    images, labels, truth = simulate_images(get_recipe("survey/hst", **SMALL), NUM, 6)
    np.testing.assert_array_equal(opened.images(slice(None)), images)
    np.testing.assert_array_equal(opened.labels, labels)
    for name, values in truth.items():
        np.testing.assert_array_equal(opened.truth[name], values)


def test_a_longer_dataset_begins_with_a_shorter_one():
    recipe = get_recipe("deeplense/model_3", **SMALL)
    short, _, _ = simulate_images(recipe, 50, 1)
    long, _, _ = simulate_images(recipe, 250, 1)
    np.testing.assert_array_equal(long[:50], short)


def test_another_seed_gives_other_images():
    recipe = get_recipe("survey/hst", **SMALL)
    first, second = (simulate_images(recipe, 3, seed)[0] for seed in (0, 1))
    assert not np.isclose(first, second).all(axis=(1, 2, 3)).any()


@pytest.mark.parametrize("failure", [StoreError("The disk is full"), KeyboardInterrupt()])
def test_after_a_failure_the_same_call_goes_on(tmp_path, small_shards, monkeypatch, failure):
    whole = contents(simulate(small(tmp_path / "whole.zarr"), progress=False))
    config = small(tmp_path / "failed.zarr", num_workers=3)
    write, calls = StoreWriter.write_shard, []

    def fail_at_the_second(writer, rows, *content):
        calls.append(rows)
        if len(calls) == 2:
            raise failure
        write(writer, rows, *content)

    monkeypatch.setattr(StoreWriter, "write_shard", fail_at_the_second)
    with pytest.raises(type(failure)) as raised:
        simulate(config, progress=False)
    assert raised.value is failure
    with pytest.raises(StoreError, match="incomplete"):
        ImageStore.open(config.out)
    monkeypatch.setattr(StoreWriter, "write_shard", write)
    assert contents(simulate(config, progress=False)) == whole


KILLED = """
import sys, time
from pathlib import Path
from lenspinn.data import store
from lenspinn.simulate import SimulateConfig, simulate

store.SHARD_IMAGES = 96
folder, killed = Path(sys.argv[1]), sys.argv[2] == "killed"
config = dict(recipe="survey/hst", num=290, seed=6, overrides={"num_pix": 15})
if killed:
    write = store.StoreWriter.write_shard
    def write_one_and_a_half(writer, rows, images, labels, truth):
        if rows.start == 0:
            return write(writer, rows, images, labels, truth)
        # What lies on disk when the process dies between two files of a shard.
        writer._arrays["images"].values[rows.start : rows.stop] = images
        print("killable", flush=True)
        time.sleep(600)
    store.StoreWriter.write_shard = write_one_and_a_half
simulate(SimulateConfig(out=folder / "killed.zarr", **config), progress=False)
simulate(SimulateConfig(out=folder / "whole.zarr", **config), progress=False)
"""


def test_a_killed_run_ends_with_the_bytes_of_a_whole_one(tmp_path):
    # Outside of any checkout, so that a commit made meanwhile does not change the provenance.
    environment = os.environ | {"GIT_DIR": str(tmp_path / "no_git"), "OMP_NUM_THREADS": "1"}

    def command(how: str) -> list[str]:
        return [sys.executable, "-c", KILLED, str(tmp_path), how]

    with subprocess.Popen(command("killed"), stdout=subprocess.PIPE, env=environment) as run:
        assert run.stdout.readline() == b"killable\n"
        run.send_signal(signal.SIGKILL)
    with pytest.raises(StoreError, match="incomplete"):
        ImageStore.open(tmp_path / "killed.zarr")
    subprocess.run(command("resumed"), env=environment, check=True)
    assert contents(tmp_path / "killed.zarr") == contents(tmp_path / "whole.zarr")


def test_a_finished_dataset_is_left_alone(tmp_path):
    config = small(tmp_path / "a.zarr", num=5)
    simulate(config, progress=False)
    changed = {file: file.stat().st_mtime_ns for file in config.out.rglob("*")}
    simulate(config, progress=False)
    assert {file: file.stat().st_mtime_ns for file in config.out.rglob("*")} == changed


def test_a_second_process_is_told_to_wait(tmp_path):
    config = small(tmp_path / "a.zarr", num=7)
    simulate(config, progress=False)
    before = contents(config.out)
    with FolderLock(config.out), pytest.raises(DataError, match="by another process: wait"):
        simulate(config, progress=False)
    assert contents(config.out) == before


def test_another_dataset_is_not_overwritten(tmp_path):
    simulate(small(tmp_path / "a.zarr", num=5), progress=False)
    with pytest.raises(StoreError, match="another dataset"):
        simulate(small(tmp_path / "a.zarr", num=5, seed=7), progress=False)


def test_the_progress_bar_counts_images(tmp_path, capsys):
    simulate(small(tmp_path / "a.zarr", num=5))
    assert "5/5" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"num": 0}, "num must be at least 1, got 0"),
        ({"seed": -1}, "seed must be at least 0"),
        ({"batch_size": 0}, "batch_size must be at least 1"),
        ({"num_workers": -2}, "num_workers must be at least 0"),
        ({"recipe": "deeplense/model_4"}, "no recipe 'deeplense/model_4'; did you mean"),
        ({"overrides": {"source.magnitud": 20}}, "did you mean 'magnitude'"),
        ({"overrides": {"instrument.psf_kernel": "absent.npy"}}, "^instrument.psf_kernel: "),
        ({"overrides": {"instrument.noise_correlation": "a.npy"}}, "^instrument.noise_correlation"),
    ],
)
def test_a_bad_configuration_is_one_sentence_and_writes_nothing(tmp_path, change, said):
    with pytest.raises(ConfigError, match=said):
        simulate(small(tmp_path / "a.zarr", **change))
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_every_yaml_runs(path, tmp_path):
    values = yaml.safe_load(path.read_text())
    assert values["recipe"] == path.stem.replace("_", "/", 1)
    config = SimulateConfig(**values | {"num": 3, "out": tmp_path / "a.zarr"})
    assert len(ImageStore.open(simulate(config, progress=False))) == 3


def test_batches_hold_whole_blocks_of_one_class():
    batches = list(dataset_module._batches(range(100, 1000), 3, per_batch=2))
    assert sorted(np.concatenate([np.concatenate(batch) for batch in batches])) == list(
        range(100, 1000)
    )
    for batch in batches:
        assert len(batch) <= 2
        for block in batch:
            assert len(set(block % 3)) == len(set(block // 3 // dataset_module.BLOCK)) == 1


WITHOUT_A_COMPILER = """
import warnings
from lenspinn.simulate import get_recipe, simulate_images
from lenspinn.errors import ConfigError
with warnings.catch_warnings(record=True) as said:
    warnings.simplefilter("always")
    images, _, _ = simulate_images("deeplense/model_3", 3, 0)
    eager, _, _ = simulate_images("deeplense/model_3", 3, 0, engine="eager")
assert (images == eager).all()
assert any("torch.compile does not work here" in str(item.message) for item in said), said
try:
    simulate_images("deeplense/model_3", 3, 0, engine="compiled")
except ConfigError as error:
    print(error)
"""


def test_without_a_compiler_images_are_rendered_eagerly_and_this_is_said(tmp_path):
    environment = os.environ | {
        "CXX": "/no/such/compiler",
        "TORCHINDUCTOR_CACHE_DIR": str(tmp_path),
    }
    run = subprocess.run(
        [sys.executable, "-c", WITHOUT_A_COMPILER], env=environment, capture_output=True, text=True
    )
    assert run.returncode == 0, run.stderr
    assert run.stdout.startswith("torch.compile does not work here")
    assert len(run.stdout.splitlines()) == 1


def test_a_power_law_is_not_compiled_unless_asked_for():
    recipe = get_recipe("survey/hst", **{"lens.gamma": 2.1})
    assert dataset_module.resolved_engine("torch", recipe) == "eager"
