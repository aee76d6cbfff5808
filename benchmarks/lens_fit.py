"""What the fit inside `lenspinn_fit` costs, and what it brings, against its number of steps.

A trained run answers its own validation images with a fit of 1 to 20 steps. CPU seconds are those
of this process on one thread, so that other work on the machine counts for little; the first batch,
which compiles, is not timed.

    python benchmarks/lens_fit.py RUN [--images 512]
"""

import argparse
import json
import shlex
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import torch

from lenspinn.data.provenance import provenance
from lenspinn.data.store import ImageStore
from lenspinn.models import LensFit
from lenspinn.train import Run, load_run

STEPS = (1, 2, 4, 6, 8, 12, 20)
BATCH_SIZE = 64
CONVERGED = 1.1
"""Chi^2 a degree of freedom, of a lens without substructure; 4.5 standard deviations above 1."""
OUT = Path(__file__).resolve().parents[1] / "results" / "benchmarks" / "lens_fit.json"


def measure(run: Run, model: LensFit, steps: int, rows: np.ndarray) -> dict[str, Any]:
    """Answer images with so many steps."""
    model.steps = steps
    store = ImageStore.open(run.data)
    right, seconds, chi2 = [], 0.0, []
    for start in range(0, len(rows), BATCH_SIZE):
        batch = rows[start : start + BATCH_SIZE]
        images = torch.from_numpy(store.images(batch))
        begun = time.process_time()
        with torch.inference_mode():
            logits = model(images)
        seconds += time.process_time() - begun
        with torch.inference_mode():
            chi2.append(model.reconstruct(images).chi2.numpy())
        right.append(logits.argmax(1).numpy() == store.labels[batch])
    smooth = store.labels[rows] == run.model.classes.index("no_sub")
    return {
        "steps": steps,
        "cpu_ms_an_image": round(1000 * seconds / len(rows), 2),
        "accuracy_on_validation": float(np.concatenate(right).mean()),
        "converged_without_substructure": float((np.concatenate(chi2)[smooth] < CONVERGED).mean()),
    }


def main() -> None:
    """Measure, print and write the result."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("run", type=Path)
    parser.add_argument("--images", type=int, default=512)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    run = load_run(arguments.run)
    assert isinstance(run.model, LensFit)
    rows = run.split["validation"][: arguments.images]
    measure(run, run.model, 1, rows[:BATCH_SIZE])  # compiles
    records = [measure(run, run.model, steps, rows) for steps in STEPS]
    for record in records:
        print(record)
    result = {
        "schema": 1,
        "command": shlex.join(["python", *sys.argv]),
        "n_images": len(rows),
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        **provenance(),
        "records": records,
    }
    OUT.parent.mkdir(parents=True, exist_ok=True)
    OUT.write_text(json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    main()
