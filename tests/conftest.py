"""Fixtures shared by every room's tests."""

import dataclasses
import functools
import math
import os
import shlex
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jaxtyping
import numpy as np
import pytest
import torch
from torch.nn import functional

if TYPE_CHECKING:
    from lenspinn.measure import LensMeasurement

REPOSITORY = Path(__file__).resolve().parents[1]


IN_BROWSER = "tests/web/test_browser.py"


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Say whether the page was looked at in a browser, for those tests may be skipped."""
    counts = {
        outcome: sum(report.nodeid.startswith(IN_BROWSER) for report in reports)
        for outcome in ("passed", "failed", "error", "skipped")
        if (reports := terminalreporter.stats.get(outcome))
    }
    if any(counts.values()):
        said = ", ".join(f"{number} {outcome}" for outcome, number in counts.items() if number)
        terminalreporter.write_line(f"tests in a browser: {said}")


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
def is_understood(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], bool]:
    """Whether a command that a text tells a reader to type is one, without running it."""
    from lenspinn import cli, config

    def understood(command: str) -> bool:
        monkeypatch.chdir(REPOSITORY)
        name, *words = shlex.split(command)
        entry = cli.COMMANDS[name]
        if entry.config_class is None:
            return bool(config.parse_call(cli._load(entry.function), words))
        return bool(config.parse_config(cli._load(entry.config_class), words))

    return understood


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


@pytest.fixture
def solved(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many images each call of the solver is for, of networks that fit the lens."""
    from lenspinn.models import lens_fit

    calls, fit = [], lens_fit.fit_smooth_lens

    def counted(start: torch.Tensor, *rest: Any, **options: Any) -> Any:
        calls.append(len(start))
        return fit(start, *rest, **options)

    monkeypatch.setattr(lens_fit, "fit_smooth_lens", counted)
    return calls


SCENE = {
    "theta_E": 0.8,
    "e1": 0.08,
    "e2": -0.05,
    "gamma1": 0.03,
    "gamma2": -0.02,
    "source_x": 0.08,
    "source_y": 0.05,
    "source_e1": 0.1,
    "source_e2": 0.1,
    "log_R_sersic": math.log(0.15),
    "log_amplitude": 4.0,
}
"""A smooth lens; what is not named is 0."""


@dataclasses.dataclass(frozen=True)
class LensedScene:
    """An image of a lens whose parameters are known."""

    image: np.ndarray
    sigma: np.ndarray
    psf: np.ndarray
    mask: np.ndarray
    pixel_scale: float
    theta_E: float


@pytest.fixture(scope="session")
def scene() -> LensedScene:
    """A lens with lens light off the middle of the image, noise, PSF and a masked neighbour."""
    from lenspinn.fitting import SMOOTH_PARAMETERS, make_optics, smooth_image
    from lenspinn.lensing import pixel_grid, sersic
    from lenspinn.lensing.psf import convolve_kernel, gaussian_kernel

    num_pix, scale = 51, 0.08
    axis = np.array(gaussian_kernel(2.0, 4.0))
    psf = np.outer(axis, axis)
    optics = make_optics(num_pix, scale, torch.from_numpy(psf).float(), supersampling=3)
    values = torch.tensor([[SCENE.get(name, 0.0) for name in SMOOTH_PARAMETERS]])
    arcs = smooth_image(values, optics)
    x, y = pixel_grid(num_pix * 3, scale / 3)
    galaxy = sersic(
        x,
        y,
        amplitude=80.0,
        R_sersic=0.7,
        n_sersic=3.0,
        e1=0.1,
        e2=0.05,
        center_x=0.0,
        center_y=0.0,
    )
    light = functional.avg_pool2d(galaxy[None], 3) * scale**2
    image = (arcs + convolve_kernel(light, torch.from_numpy(psf).float()))[0].double().numpy()
    sigma = np.sqrt(0.02**2 + 0.002 * image)
    image += sigma * np.random.default_rng(5).standard_normal(image.shape)
    mask = np.zeros_like(image)
    mask[30:34, 36:40] = 1
    image[mask > 0] += 3.0
    pads = ((2, 5), (4, 3))
    image = np.pad(image, pads, mode="edge")
    sigma, mask = np.pad(sigma, pads, constant_values=1e8), np.pad(mask, pads)
    return LensedScene(image, sigma, psf, mask, scale, SCENE["theta_E"])


@pytest.fixture(scope="session")
def measured(scene: LensedScene) -> "LensMeasurement":
    """What is measured in the scene."""
    from lenspinn.measure import measure_lens

    return measure_lens(
        scene.image,
        pixel_scale=scene.pixel_scale,
        noise=scene.sigma,
        psf=scene.psf,
        mask=scene.mask,
    )


@pytest.fixture
def published(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str, Path], None]:
    """Put folders into a cache of the Hugging Face hub, as huggingface_hub would; it is offline."""
    import huggingface_hub.constants

    cache = tmp_path / "hub"
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(cache))

    def publish(name: str, folder: Path) -> None:
        commit = "0123456789abcdef0123456789abcdef01234567"
        repository = cache / f"models--{name.replace('/', '--')}"
        (repository / "refs").mkdir(parents=True)
        (repository / "refs" / "main").write_text(commit)
        shutil.copytree(folder, repository / "snapshots" / commit)

    return publish
