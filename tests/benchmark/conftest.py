"""Grids of a few tiny cells, and cells that look finished without any training."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from lenspinn.benchmark.cell import CHOSEN, FINAL, encode_bits, encode_map, thinned_roc
from lenspinn.evaluate import classification_metrics

CLASSES = ("axion", "cdm", "no_sub")
NUM_TEST = 300

ROWS = {
    "small": {
        "title": "LensPINN_small",
        "train": {"model": {"name": "lenspinn_small", "options": {"transform": "paper"}}},
        "paper": {"parameters": 7.17, "accuracy": 0.956, "auc_cdm": 0.99},
    },
    "slow": {
        "title": "The same, slow",
        "train": {"model": {"name": "lenspinn_small", "options": {"transform": "paper"}}},
        "under": {"short": {"lr": 1e-6}},
    },
    "absent": {"title": "Absent", "train": {"model": {"name": "resnet1888"}}},
}
PROTOCOLS = {
    "short": {
        "title": "Two epochs of 24 stored images.",
        "dataset": "tiny",
        "num_images": 30,
        "num_test": 12,
        "train": {"split": [0.8, 0.1, 0.1], "epochs": 2, "batch_size": 12, "lr": 1e-3},
    },
    "fresh": {
        "title": "Two steps of 6 fresh images.",
        "num_test": 12,
        "train": {
            "data": "stream",
            "stream": {"images_per_epoch": 12, "num_validation": 3, "num_test": 3},
            "epochs": 1,
            "batch_size": 6,
        },
    },
}
GRID = {
    "title": "A tiny grid",
    "protocols": ["short"],
    "recipes": ["deeplense/model_3"],
    "seeds": [0],
    "tables": [{"title": "Everything.", "reference": "small", "rows": ["small", "slow"]}],
}


def write_grid(folder: Path, **changes: Any) -> Path:
    """Write the three files of a grid, with changes to `GRID`."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "rows.yaml").write_text(yaml.safe_dump({"rows": ROWS}))
    (folder / "protocols.yaml").write_text(yaml.safe_dump({"protocols": PROTOCOLS}))
    path = folder / "tiny.yaml"
    path.write_text(yaml.safe_dump(GRID | changes))
    return path


@pytest.fixture
def grid_file(tmp_path: Path) -> Path:
    return write_grid(tmp_path / "configs")


Scores = tuple[np.ndarray, np.ndarray]


def scores(share_right: float, seed: int = 0) -> Scores:
    """Probabilities of which so many have the right class on top, and labels."""
    rng = np.random.default_rng(seed)
    labels = np.arange(NUM_TEST) % 3
    logits = rng.normal(size=(NUM_TEST, 3))
    right = rng.random(NUM_TEST) < share_right
    top = np.where(right, labels, (labels + 1) % 3)
    logits[np.arange(NUM_TEST), top] = 3 + rng.random(NUM_TEST)
    return np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True), labels


def finished_cell(
    share_right: float = 0.9, *, row: str = "small", seed: int = 0, epochs: int = 5
) -> dict[str, Any]:
    """What the file of a finished cell holds, from made-up probabilities."""
    probabilities, labels = scores(share_right, seed)
    metrics = classification_metrics(probabilities, labels, CLASSES, n_bootstrap=50)
    history = [
        {
            "epoch": epoch + 1.0,
            "images_seen": 7200.0 * (epoch + 1),
            "train_loss": 1.1 * (1 - share_right) ** (0.3 + epoch / epochs),
            "val_micro_f1": share_right - 0.4 / (epoch + 1),
            "seconds": 20.0 * (epoch + 1),
        }
        for epoch in range(epochs)
    ]
    record = {"row": row, "seed": seed, "images_seen": 7200 * epochs, "parameters": 7_170_000}
    positive = np.eye(3, dtype=bool)[labels]
    correct = encode_bits(probabilities.argmax(axis=1) == labels)
    curves = {"micro": thinned_roc(probabilities.ravel(), positive.ravel())}
    rays = np.linspace(0, 1, 64)
    cams = [
        {
            "label": name,
            "prediction": "cdm",
            "probability": 0.87,
            "theta_E": None,
            "pixel_scale": 0.08,
            "preprocessed": encode_map(np.outer(rays, rays[::-1])),
            "cam": encode_map(np.outer(rays, rays) ** 2),
        }
        for name in CLASSES
    ]
    machine = {
        "versions": {"torch": "2.4.0"},
        "git": {"commit": "0123456789abcdef", "dirty": False},
        "hardware": {"cpu": "a CPU", "cores": 2, "gpu": None},
        "num_threads": 1,
    }
    return {
        "date": "2024-12-15T00:00:00+00:00",
        "trained_with": machine,
        "config": {"model": {"name": "lenspinn_small", "options": {"transform": "paper"}}},
        "records": [
            {**record, "weights": weights, "epoch": float(epochs), **metrics}
            for weights in (CHOSEN, FINAL)
        ],
        "history": history,
        "roc": {CHOSEN: curves, FINAL: curves},
        "correct": {CHOSEN: correct, FINAL: correct},
        "cam": cams,
    }


@pytest.fixture
def make_cell() -> Callable[..., dict[str, Any]]:
    return finished_cell


@pytest.fixture
def make_grid() -> Callable[..., Path]:
    return write_grid
