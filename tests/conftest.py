"""Fixtures shared by every room's tests."""

import functools
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jaxtyping
import pytest
import torch

REPOSITORY = Path(__file__).resolve().parents[1]


def _compile_unchecked(function: Callable[..., Any], **options: Any) -> Callable[..., Any]:
    """Compile without the run-time type checks of the test run, which cannot be traced."""
    compiled = _compile(function, **options)

    @functools.wraps(function)
    def call(*arguments: Any) -> Any:
        jaxtyping.config.update("jaxtyping_disable", True)
        try:
            return compiled(*arguments)
        finally:
            jaxtyping.config.update("jaxtyping_disable", False)

    return call


_compile, torch.compile = torch.compile, _compile_unchecked


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Folder of real and reference images kept beside the checkout; skips where it is absent."""
    default = REPOSITORY.parent / "shared" / "data"
    folder = Path(os.environ.get("LENSPINN_SHARED", default))
    if not folder.is_dir():
        pytest.skip(f"needs the reference data at {folder} (set LENSPINN_SHARED to their folder)")
    return folder


@pytest.fixture
def generator() -> torch.Generator:
    return torch.Generator().manual_seed(20240817)


@pytest.fixture(scope="session")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """48 noise-free images of 0.08 arcsec pixels without lens light."""
    from lenspinn.simulate import SimulateConfig, simulate

    out = tmp_path_factory.mktemp("data") / "model_3.zarr"
    config = SimulateConfig(recipe="deeplense/model_3", num=48, out=out, num_workers=1)
    return simulate(config, progress=False)


@pytest.fixture(scope="session")
def run_folder(dataset: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small run trained on `dataset`."""
    from lenspinn.train import ModelConfig, TrainConfig, train_model

    config = TrainConfig(
        data=dataset,
        out=tmp_path_factory.mktemp("runs") / "small",
        model=ModelConfig("lenspinn_small"),
        epochs=1,
        batch_size=12,
        split=(0.5, 0.25, 0.25),
    )
    return train_model(config, progress=False)


@pytest.fixture(scope="session")
def calibrated_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small run with enough validation images, evaluated, and so calibrated."""
    from lenspinn.evaluate import evaluate_run
    from lenspinn.simulate import SimulateConfig, simulate
    from lenspinn.train import ModelConfig, TrainConfig, train_model

    folder = tmp_path_factory.mktemp("calibrated")
    data = SimulateConfig(
        recipe="deeplense/model_3",
        num=420,
        seed=3,
        out=folder / "data.zarr",
        overrides={"num_pix": 40, "instrument.pixel_scale": 0.13},
    )
    config = TrainConfig(
        data=simulate(data, progress=False),
        out=folder / "run",
        model=ModelConfig("lenspinn_small"),
        epochs=1,
        split=(0.1, 0.6, 0.3),
    )
    run = train_model(config, progress=False)
    evaluate_run(run, progress=False)
    return run


@pytest.fixture(scope="session")
def quantities_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small run of a network that predicts every quantity; its fits take one step."""
    from lenspinn.models.quantities import QUANTITIES
    from lenspinn.simulate import SimulateConfig, simulate
    from lenspinn.train import ModelConfig, TrainConfig, train_model

    folder = tmp_path_factory.mktemp("quantities")
    data = SimulateConfig(recipe="survey/hst_shallow", num=36, out=folder / "data.zarr")
    config = TrainConfig(
        data=simulate(data, progress=False),
        out=folder / "run",
        model=ModelConfig("lenspinn_fit", {"steps": 1, "quantities": list(QUANTITIES)}),
        epochs=1,
        batch_size=12,
        split=(0.34, 0.33, 0.33),
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("lenspinn.models.lens_fit.compiled_or_eager", lambda function: function)
        return train_model(config, progress=False)
