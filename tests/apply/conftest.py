"""A small trained run on noise-free images of 0.08 arcsec pixels without lens light."""

from pathlib import Path

import numpy as np
import pytest

from lenspinn.data.store import ImageStore
from lenspinn.simulate import SimulateConfig, simulate
from lenspinn.train import ModelConfig, TrainConfig, train_model


@pytest.fixture(scope="session")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("data") / "model_3.zarr"
    config = SimulateConfig(recipe="deeplense/model_3", num=48, out=out, num_workers=1)
    return simulate(config, progress=False)


@pytest.fixture(scope="session")
def run_folder(dataset: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    config = TrainConfig(
        data=dataset,
        out=tmp_path_factory.mktemp("runs") / "small",
        model=ModelConfig("lenspinn_small"),
        epochs=1,
        batch_size=12,
        split=(0.5, 0.25, 0.25),
    )
    return train_model(config, progress=False)


@pytest.fixture
def image(dataset: Path) -> np.ndarray:
    """One image of the dataset, (64, 64)."""
    return ImageStore.open(dataset).images([1])[0, 0]
