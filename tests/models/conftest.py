"""Images for the tests of models."""

from collections.abc import Callable, Iterator

import pytest
import torch
from torch import Tensor, nn

NUM_PIX = 40  # cheaper than 64, and still four patches


def rings(num: int, num_pix: int, generator: torch.Generator) -> Tensor:
    """Positive images of uneven rings of any radius and brightness, (num, 1, y, x)."""
    radius, width, phase, brightness = (
        low + (high - low) * torch.rand(num, 1, 1, generator=generator)
        for low, high in [(0.3, 0.8), (0.08, 0.15), (0.0, 6.28), (0.5, 5.0)]
    )
    axis = torch.linspace(-1, 1, num_pix)
    y, x = torch.meshgrid(axis, axis, indexing="ij")
    profile = torch.exp(-((torch.hypot(x, y) - radius) ** 2) / (2 * width**2))
    return (brightness * (0.01 + profile * (1 + 0.7 * torch.cos(torch.atan2(y, x) - phase))))[
        :, None
    ]


@pytest.fixture(scope="session")
def settle() -> Callable[[nn.Module, Tensor], nn.Module]:
    """Function that gives a model in evaluation mode, its batch statistics those of the images.

    A fresh model's running variances are far from those of its activations, which fade to
    nothing, and with them anything a test could compare.
    """

    def settle(model: nn.Module, images: Tensor) -> nn.Module:
        norms = [module for module in model.modules() if isinstance(module, nn.BatchNorm2d)]
        for norm in norms:
            norm.momentum = 1.0
        with torch.no_grad():
            model.train()(images)
        return model.eval()

    return settle


@pytest.fixture(scope="session")
def draw_rings() -> Callable[[int, int, torch.Generator], Tensor]:
    """Return `rings`."""
    return rings


@pytest.fixture
def images(generator: torch.Generator) -> Tensor:
    return rings(32, NUM_PIX, generator)


@pytest.fixture
def labels() -> Tensor:
    return torch.arange(32) % 3


@pytest.fixture(scope="session", autouse=True)
def eager_fits() -> Iterator[None]:
    """Fit without a compiler, which would take longer than these tests."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("lenspinn.models.lens_fit.compiled_or_eager", lambda function: function)
        yield
