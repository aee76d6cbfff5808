"""Finished cell: one JSON file with all that tables and figures need, weights excepted."""

import base64
import json
import zlib
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from jaxtyping import Bool, UInt8

from lenspinn.benchmark.grid import Cell
from lenspinn.config import dotted, to_dict
from lenspinn.data.provenance import portable_command, provenance
from lenspinn.data.store import ImageStore
from lenspinn.data.transforms import TRANSFORMS
from lenspinn.device import best_device
from lenspinn.errors import BenchmarkError
from lenspinn.evaluate import classification_metrics, predict
from lenspinn.evaluate.metrics import Labels, Probabilities, roc_curve
from lenspinn.evaluate.record import learning_record
from lenspinn.explain.view import view_images
from lenspinn.files import read_json, write_whole
from lenspinn.models import Classifier, from_pretrained
from lenspinn.train import ModelConfig, Run, TrainConfig, best_row, load_run
from lenspinn.train.callbacks import read_rows

SCHEMA_VERSION = 1
CHOSEN, FINAL = "chosen", "final"
"""Weights of the epoch that was best on validation, and of the last epoch."""
NUM_ROC_POINTS = 200
ROC_DECIMALS = 5
"""Decimals of stored rates: finer than one image of the test sets in use."""
GREY_LEVELS = 255

Finished = dict[str, Any]
"""Content of the file of a finished cell."""


def measure_cell(cell: Cell) -> Finished:
    """Measure the finished run of a cell on its test set.

    Parameters
    ----------
    cell
        Cell whose run folder and test set are complete.

    Returns
    -------
    dict
        The settings and what made them, ``records`` of the chosen and of the final epoch (fields
        of every learning record), ``history`` (rows of ``metrics.csv``), ``roc``, the images that
        were classified rightly (``correct``), and Grad-CAM of an image of each class (``cam``).
    """
    run = load_run(cell.config.out)
    store = ImageStore.open(cell.test.path)
    device = best_device()
    final = from_pretrained(run.folder / "model_last")
    epochs = {CHOSEN: (run.model, best_row(run.history)), FINAL: (final, run.history[-1])}
    records, curves, correct = [], {}, {}
    for epoch, (model, weights) in epochs.items():
        probabilities = predict(model.to(device), store)
        metrics = classification_metrics(probabilities, store.labels, model.classes)
        record = learning_record(
            run, weights, metrics, protocol=cell.protocol, recipe=store.info.recipe
        )
        records.append({"row": cell.row, "weights": epoch, "epoch": weights["epoch"], **record})
        curves[epoch] = _curves(probabilities, store.labels, model.classes)
        correct[epoch] = encode_bits(probabilities.argmax(axis=1) == store.labels)
    return {
        "schema": SCHEMA_VERSION,
        "command": portable_command(cell.command),
        "config": _portable(cell.config),
        "test": {"recipe": cell.test.recipe, "num": cell.test.num, "seed": cell.test.seed},
        **provenance(),
        "trained_with": run.provenance,
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "records": records,
        "history": run.history,
        "roc": curves,
        "correct": correct,
        "cam": _cam(run, store),
    }


def write_cell(cell: Cell, finished: Finished) -> None:
    """Write the file of a cell: one line a key, whole or not at all."""
    lines = [f"{json.dumps(key)}: {json.dumps(value)}" for key, value in finished.items()]
    cell.result.parent.mkdir(parents=True, exist_ok=True)
    write_whole(cell.result, ("{\n" + ",\n".join(lines) + "\n}\n").encode())


def read_cell(cell: Cell) -> Finished | None:
    """Read the file of a cell; None if the cell is not finished.

    Raises
    ------
    BenchmarkError
        The file is no result, or that of other settings than the grid asks for.
    """
    if not cell.result.is_file():
        return None
    try:
        finished = read_json(cell.result, BenchmarkError)
        schema, config, test = (finished[key] for key in ("schema", "config", "test"))
        config, test = dict(config), dict(test)
    except (LookupError, TypeError, ValueError):
        raise BenchmarkError(
            f"{cell.result} is not a cell of lenspinn benchmark: delete it to measure it anew"
        ) from None
    if schema != SCHEMA_VERSION:
        raise BenchmarkError(
            f"{cell.result} has schema {schema}, this lenspinn reads {SCHEMA_VERSION}"
        )
    begun = _defaults() | dotted({"train": config, "test": test})
    here = {"recipe": cell.test.recipe, "num": cell.test.num, "seed": cell.test.seed}
    asked = dotted({"train": _portable(cell.config), "test": here})
    for key in sorted(begun.keys() | asked.keys()):
        if begun.get(key) != asked.get(key):
            raise BenchmarkError(
                f"{cell.result} was measured with {key} {begun.get(key)}, but the grid asks for "
                f"{asked.get(key)}: delete it, or give the row another label"
            )
    return dict(finished)


