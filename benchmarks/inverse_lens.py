"""What the physics costs: a LensPINN training step against its CNN passes alone.

Both are a forward pass, the classification loss, the backward pass and an AdamW step on 64 images
of 64 x 64 pixels. The full step starts from images: preprocessing, transformer encoder,
inverse-lens layer, shared CNN on image and source, second CNN, head. The reference has the same
CNNs and head on inputs made beforehand: 128 images for the shared CNN, 64 for the second. The two
take turns, so that whatever else the machine does slows both alike.

    python benchmarks/inverse_lens.py [--steps 40] [--threads 2]
"""

import argparse
import json
import shlex
import statistics
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from lenspinn.data.provenance import provenance
from lenspinn.data.transforms import min_max
from lenspinn.models import LensPINN, create_model

MODELS = ("lenspinn_small", "lenspinn_large")
BATCH_SIZE = 64
NUM_PIX = 64
WARM_UP_STEPS = 3
OUT = Path(__file__).resolve().parents[1] / "results" / "benchmarks" / "inverse_lens.json"


class CNNPasses(nn.Module):
    """The convolutional networks and the head of a LensPINN, without what prepares their inputs."""

    def __init__(self, model: LensPINN) -> None:
        super().__init__()
        self.shared_cnn = model.shared_cnn
        self.preprocessed_cnn = model.preprocessed_cnn
        self.head = model.head

    def forward(self, pairs: Tensor, preprocessed: Tensor) -> Tensor:
        """Logits from images stacked on sources, and preprocessed images."""
        of_image, of_source = self.shared_cnn(pairs).chunk(2)
        features = torch.cat([of_image - of_source, self.preprocessed_cnn(preprocessed)], dim=1)
        return self.head(features)


def training_step(model: nn.Module, inputs: tuple[Tensor, ...]) -> Callable[[], None]:
    """Build a function that trains a model for one step."""
    labels = torch.arange(BATCH_SIZE) % 3
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4, fused=True)

    def step() -> None:
        optimizer.zero_grad()
        cross_entropy(model(*inputs), labels).backward()
        optimizer.step()

    return step


def median_seconds(steps: list[Callable[[], None]], repeats: int) -> list[float]:
    """Median duration of each of several functions, called in turns."""
    durations: list[list[float]] = [[] for _ in steps]
    for repeat in range(WARM_UP_STEPS + repeats):
        for step, record in zip(steps, durations, strict=True):
            start = time.perf_counter()
            step()
            if repeat >= WARM_UP_STEPS:
                record.append(time.perf_counter() - start)
    return [statistics.median(record) for record in durations]


def measure(name: str, repeats: int) -> dict[str, Any]:
    """Speed record of one model."""
    torch.manual_seed(0)
    model = create_model(name, num_pix=NUM_PIX).to(memory_format=torch.channels_last)
    assert isinstance(model, LensPINN)
    images = torch.rand(BATCH_SIZE, 1, NUM_PIX, NUM_PIX)
    images = images.contiguous(memory_format=torch.channels_last)
    scaled = min_max(images)
    full = training_step(model, (images,))
    passes = training_step(
        CNNPasses(model), (torch.cat([scaled, scaled.flip(0)]), model.preprocess(images))
    )
    ours, reference = median_seconds([full, passes], repeats)
    return {
        "what": f"{name}: training step",
        "size": f"batch {BATCH_SIZE}, {NUM_PIX} x {NUM_PIX} pixels",
        "device": f"cpu, {torch.get_num_threads()} threads",
        "ours_per_s": round(BATCH_SIZE / ours, 1),
        "reference": "its CNN passes, head, backward and AdamW alone",
        "reference_per_s": round(BATCH_SIZE / reference, 1),
        "ratio": round(reference / ours, 4),
        "max_difference": None,  # another computation, so there is nothing to compare
    }


def main() -> None:
    """Measure, print the table and write the record."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=40, help="steps of each kind and model")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--out", type=Path, default=OUT)
    config = parser.parse_args()
    torch.set_num_threads(config.threads)

    print(f"{'model':16}{'full step':>14}{'CNN passes':>14}{'cost':>8}   (images/s, training)")
    records = []
    for name in MODELS:
        record = measure(name, config.steps)
        records.append(record)
        cost = 1 / record["ratio"]
        print(f"{name:16}{record['ours_per_s']:>14}{record['reference_per_s']:>14}{cost:>8.2f}")
    result = {
        "schema": 1,
        "command": shlex.join(["python", "benchmarks/inverse_lens.py", *sys.argv[1:]]),
        "config": {"steps": config.steps, "threads": config.threads},
        **provenance(),
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "records": records,
    }
    config.out.parent.mkdir(parents=True, exist_ok=True)
    config.out.write_text(json.dumps(result, indent=2) + "\n")
    print(config.out)


if __name__ == "__main__":
    main()
