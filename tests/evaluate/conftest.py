"""A run to evaluate: one epoch on a few images, so its scores mean nothing but are scores."""

from pathlib import Path

import pytest

from lenspinn.simulate import SimulateConfig, simulate
from lenspinn.train import ModelConfig, TrainConfig, train_model


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("evaluate")


def make_store(out: Path, *, seed: int, num: int = 96, recipe: str = "deeplense/model_3") -> Path:
    return simulate(SimulateConfig(recipe=recipe, num=num, seed=seed, out=out), progress=False)


@pytest.fixture(scope="session")
def store(folder: Path) -> Path:
    return make_store(folder / "train.zarr", seed=0)


@pytest.fixture(scope="session")
def other_store(folder: Path) -> Path:
    """Other images of the same recipe."""
    return make_store(folder / "other.zarr", seed=1, num=30)


@pytest.fixture(scope="session")
def noisy_store(folder: Path) -> Path:
    """Images of another recipe, drawn from the training seed."""
    return make_store(folder / "noisy.zarr", seed=0, num=6, recipe="survey/hst")


@pytest.fixture(scope="session")
def run(folder: Path, store: Path) -> Path:
    config = TrainConfig(
        data=store,
        out=folder / "run",
        model=ModelConfig("lenspinn_small"),
        split=(0.5, 0.25, 0.25),
        epochs=1,
        validations_per_epoch=2,
        batch_size=12,
    )
    return train_model(config, progress=False)