class RunState(NamedTuple):
    """Progress of the training in a run folder."""

    text: str
    """Progress in a word or two."""
    images_seen: int
    """Number of training images seen up to the last row of ``metrics.csv``, as `seconds`."""
    seconds: float


def run_state(folder: Path) -> RunState:
    """Look at how far the training in a run folder is; the folder may be missing."""
    rows = read_rows(folder / "metrics.csv") if (folder / "metrics.csv").is_file() else []
    last = rows[-1] if rows else {"images_seen": 0, "seconds": 0}
    text = "begun" if folder.is_dir() else "not begun"
    if rows:
        text = f"begun (epoch {rows[-1]['epoch']:.4g})"
    if (folder / "model_last").is_dir():
        text = "trained"
    return RunState(text, int(last["images_seen"]), float(last["seconds"]))


def encode_bits(values: Bool[np.ndarray, " images"]) -> str:
    """Pack truth values into base64, eight in a byte."""
    return base64.b64encode(np.packbits(values).tobytes()).decode()


def decode_bits(text: str, num: int) -> Bool[np.ndarray, " images"]:
    """Undo `encode_bits` for `num` values."""
    packed = np.frombuffer(base64.b64decode(text), dtype=np.uint8)
    return np.unpackbits(packed, count=num).astype(bool)


def encode_map(values: np.ndarray) -> str:
    """Keep a map of values 0..1 as compressed bytes: good to 1/510."""
    levels = np.round(np.clip(values, 0, 1) * GREY_LEVELS).astype(np.uint8)
    return base64.b64encode(zlib.compress(levels.tobytes(), 9)).decode()


def decode_map(text: str) -> UInt8[np.ndarray, "side side"]:
    """Return the square map that `encode_map` kept, 0..255."""
    levels = np.frombuffer(zlib.decompress(base64.b64decode(text)), dtype=np.uint8)
    side = round(len(levels) ** 0.5)
    return levels.reshape(side, side)


def thinned_roc(scores: np.ndarray, positive: np.ndarray) -> list[list[float]]:
    """Trace a ROC curve with at most `NUM_ROC_POINTS` points, most of them near (0, 1).

    Returns
    -------
    [false positive rates, true positive rates]
    """
    x, y = roc_curve(scores, positive)
    # Rises along the curve from -1 to 1, fastest where it turns from the y axis to the top.
    place = np.cbrt(x) - np.cbrt(1 - y)
    wanted = np.linspace(-1, 1, NUM_ROC_POINTS)
    kept = np.unique([0, *np.searchsorted(place, wanted).clip(max=len(x) - 1), len(x) - 1])
    return [np.round(x[kept], ROC_DECIMALS).tolist(), np.round(y[kept], ROC_DECIMALS).tolist()]


def _curves(
    probabilities: Probabilities, labels: Labels, classes: Sequence[str]
) -> dict[str, list[list[float]]]:
    positive = np.eye(len(classes), dtype=bool)[labels]
    curves = {"micro": thinned_roc(probabilities.ravel(), positive.ravel())}
    for index, name in enumerate(classes):
        curves[name] = thinned_roc(probabilities[:, index], positive[:, index])
    return curves


def _cam(run: Run, store: ImageStore) -> list[dict[str, Any]]:
    """Grad-CAM of the first test image of each class, and that image preprocessed."""
    rows = [int(np.flatnonzero(store.labels == label)[0]) for label in np.unique(store.labels)]
    images = store.images(np.array(rows))
    model: Classifier = run.model.cpu()
    views = view_images(model, images)
    edges = TRANSFORMS["noise_safe"](torch.from_numpy(images).float())[:, 0].numpy()
    return [
        {
            "label": store.info.classes[store.labels[row]],
            "prediction": view.prediction,
            "probability": round(float(view.probabilities.max()), 4),
            "theta_E": view.theta_E,
            "pixel_scale": view.pixel_scale,
            "preprocessed": encode_map(edge),
            "cam": encode_map(view.cam),
        }
        for row, view, edge in zip(rows, views, edges, strict=True)
    ]


def _portable(config: TrainConfig) -> dict[str, Any]:
    """Return the settings of a run without the places on one machine."""
    settings = to_dict(config)
    place = Path(settings.pop("data")).name
    settings.pop("out")
    return settings | {"data": place}


def _defaults() -> dict[str, Any]:
    """Return the settings that a file older than them lacks."""
    nothing = TrainConfig(data=Path("none"), out=Path("none"), model=ModelConfig("none"))
    return dotted({"train": _portable(nothing)})
