"""A dataset and a network so small that a whole training run takes a second."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from torch import nn

from lenspinn.data.info import DatasetInfo
from lenspinn.data.store import StoreWriter
from lenspinn.models import names, registry
from lenspinn.models.classifier import Classifier, Features, Image, ImageOptions, Logits
from lenspinn.train import ModelConfig, TrainConfig

NUM_IMAGES = 72
NUM_PIX = 8
CLASSES = ("axion", "cdm", "no_sub")


@dataclass(frozen=True, kw_only=True)
class TinyImages(ImageOptions):
    num_pix: int = NUM_PIX


class TinyClassifier(Classifier):
    """Batch norm and dropout: what makes resuming a network hard."""

    def __init__(self, images: ImageOptions) -> None:
        super().__init__(images, transform="min_max", cam_layer="cnn.0")
        self.cnn = nn.Sequential(
            nn.Conv2d(1, 8, 3, stride=2),
            nn.BatchNorm2d(8),
            nn.ReLU(),
            nn.Flatten(),
            nn.Dropout(0.3),
        )
        self.head = nn.Linear(8 * ((self.num_pix - 1) // 2) ** 2, len(self.classes))

    def forward_features(self, image: Image) -> Features:
        return self.cnn(self.preprocess(image))

    def forward_head(self, features: Features) -> Logits:
        return self.head(features)


@pytest.fixture(autouse=True)
def tiny_classifier() -> Iterator[None]:
    """Register `tiny_classifier` and `tiny_fit` as models for one test."""

    def tiny_classifier(images: TinyImages) -> TinyClassifier:
        return TinyClassifier(images)

    def tiny_fit(
        images: TinyImages, *, background_sigma: float = 1.0, psf_fwhm: float = 0.08
    ) -> TinyClassifier:
        return TinyClassifier(images)

    registry.register_model(tiny_classifier)
    registry.register_model(tiny_fit)
    yield
    del names.FACTORIES["tiny_classifier"], names.FACTORIES["tiny_fit"]


@pytest.fixture(scope="session")
def tiny_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_store(tmp_path_factory.mktemp("data") / "tiny.zarr")


def write_store(
    path: Path,
    *,
    pixel_value: Callable[[np.ndarray], np.ndarray] = np.abs,
    classes: Sequence[str] = CLASSES,
) -> Path:
    """Write images of noise in which a bright row tells the class."""
    rng = np.random.default_rng(7)
    labels = np.arange(NUM_IMAGES) % len(classes)
    images = rng.normal(size=(NUM_IMAGES, 1, NUM_PIX, NUM_PIX))
    images[np.arange(NUM_IMAGES), 0, 2 * labels] += 1.0
    info = DatasetInfo(
        num_images=NUM_IMAGES,
        num_pix=NUM_PIX,
        pixel_scale=0.08,
        classes=tuple(classes),
        recipe="test",
        instrument="none",
        unit="e-/s",
        noise_sigma=0.0,
        lens_light=False,
        recipe_config={},
        seed=0,
    )
    writer = StoreWriter.open(path, info, {})
    for rows in writer.pending_shards():
        chosen = slice(rows.start, rows.stop)
        writer.write_shard(rows, pixel_value(images[chosen]).astype(np.float32), labels[chosen], {})
    writer.finish()
    return path


@pytest.fixture
def tiny_config(tiny_store: Path, tmp_path: Path) -> TrainConfig:
    """3 epochs of 6 steps, validated twice an epoch."""
    return TrainConfig(
        data=tiny_store,
        out=tmp_path / "run",
        model=ModelConfig("tiny_classifier"),
        split=(2 / 3, 1 / 6, 1 / 6),
        batch_size=8,
        epochs=3,
        lr=1e-2,
        schedule="one_cycle",
        validations_per_epoch=2,
        checkpoint_every_steps=1,
    )
