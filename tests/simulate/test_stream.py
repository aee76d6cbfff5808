import numpy as np
import pytest
import torch

from lenspinn.data.datamodule import StoreDataModule
from lenspinn.simulate import SceneStream, SimulateConfig, get_recipe, simulate
from lenspinn.simulate.config import Engine

SMALL = {"num_pix": 16, "instrument.pixel_scale": 0.3}
BATCH = 10


def stream(name: str = "survey/hst", engine: Engine = "eager") -> SceneStream:
    return SceneStream(get_recipe(name, **SMALL), engine=engine, device="cpu")


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize("name", ["survey/hst", "survey/hst_lenslight", "deeplense/model_1"])
def test_a_batch_is_a_function_of_the_generator(name):
    source = stream(name)
    first, again, other = (source.sample(BATCH, seeded(seed)) for seed in (1, 1, 2))
    assert torch.equal(first[0], again[0])
    assert torch.equal(first[1], again[1])
    assert not torch.equal(first[0], other[0])
    assert first[0].shape == (BATCH, 1, 16, 16)
    assert (first[0].dtype, first[1].dtype) == (torch.float32, torch.int64)


def test_truth_comes_in_the_order_of_the_images_and_changes_none():
    plain = stream().sample(BATCH, seeded(1))
    images, labels, truth = stream().sample(BATCH, seeded(1), ("vortex_mass", "unheard_of"))
    assert torch.equal(images, plain[0])
    axion = get_recipe("survey/hst").classes.index("axion")
    assert torch.equal(truth["vortex_mass"].isfinite(), labels == axion)
    assert truth["unheard_of"].isnan().all()
    assert truth["vortex_mass"].dtype == torch.float32


def test_classes_are_balanced_and_shuffled():
    labels = [stream().sample(BATCH, seeded(seed))[1] for seed in range(20)]
    counts = torch.stack([torch.bincount(batch, minlength=3) for batch in labels])
    assert counts.min() == 3
    assert counts.max() == 4
    assert (counts.float().mean(dim=0) > 3).all()  # no class is always the one with more
    assert any((batch.diff() < 0).any() for batch in labels)


def test_images_are_distributed_as_those_of_a_dataset():
    images, labels = stream("deeplense/model_3").sample(600, seeded(0))
    assert (images > 0).all()  # noise-free
    noisy, _ = stream().sample(600, seeded(0))
    sigma = get_recipe("survey/hst", **SMALL).noise_sigma
    corners = noisy[:, 0, 0, 0]
    assert corners.std().item() == pytest.approx(sigma, rel=0.2)
    assert labels.float().mean() == 1.0


@pytest.fixture(scope="module")
def held_out(tmp_path_factory):
    out = tmp_path_factory.mktemp("held_out") / "a.zarr"
    config = SimulateConfig(
        recipe="survey/hst", num=12, out=out, overrides=SMALL, engine="eager", seed=9
    )
    return simulate(config, progress=False)


def batches(held_out, num_workers: int = 0):
    data = StoreDataModule(
        held_out,
        batch_size=6,
        split=(0.0, 0.5, 0.5),
        num_workers=num_workers,
        source=stream(),
        images_per_epoch=24,
    )
    return data.train_dataloader()


def test_training_batches_do_not_depend_on_the_number_of_workers(held_out):
    expected = [images for images, _ in batches(held_out)]
    assert len(expected) == 4
    for num_workers in (1, 3):
        drawn = [images for images, _ in batches(held_out, num_workers)]
        assert all(map(torch.equal, drawn, expected))


def test_an_epoch_is_continued_where_it_stopped(held_out):
    whole = [images for images, _ in batches(held_out)]
    loader = batches(held_out)
    iterator = iter(loader)
    begun = [next(iterator)[0] for _ in range(3)]
    resumed = batches(held_out)
    resumed.load_state_dict(loader.state_dict())
    rest = [images for images, _ in resumed]
    assert all(map(torch.equal, begun + rest, whole))


def test_no_image_is_drawn_twice(held_out):
    loader = batches(held_out)
    images = torch.cat([images for _ in range(2) for images, _ in loader])
    assert len(np.unique(images[:, 0, 3, 3].numpy())) == len(images) == 48


def test_ranks_draw_other_images(held_out):
    data = StoreDataModule(
        held_out, batch_size=6, split=(0.0, 0.5, 0.5), source=stream(), images_per_epoch=12
    )
    here = data._train_batch({}, np.arange(6), 0)[0]

    class Other(StoreDataModule):
        _rank = 1

    other = Other(
        held_out, batch_size=6, split=(0.0, 0.5, 0.5), source=stream(), images_per_epoch=12
    )
    assert not torch.isclose(here, other._train_batch({}, np.arange(6), 0)[0]).all()


@pytest.mark.gpu
def test_on_a_gpu_images_are_made_and_left_there():
    source = SceneStream(get_recipe("survey/hst"), device="cuda")
    images, labels = source.sample(BATCH, seeded(0))
    assert images.device.type == labels.device.type == "cuda"
    assert torch.equal(images, source.sample(BATCH, seeded(0))[0])
