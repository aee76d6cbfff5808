"""Small stores made by hand, so that the data room is tested without the simulator."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lenspinn.data.store import DatasetInfo, StoreWriter

CLASSES = ("axion", "cdm", "no_sub")
SOMEWHERE = {"versions": {}, "git": None, "hardware": {}}
"""Provenance that stays the same while other people commit."""
TRUTH_FIELDS = {"theta_E": (), "source_magnitude": (), "point_x": (5,), "point_y": (5,)}


def small_info(num_images: int, num_pix: int = 8, **changes: Any) -> DatasetInfo:
    facts: dict[str, Any] = {
        "num_images": num_images,
        "num_pix": num_pix,
        "pixel_scale": 0.08,
        "classes": CLASSES,
        "recipe": "test/rings",
        "instrument": "none",
        "unit": "e-/s",
        "noise_sigma": 0.0,
        "lens_light": False,
        "recipe_config": {"centre": (0.0, 0.1)},
        "seed": 3,
    }
    return DatasetInfo(**(facts | changes))


def shard_content(rows: range, info: DatasetInfo) -> tuple[np.ndarray, np.ndarray, dict]:
    """Images, labels and truth of some rows; image i depends on i alone."""
    draws = [np.random.default_rng([3, i]) for i in rows]
    images = np.stack([d.normal(1, 0.1, (1, info.num_pix, info.num_pix)) for d in draws])
    truth = {
        name: np.stack([d.uniform(0.5, 1.5, shape) for d in draws])
        for name, shape in TRUTH_FIELDS.items()
    }
    return images.astype(np.float32), np.array(rows) % 3, truth


def write_pending(writer: StoreWriter, at_most: int | None = None) -> None:
    for rows in writer.pending_shards()[:at_most]:
        writer.write_shard(rows, *shard_content(rows, writer.info))


@pytest.fixture
def make_store(tmp_path: Path) -> Callable[..., Path]:
    """Write a complete store of `num_images` small images and return its path."""

    def make(num_images: int, name: str = "small.zarr", num_pix: int = 8, **changes: Any) -> Path:
        info = small_info(num_images, num_pix, **changes)
        writer = StoreWriter.open(tmp_path / name, info, TRUTH_FIELDS)
        write_pending(writer)
        writer.finish()
        return tmp_path / name

    return make
