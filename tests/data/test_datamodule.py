import itertools
from pathlib import Path

import lightning.pytorch as lightning
import numpy as np
import pytest
import torch
from lightning.pytorch.callbacks import ModelCheckpoint

from lenspinn.data.datamodule import StoreDataModule, TrainBatches
from lenspinn.data.store import StoreWriter
from lenspinn.errors import ConfigError, StoreError

from .conftest import TRUTH_FIELDS, shard_content, small_info

NUM_IMAGES = 210  # 168 of them for training: 10 batches of 16 and one of 8


@pytest.fixture
def store(make_store) -> Path:
    return make_store(NUM_IMAGES)


def seen(batches) -> list[torch.Tensor]:
    return [image for image, _ in batches]


def assert_same_batches(first: list[torch.Tensor], second: list[torch.Tensor]) -> None:
    assert len(first) == len(second)
    for a, b in zip(first, second, strict=True):
        torch.testing.assert_close(a, b, rtol=0, atol=0)


def test_parts_are_disjoint_and_keep_the_classes_in_proportion(store):
    data = StoreDataModule(store, split=(0.7, 0.2, 0.1))
    parts = data.split_indices
    assert list(parts) == ["train", "validation", "test"]
    together = np.concatenate(list(parts.values()))
    assert sorted(together) == list(range(NUM_IMAGES))
    for part, fraction in zip(parts.values(), (0.7, 0.2, 0.1), strict=True):
        counts = np.bincount(data.store.labels[part], minlength=3)
        np.testing.assert_allclose(counts, fraction * NUM_IMAGES / 3, atol=1)


def test_the_split_is_a_function_of_the_seed(store):
    first, again, other = (StoreDataModule(store, seed=s).split_indices for s in (1, 1, 2))
    for name in first:
        np.testing.assert_array_equal(first[name], again[name])
    assert not np.array_equal(first["test"], other["test"])


def test_a_batch_is_the_stored_images_and_labels_of_its_rows(store):
    data = StoreDataModule(store, batch_size=7)
    rows = data.split_indices["validation"]
    batches = list(data.val_dataloader())
    image, label = batches[0]
    assert (image.shape, image.dtype, label.dtype) == ((7, 1, 8, 8), torch.float32, torch.int64)
    assert len(batches) == len(data.val_dataloader())
    np.testing.assert_array_equal(torch.cat(seen(batches)), data.store.images(rows))
    np.testing.assert_array_equal(torch.cat([y for _, y in batches]), data.store.labels[rows])


def test_every_epoch_holds_every_training_image_once_in_another_order(store):
    data = StoreDataModule(store, batch_size=32)
    loader = data.train_dataloader()
    first, second = torch.cat(seen(loader)), torch.cat(seen(loader))
    expected = data.store.images(data.split_indices["train"])
    assert not torch.equal(first, second)
    for epoch in (first, second):
        assert sorted(epoch.sum((1, 2, 3)).tolist()) == sorted(
            torch.from_numpy(expected).sum((1, 2, 3)).tolist()
        )


def test_the_order_is_a_function_of_seed_and_epoch(store):
    loaders = [StoreDataModule(store, seed=s).train_dataloader() for s in (5, 5, 6)]
    first, again, other = (seen(loader) for loader in loaders)
    assert_same_batches(first, again)
    assert not torch.equal(first[0], other[0])


@pytest.mark.parametrize("num_workers", [1, 3])
def test_workers_change_nothing(store, num_workers):
    alone = StoreDataModule(store, batch_size=16)
    helped = StoreDataModule(store, batch_size=16, num_workers=num_workers)
    assert_same_batches(seen(alone.train_dataloader()), seen(helped.train_dataloader()))
    assert_same_batches(seen(alone.test_dataloader()), seen(helped.test_dataloader()))


@pytest.mark.parametrize("stop", [1, 4, 10, 11, 12, 25])
@pytest.mark.parametrize("num_workers", [0, 2])
def test_a_loader_goes_on_from_its_saved_state(store, stop, num_workers):
    def batches(loader, number):
        found = []
        while len(found) < number:
            for image in seen_until(loader, number - len(found)):
                found.append(image)
        return found

    def seen_until(loader, number):
        for count, (image, _) in enumerate(loader, start=1):
            yield image
            if count == number:
                return

    data = StoreDataModule(store, batch_size=16, num_workers=num_workers)
    assert len(data.train_dataloader()) == 11
    whole = batches(data.train_dataloader(), 33)
    first = data.train_dataloader()
    before = batches(first, stop)
    resumed = data.train_dataloader()
    resumed.load_state_dict(first.state_dict())
    assert_same_batches(before + batches(resumed, 33 - stop), whole)


def test_a_state_of_other_batches_is_refused(store):
    state = StoreDataModule(store, batch_size=16).train_dataloader().state_dict()
    with pytest.raises(ConfigError, match="trained with batch_size 16, this run has 8"):
        StoreDataModule(store, batch_size=8).train_dataloader().load_state_dict(state)


def loader_of(rank, world_size):
    def load(rows, step):
        return torch.tensor(rows), torch.tensor([step])

    return TrainBatches(load, np.arange(22), batch_size=5, seed=0, rank=rank, world_size=world_size)


