"""What fresh images cost: a streamed batch against a LensPINN_small training step on it.

The two take turns, so that whatever else the machine does slows both alike; times are medians.

    python benchmarks/stream.py [--steps 20] [--threads 2]
"""

import argparse
import statistics
import time
from pathlib import Path
from typing import Any

import torch
from result_file import write_result
from torch.nn.functional import cross_entropy

from lenspinn.models import create_model
from lenspinn.simulate import SceneStream, get_recipe

RECIPES = ("deeplense/model_3", "survey/hst", "survey/hst_tnfw", "survey/euclid")
BATCH_SIZE = 64
WARM_UP_STEPS = 3
OUT = Path(__file__).resolve().parents[1] / "results" / "benchmarks" / "stream.json"


def clock(device: torch.device) -> float:
    """Return the time when all that a device was asked for is done."""
    if device.type == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter()


def device_name(device: torch.device) -> str:
    """Name a GPU, or say how many threads a CPU may use."""
    if device.type == "cuda":
        return torch.cuda.get_device_name()
    return f"cpu, {torch.get_num_threads()} threads"


def measure(name: str, steps: int) -> dict[str, Any]:
    """Speed record of one recipe."""
    torch.manual_seed(0)
    recipe = get_recipe(name)
    stream = SceneStream(recipe)
    model = create_model(
        "lenspinn_small",
        num_pix=recipe.num_pix,
        pixel_scale=recipe.instrument.pixel_scale,
        transform="noise_safe",
    ).to(stream.device, memory_format=torch.channels_last)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4, fused=True)
    drawing, training = [], []
    for step in range(WARM_UP_STEPS + steps):
        start = clock(stream.device)
        images, labels = stream.sample(BATCH_SIZE, torch.Generator().manual_seed(step))
        drawn = clock(stream.device)
        optimizer.zero_grad()
        cross_entropy(model(images), labels).backward()
        optimizer.step()
        if step >= WARM_UP_STEPS:
            drawing.append(drawn - start)
            training.append(clock(stream.device) - drawn)
    ours, reference = statistics.median(drawing), statistics.median(training)
    return {
        "what": f"stream of {name} ({stream.engine})",
        "size": f"batch {BATCH_SIZE}, {recipe.num_pix} x {recipe.num_pix} pixels",
        "device": device_name(stream.device),
        "ours_per_s": round(BATCH_SIZE / ours, 1),
        "reference": "LensPINN_small training step on those images",
        "reference_per_s": round(BATCH_SIZE / reference, 1),
        "ratio": round(reference / ours, 2),
        "max_difference": None,  # another computation, so there is nothing to compare
    }


def main() -> None:
    """Measure, print the table and write the record."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--out", type=Path, default=OUT)
    config = parser.parse_args()
    torch.set_num_threads(config.threads)
    print(f"{'stream':42}{'drawn/s':>10}{'trained/s':>11}{'share of a step':>17}")
    records = []
    for name in RECIPES:
        record = measure(name, config.steps)
        records.append(record)
        share = f"{100 / record['ratio']:.1f} %"
        drawn, trained = record["ours_per_s"], record["reference_per_s"]
        print(f"{record['what']:42}{drawn:>10}{trained:>11}{share:>17}")
    write_result(
        config.out,
        {
            "config": {"steps": config.steps, "threads": config.threads},
            "records": records,
        },
    )


if __name__ == "__main__":
    main()
