"""What trained networks say of another code's pixels: images of the authors' own simulator.

Reads the `deeplensesim` folder of the reference data (see its README), imports every set as a user
would import a DeepLense folder, and applies each run to it. Models I and II are resampled to the
pixel scale of the networks; Model I is noisy.

    python benchmarks/deeplensesim.py DEEPLENSESIM_FOLDER RUN [RUN ...]
"""

import argparse
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from result_file import write_result

from lenspinn.apply import TableAnswer, apply_model
from lenspinn.data import import_deeplense
from lenspinn.errors import ModelError
from lenspinn.train import load_run

PIXEL_SCALES = {"I": 0.05, "II": 0.101, "III": 0.08}
"""Arcsec, of each of the authors' models."""
CLASSES = ("no_sub", "cdm", "axion")
"""In equal numbers and in this order in every file."""
OUT = Path(__file__).resolve().parents[1] / "results" / "deeplensesim.json"


def import_set(path: Path, scratch: Path) -> Path:
    """Turn one .npz file into a dataset."""
    folder = scratch / path.stem
    with np.load(path) as content:
        images = content["images"]
    for name, of_class in zip(CLASSES, np.split(images, len(CLASSES)), strict=True):
        (folder / name).mkdir(parents=True)
        for number, image in enumerate(of_class):
            np.save(folder / name / f"{number:04}.npy", image.astype(np.float32))
    scale = PIXEL_SCALES[path.stem.split("_")[1]]
    store = scratch / f"{path.stem}.zarr"
    import_deeplense(folder, store, pixel_scale=scale, progress=False)
    return store


def measure(run: Path, store: Path, scratch: Path) -> dict[str, Any]:
    """Record the accuracy of one run on one dataset, or why it was refused."""
    trained = load_run(run)
    record = {
        "model": trained.config.model.name,
        "run": run.name,
        "input": trained.model.transform,
        "recipe": trained.data_info.recipe,
        "epochs": trained.config.epochs,
        "images_seen": int(trained.history[-1]["images_seen"]),
        "seed": trained.config.seed,
        "set": store.stem,
    }
    try:
        (answer,) = apply_model([store], model=run, out=scratch / run.name, progress=False)
    except ModelError as error:
        return record | {"refused": str(error).removeprefix(f"{store}: ")}
    assert isinstance(answer, TableAnswer)
    assert answer.accuracy is not None
    accuracy, low, high = answer.accuracy
    return record | {
        "n_test": len(answer.labels),
        "accuracy": accuracy,
        "accuracy_low": low,
        "accuracy_high": high,
        "trusted": answer.trusted,
        "mismatches": [mismatch.kind for mismatch in answer.mismatches],
    }


def line(record: dict[str, Any]) -> str:
    """One row of the table."""
    name = f"{record['run']:10}{record['set']:24}"
    if "refused" in record:
        return f"{name}refused: {record['refused']}"
    interval = f"({record['accuracy_low']:.3f} to {record['accuracy_high']:.3f})"
    trust = "" if record["trusted"] else " not to be trusted"
    return f"{name}{record['n_test']:>5}  {record['accuracy']:.3f} {interval}{trust}"


def main() -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("runs", type=Path, nargs="+")
    parser.add_argument("--out", type=Path, default=OUT)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        stores = [import_set(path, Path(name)) for path in sorted(arguments.folder.glob("*.npz"))]
        records = [measure(run, store, Path(name)) for run in arguments.runs for store in stores]
    print("\n".join(map(line, records)))
    write_result(
        arguments.out,
        {
            "config": {"runs": [str(run) for run in arguments.runs]},
            "records": records,
        },
    )


if __name__ == "__main__":
    main()