def rows(loader):
    return [image.tolist() for image, _ in loader]


def test_processes_share_each_batch_of_one_process():
    whole = rows(loader_of(0, 1))
    shares = zip(rows(loader_of(0, 2)), rows(loader_of(1, 2)), strict=True)
    assert len(loader_of(1, 2)) == len(whole) == 5
    for batch, (first, second) in zip(whole, shares, strict=True):
        assert (first, second) == (batch[::2], batch[1::2])


def test_a_process_without_an_image_of_the_last_batch_repeats_one():
    last = [rows(loader_of(rank, 3))[-1] for rank in range(3)]
    assert list(map(len, last)) == [1, 1, 1]
    assert last[2] == last[0] != last[1]


@pytest.mark.parametrize(("before", "after"), [(1, 2), (2, 1), (2, 3)])
def test_another_number_of_processes_goes_on_from_the_same_position(before, after):
    begun = [loader_of(rank, before) for rank in range(before)]
    for loader in begun:
        assert len(list(zip(range(2), loader, strict=False))) == 2
    resumed = [loader_of(rank, after) for rank in range(after)]
    for loader in resumed:
        loader.load_state_dict(begun[0].state_dict())
    rest = [sorted(itertools.chain(*shares)) for shares in zip(*map(rows, resumed), strict=True)]
    assert rest[:-1] == [sorted(b) for b in rows(loader_of(0, 1))[2:-1]]


def test_processes_share_the_validation_images(store):
    class Third(StoreDataModule):
        _rank, _world_size = 2, 3

    data = Third(store, batch_size=10)
    whole = StoreDataModule(store, batch_size=10).val_dataloader()
    assert len(data.val_dataloader()) == len(whole)
    for own, batch in zip(seen(data.val_dataloader()), seen(whole), strict=True):
        assert torch.equal(own, batch[2::3])


