"""Whether the source that LensPINN shows is the source: theta_E and source position against truth.

Measures each run on each dataset of known truth, simulated here (a `.zarr`) or by the authors' code
(an `.npz` of the reference data with `..._truth.json` beside it, Model III).

    python benchmarks/lenspinn_theta_e.py --runs RUN [RUN ...] --sets SET [SET ...]
"""

import argparse
import json
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from result_file import write_result
from torch import Tensor

from lenspinn.config import to_dict
from lenspinn.data import ImageStore
from lenspinn.evaluate import classification_metrics
from lenspinn.evaluate.lens import EinsteinRadii, lens_metrics
from lenspinn.evaluate.metrics import mean_of, with_intervals
from lenspinn.evaluate.predict import batches, network_outputs
from lenspinn.evaluate.temperature import scaled_probabilities
from lenspinn.models import Classifier, LensPINN
from lenspinn.train import Run, load_run

OUT = Path(__file__).resolve().parents[1] / "results" / "theta_e" / "lenspinn.json"
NEAR = 0.1
"""Arcsec; a source that is shown further off is not where it is."""
HALF = 0.5
"""The middle of a source is that of its pixels above half of its brightest one."""
RESAMPLES = 1000


class KnownSet(NamedTuple):
    """Images and their truth."""

    name: str
    recipe: str
    images: np.ndarray
    """(images, 1, y, x)."""
    labels: np.ndarray
    theta_E: np.ndarray
    """Arcsec, as the next."""
    source: np.ndarray
    """(images, 2): x and y."""


def read_set(path: Path, classes: tuple[str, ...]) -> KnownSet:
    """Read a dataset of this project or one of the reference data."""
    if path.suffix == ".npz":
        truth = json.loads(path.with_name(f"{path.stem}_truth.json").read_text())
        with np.load(path) as content:
            images = content["images"].astype(np.float32)[:, None]
        return KnownSet(
            path.stem,
            "DeepLenseSim",
            images,
            np.array([classes.index(one["cls"]) for one in truth]),
            np.array([one["theta_E"] for one in truth]),
            np.array([[one["source_x"], one["source_y"]] for one in truth]),
        )
    store = ImageStore.open(path)
    theta_E, x, y = (store.read_truth(key) for key in ("theta_E", "source_x", "source_y"))
    if theta_E is None or x is None or y is None:
        raise SystemExit(f"{path} has no truth of lens and source")
    images = store.images(slice(0, len(store)))
    return KnownSet(
        path.stem, store.info.recipe, images, store.labels, theta_E, np.stack([x, y], axis=1)
    )


def middles(source: Tensor, x: Tensor, y: Tensor) -> Tensor:
    """Brightness-weighted middle of each source above `HALF` of its peak: (batch, 2)."""
    bright = source * (source > HALF * source.amax(dim=(1, 2), keepdim=True))
    total = bright.sum(dim=(1, 2))
    return torch.stack([(bright * axis).sum(dim=(1, 2)) / total for axis in (x, y)], dim=1)


def shown_sources(model: Classifier, images: np.ndarray) -> np.ndarray:
    """Where a LensPINN shows the sources, arcsec: (images, 2)."""
    assert isinstance(model, LensPINN)
    layer, found = model.inverse_lens, []
    for batch in batches(model, images):
        with torch.inference_mode():
            reconstruction = model.reconstruct(batch)
        assert reconstruction is not None
        found.append(middles(reconstruction.source, layer.theta_x, layer.theta_y))
    return torch.cat(found).numpy()


def measure(run: Run, known: KnownSet) -> dict[str, Any]:
    """Record accuracy, error of theta_E and of the source's place, with intervals."""
    model = run.model
    assert isinstance(model, LensPINN)
    outputs = network_outputs(model, known.images)
    assert outputs.theta_E is not None
    scores = classification_metrics(
        scaled_probabilities(outputs.logits), known.labels, model.classes
    )
    radii = EinsteinRadii(
        theta_E=outputs.theta_E.astype(np.float64), standard_error=None, truth=known.theta_E
    )
    offset = np.linalg.norm(shown_sources(model, known.images) - known.source, axis=1)
    every = np.ones(len(offset), dtype=bool)
    near = {"source_near": mean_of(offset < NEAR, every)}
    return {
        "run": run.folder.name,
        "model": run.config.model.name,
        "theta_E_weight": model.theta_E_weight,
        "consistency_weight": model.consistency_weight,
        "trained_on": run.data_info.recipe,
        "seed": run.config.seed,
        "images_seen": int(run.history[-1]["images_seen"]),
        "set": known.name,
        "recipe": known.recipe,
        "n_test": len(offset),
        **{key: scores[key] for key in ("accuracy", "accuracy_low", "accuracy_high")},
        **lens_metrics(radii, known.labels, model.classes),
        **with_intervals(near, len(offset), RESAMPLES, 0),
        "source_offset_median": float(np.median(offset)),
        "source_offset_90": float(np.quantile(offset, 0.9)),
    }


def line(record: dict[str, Any]) -> str:
    """One row of the table."""
    return (
        f"{record['run']:18}{record['set']:24}{record['n_test']:>5}  accuracy "
        f"{record['accuracy']:.3f}  theta_E {record['theta_E_error']:.2%}, above 5 %: "
        f'{record["theta_E_outliers"]:.1%}  source within {NEAR}": {record["source_near"]:.1%}'
    )


def main() -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=Path, nargs="+", required=True)
    parser.add_argument("--sets", type=Path, nargs="+", required=True)
    parser.add_argument("--out", type=Path, default=OUT)
    arguments = parser.parse_args()
    records, trained = [], {}
    for folder in arguments.runs:
        run = load_run(folder)
        config = to_dict(run.config)
        trained[folder.name] = {
            key: value for key, value in config.items() if key not in ("data", "out")
        } | {"provenance": run.provenance}
        for path in arguments.sets:
            records.append(measure(run, read_set(path, run.model.classes)))
            print(line(records[-1]), flush=True)
    write_result(arguments.out, {"config": trained, "records": records})


if __name__ == "__main__":
    main()
