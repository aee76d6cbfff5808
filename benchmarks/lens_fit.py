"""What the fit inside `lenspinn_fit` costs, and what it brings, against its number of steps.

A trained run answers fresh images like its own with a fit of 1 to 20 steps. On a CPU seconds are
those of this process on one thread, so that other work on the machine counts for little; on a GPU
they are those of the clock, the images being there already. The first batch, which compiles, is not
timed.

    python benchmarks/lens_fit.py RUN [--images 512] [--batch 64]
"""

import argparse
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from result_file import write_result
from run_recipe import recipe_like
from torch import Tensor

from lenspinn.device import best_device
from lenspinn.models import LensFit
from lenspinn.simulate import simulate_images
from lenspinn.train import Run, load_run

STEPS = (1, 2, 4, 6, 8, 12, 20)
SEED = 500
CONVERGED = 1.1
"""Chi^2 a degree of freedom, of a lens without substructure; 4.5 standard deviations above 1."""
OUT = Path(__file__).resolve().parents[1] / "results" / "benchmarks" / "lens_fit.json"


def seconds(device: torch.device) -> float:
    """Read the clock that counts on a device."""
    if device.type == "cpu":
        return time.process_time()
    torch.cuda.synchronize()
    return time.perf_counter()


def measure(model: LensFit, steps: int, batches: list[Tensor], labels: np.ndarray) -> Any:
    """Answer images with so many steps."""
    model.steps = steps
    device, taken, logits, chi2 = batches[0].device, 0.0, [], []
    for images in batches:
        with torch.inference_mode():
            begun = seconds(device)
            logits.append(model(images))
            taken += seconds(device) - begun
            chi2.append(model.reconstruct(images).chi2.cpu())
    right = torch.cat(logits).argmax(1).cpu().numpy() == labels
    smooth = labels == model.classes.index("no_sub")
    return {
        "steps": steps,
        "ms_an_image": round(1000 * taken / len(labels), 3),
        "images_per_s": round(len(labels) / taken, 1),
        "accuracy": float(right.mean()),
        "converged_without_substructure": float(
            (torch.cat(chi2).numpy()[smooth] < CONVERGED).mean()
        ),
    }


def fresh_images(run: Run, num: int) -> tuple[Tensor, np.ndarray]:
    """Draw images of the recipe of a run, and their labels."""
    images, labels, _ = simulate_images(recipe_like(run), num, SEED)
    return torch.from_numpy(images), labels


def main() -> None:
    """Measure, print and write the result."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("run", type=Path)
    parser.add_argument("--images", type=int, default=512)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--steps", type=int, nargs="+", default=STEPS)
    parser.add_argument("--out", type=Path, default=OUT)
    config = parser.parse_args()
    torch.set_num_threads(1)
    device = best_device()
    run = load_run(config.run)
    model = run.model.to(device)
    assert isinstance(model, LensFit)
    images, labels = fresh_images(run, config.images)
    batches = list(images.to(device).split(config.batch))
    measure(model, 1, batches[:1], labels[: config.batch])  # compiles
    records = []
    for steps in config.steps:
        records.append(measure(model, steps, batches, labels))
        print(records[-1], flush=True)
    write_result(
        config.out,
        {
            "source_structure": model.source_structure,
            "device": device.type,
            "n_images": len(labels),
            "batch": config.batch,
            "seed": SEED,
            "records": records,
        },
        schema=2,
    )


if __name__ == "__main__":
    main()
