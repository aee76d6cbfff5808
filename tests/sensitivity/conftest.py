"""A small sky, and a network trained on it for one epoch: its answers mean nothing."""

from pathlib import Path
from typing import Any

import pytest

from lenspinn.sensitivity import SensitivityConfig
from lenspinn.simulate import SimulateConfig, simulate
from lenspinn.train import ModelConfig, TrainConfig, train_model

SMALL = {"num_pix": 40}


def make_config(out: Path, **changes: Any) -> SensitivityConfig:
    """Two magnitudes of the recipe and one against mass, each in seconds."""
    settings: dict[str, Any] = {
        "recipe": "survey/hst",
        "out": out,
        "magnitudes": [24.0, 21.0],
        "mass_magnitudes": [22.0],
        "num": 60,
        "num_lenses": 2,
        "overrides": dict(SMALL),
    }
    return SensitivityConfig(**settings | changes)


@pytest.fixture(scope="session")
def network(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run trained on images of magnitudes 20 to 25."""
    folder = tmp_path_factory.mktemp("sensitivity")
    magnitude = {"source.magnitude": {"uniform": [20, 25]}}
    data = SimulateConfig(
        recipe="survey/hst", num=48, out=folder / "data.zarr", overrides=SMALL | magnitude
    )
    config = TrainConfig(
        data=simulate(data, progress=False),
        out=folder / "run",
        model=ModelConfig("lenspinn_small", {"transform": "noise_safe"}),
        split=(0.5, 0.25, 0.25),
        epochs=1,
        batch_size=12,
    )
    return train_model(config, progress=False)