def test_a_process_may_have_no_validation_image_of_the_last_batch(store):
    class Last(StoreDataModule):
        _rank, _world_size = 9, 10

    num = len(StoreDataModule(store).split_indices["validation"])
    data = Last(store, batch_size=num - 1)
    assert [len(images) for images, _ in data.val_dataloader()] == [(num - 1) // 10, 0]


def test_a_test_store_is_used_whole(store, make_store):
    other = make_store(30, name="other.zarr", seed=4)
    data = StoreDataModule(store, split=(0.9, 0.1, 0.0), test_path=other)
    np.testing.assert_array_equal(data.split_indices["test"], np.arange(30))
    np.testing.assert_array_equal(
        torch.cat(seen(data.test_dataloader())), data.test_store.images(slice(None))
    )


def test_a_test_store_of_other_pixels_is_refused(store, make_store):
    other = make_store(30, name="other.zarr", pixel_scale=0.1)
    with pytest.raises(ConfigError, match=r"pixel_scale is 0\.1, not 0\.08"):
        StoreDataModule(store, split=(0.9, 0.1, 0.0), test_path=other)


@pytest.fixture
def make_store_of_galaxies(tmp_path):
    """Write a store of 60 images whose sources are the numbered galaxies of a folder, in turn."""

    def make(name: str, galaxies: list[int], folder: str = "cosmos") -> Path:
        info = small_info(60, recipe_config={"source": {"galaxies": folder}})
        writer = StoreWriter.open(tmp_path / name, info, TRUTH_FIELDS | {"source_galaxy": ()})
        for rows in writer.pending_shards():
            images, labels, truth = shard_content(rows, info)
            sources = np.resize(np.array(galaxies, dtype=float), len(rows))
            writer.write_shard(rows, images, labels, truth | {"source_galaxy": sources})
        writer.finish()
        return tmp_path / name

    return make


def test_a_store_of_real_galaxies_has_each_in_one_part(make_store_of_galaxies):
    data = StoreDataModule(make_store_of_galaxies("one.zarr", list(range(10))))
    galaxies = data.store.truth["source_galaxy"]
    parts = [set(galaxies[rows]) for rows in data.split_indices.values()]
    assert sorted(map(len, parts)) == [1, 1, 8]
    assert len(set.union(*parts)) == 10


def test_a_test_store_that_shows_the_same_galaxies_is_refused(make_store_of_galaxies):
    first = make_store_of_galaxies("first.zarr", list(range(7)))
    second = make_store_of_galaxies("second.zarr", [5, 6, 7, 8])
    with pytest.raises(ConfigError, match=r"same 2 galaxies; simulate one with source\.part train"):
        StoreDataModule(first, split=(0.8, 0.2, 0.0), test_path=second)


@pytest.mark.parametrize(("galaxies", "folder"), [([7, 8], "cosmos"), ([0, 1], "elsewhere")])
def test_a_test_store_of_other_galaxies_is_used(make_store_of_galaxies, galaxies, folder):
    first = make_store_of_galaxies("first.zarr", list(range(7)))
    second = make_store_of_galaxies("second.zarr", galaxies, folder)
    data = StoreDataModule(first, split=(0.8, 0.2, 0.0), test_path=second)
    assert len(data.split_indices["test"]) == 60


@pytest.mark.parametrize("split", [(0.8, 0.1, 0.2), (1.2, -0.1, -0.1), (0.0, 0.5, 0.5)])
def test_an_impossible_split_is_refused(store, split):
    with pytest.raises(ConfigError, match="split"):
        StoreDataModule(store, split=split)


def test_a_test_store_beside_a_test_fraction_is_refused(store, make_store):
    with pytest.raises(ConfigError, match=r"must be 0, not 0\.1"):
        StoreDataModule(store, test_path=make_store(30, name="other.zarr"))


def test_a_missing_store_is_refused_at_once(tmp_path):
    with pytest.raises(StoreError, match="no dataset"):
        StoreDataModule(tmp_path / "nowhere.zarr")


class Noise:
    """A batch source of white noise."""

    def sample(self, batch_size, generator, truth_keys=()):
        labels = torch.randint(3, (batch_size,), generator=generator)
        return torch.randn(batch_size, 1, 8, 8, generator=generator), labels


def test_a_source_streams_fresh_images_that_depend_on_seed_and_step_alone(store):
    data = StoreDataModule(store, batch_size=32, source=Noise(), num_workers=2)
    loader = data.train_dataloader()
    first, second = seen(loader), seen(loader)
    assert sum(map(len, first)) == len(data.split_indices["train"])
    assert len({image.sum().item() for image in first + second}) == 2 * len(loader)
    resumed = data.train_dataloader()
    resumed.load_state_dict({**loader.state_dict(), "epoch": 1, "batch": 0})
    assert_same_batches(seen(resumed), second)


class InterruptedTrainingError(Exception):
    pass


class Recorder(lightning.LightningModule):
    """Learns a weight and remembers the images it was shown."""

    def __init__(self, stop_after: int | None = None) -> None:
        super().__init__()
        self.layer = torch.nn.Linear(64, 3)
        torch.nn.init.constant_(self.layer.weight, 0.01)
        torch.nn.init.zeros_(self.layer.bias)
        self.shown: list[float] = []
        self.stop_after = stop_after

    def training_step(self, batch, batch_index):
        if self.stop_after is not None and len(self.shown) == self.stop_after:
            raise InterruptedTrainingError
        image, label = batch
        self.shown.append(image.double().sum().item())
        return torch.nn.functional.cross_entropy(self.layer(image.flatten(1)), label)

    def validation_step(self, batch, batch_index):
        image, label = batch
        self.log("val_loss", torch.nn.functional.cross_entropy(self.layer(image.flatten(1)), label))

    def configure_optimizers(self):
        return torch.optim.AdamW(self.parameters(), lr=0.01)


def fit(data, model, folder, checkpoint=None):
    saver = ModelCheckpoint(folder, filename="{step}", every_n_train_steps=1, save_top_k=-1)
    trainer = lightning.Trainer(
        accelerator="cpu",
        max_epochs=3,
        logger=False,
        callbacks=[saver],
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    trainer.fit(model, datamodule=data, ckpt_path=checkpoint)
    return model


@pytest.mark.filterwarnings("ignore:.*LeafSpec.*is deprecated:FutureWarning")
@pytest.mark.filterwarnings("ignore:Checkpoint directory .* exists and is not empty")
@pytest.mark.filterwarnings("ignore:The '.*_dataloader' does not have many workers")
@pytest.mark.parametrize("stop", [2, 5, 10, 11, 12, 25])
def test_lightning_resumes_with_the_batches_and_weights_of_an_uninterrupted_run(
    store, tmp_path, stop
):
    def data() -> StoreDataModule:
        return StoreDataModule(store, batch_size=16, num_workers=1)

    whole = fit(data(), Recorder(), tmp_path / "whole")
    assert len(whole.shown) == 33
    interrupted = Recorder(stop_after=stop)
    with pytest.raises(InterruptedTrainingError):
        fit(data(), interrupted, tmp_path / "stopped")
    checkpoint = tmp_path / "stopped" / f"step={stop}.ckpt"
    resumed = fit(data(), Recorder(), tmp_path / "stopped", checkpoint=checkpoint)
    assert interrupted.shown + resumed.shown == whole.shown
    torch.testing.assert_close(resumed.layer.weight, whole.layer.weight, rtol=0, atol=0)


def test_truth_comes_with_training_images_where_it_is_asked_for(store):
    data = StoreDataModule(store, batch_size=16)
    plain = seen(data.train_dataloader())
    data.truth_keys = ("theta_E", "unheard_of")
    batches = list(data.train_dataloader())
    assert_same_batches(plain, [image for image, *_ in batches])
    column, stored = data.store.read_truth("theta_E"), data.store.images(slice(None))
    for images, _, truth in batches:
        rows = [int((stored == image.numpy()).all(axis=(1, 2, 3)).argmax()) for image in images]
        np.testing.assert_array_equal(truth["theta_E"], column[rows].astype(np.float32))
        assert truth["unheard_of"].isnan().all()
    assert all(len(batch) == 2 for batch in data.val_dataloader())
