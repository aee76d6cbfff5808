"""Training speed of every model, and what the physics of a LensPINN costs.

A step is a forward pass, the classification loss, the backward pass and an AdamW step on 64 images
of 64 x 64 pixels. It starts from images: preprocessing belongs to it. A LensPINN is measured beside

- its floor: the CNNs and the head alone, on inputs made beforehand (128 images for the shared CNN,
  64 for the second);
- itself with the inverse-lens layer written as a loop over images with an integer scatter, as the
  authors' code has it. As there, the transformer gets no gradient, which spares the backward passes
  to it and through it: beside ours with a frozen transformer, the layers do equal work.

The sides of a comparison take turns, so that whatever else the machine does slows all alike; times
are medians. A GPU, where there is one, is measured too: in float32, under bfloat16 autocast, and
compiled as well.

    python benchmarks/train.py [--steps 20] [--threads 1]
"""

import argparse
import copy
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import torch
from result_file import write_result
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from lenspinn.data.transforms import min_max
from lenspinn.lensing import SourceImage
from lenspinn.models import InverseLens, LensPINN, create_model, list_models

BATCH_SIZE = 64
NUM_PIX = 64
WARM_UP_STEPS = 3
FLOOR = "its CNN passes, head, backward and AdamW alone"
LOOP = "its inverse-lens layer as a loop over images"
FROZEN = "encoder frozen"
OUT = Path(__file__).resolve().parents[1] / "results" / "benchmarks" / "train.json"

Step = Callable[[], None]


class Setting(NamedTuple):
    """Where and how steps are computed."""

    device: str
    bfloat16: bool = False
    compiled: bool = False

    def __str__(self) -> str:
        if self.device == "cpu":
            name = f"cpu, {torch.get_num_threads()} threads"
        else:
            name = f"{torch.cuda.get_device_name()}, {'bfloat16' if self.bfloat16 else 'float32'}"
        return f"{name}, compiled" if self.compiled else name


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


class LoopedInverseLens(InverseLens):
    """Each image on its own: its rays, rounded to source pixels that sum what falls on them."""

    def forward(self, image: Tensor, theta_E: Tensor) -> SourceImage:
        """Source and number of pixels deposited, (batch, y, x) each."""
        sources, counts = [], []
        for pixels, radius in zip(image, theta_E, strict=True):
            rays = self.rays(radius[None])
            column, row = (
                (beta[0] / self.pixel_scale + len(pixels) / 2).clamp(0, len(pixels) - 1).long()
                for beta in (rays.beta_x, rays.beta_y)
            )
            index = (row * len(pixels) + column).flatten()
            empty = torch.zeros_like(pixels).flatten()
            sources.append(empty.scatter_add(0, index, pixels.flatten()).view_as(pixels))
            counts.append(torch.bincount(index, minlength=len(empty)).view_as(pixels))
        return SourceImage(torch.stack(sources), torch.stack(counts))


def training_step(model: nn.Module, inputs: tuple[Tensor, ...], setting: Setting) -> Step:
    """Build a function that trains a model for one step."""
    labels = torch.arange(BATCH_SIZE, device=setting.device) % 3
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4, fused=True)
    forward = torch.compile(model) if setting.compiled else model

    def step() -> None:
        optimizer.zero_grad()
        with torch.autocast(setting.device, torch.bfloat16, enabled=setting.bfloat16):
            logits = forward(*inputs)
        cross_entropy(logits.float(), labels).backward()
        optimizer.step()
        if setting.device == "cuda":
            torch.cuda.synchronize()

    return step


def median_seconds(steps: list[Step], repeats: int) -> list[float]:
    """Median duration of each of several functions, called in turns."""
    durations: list[list[float]] = [[] for _ in steps]
    for repeat in range(WARM_UP_STEPS + repeats):
        for step, record in zip(steps, durations, strict=True):
            start = time.perf_counter()
            step()
            if repeat >= WARM_UP_STEPS:
                record.append(time.perf_counter() - start)
    return [statistics.median(record) for record in durations]


def lenspinn_steps(model: LensPINN, images: Tensor, setting: Setting) -> dict[str, Step]:
    """Build the steps a LensPINN is measured beside, each on a copy of its networks."""
    scaled = min_max(images)
    inputs = torch.cat([scaled, scaled.flip(0)]), model.preprocess(images)
    looped, frozen = copy.deepcopy(model), copy.deepcopy(model)
    looped.inverse_lens = LoopedInverseLens(NUM_PIX, model.pixel_scale).to(setting.device)
    frozen.encoder.requires_grad_(False)
    return {
        FLOOR: training_step(CNNPasses(copy.deepcopy(model)), inputs, setting),
        LOOP: training_step(looped, (images,), setting),
        FROZEN: training_step(frozen, (images,), setting),
    }


def measure(name: str, setting: Setting, repeats: int) -> list[dict[str, Any]]:
    """Speed records of one model: one for each comparison, or one without."""
    torch.manual_seed(0)
    torch.compiler.reset()
    model = create_model(name, num_pix=NUM_PIX)
    model = model.to(setting.device, memory_format=torch.channels_last)
    images = torch.rand(BATCH_SIZE, 1, NUM_PIX, NUM_PIX).to(setting.device)
    steps = {name: training_step(model, (images,), setting)}
    pairs = [(name, "")]
    if isinstance(model, LensPINN):
        steps |= lenspinn_steps(model, images, setting)
        pairs = [(name, FLOOR), (name, LOOP), (FROZEN, LOOP)]
    seconds = dict(zip(steps, median_seconds(list(steps.values()), repeats), strict=True))
    return [
        {
            "what": f"{name}{f', {FROZEN}' if ours == FROZEN else ''}: training step",
            "size": f"batch {BATCH_SIZE}, {NUM_PIX} x {NUM_PIX} pixels",
            "device": str(setting),
            "ours_per_s": round(BATCH_SIZE / seconds[ours], 1),
            "reference": reference or None,
            "reference_per_s": round(BATCH_SIZE / seconds[reference], 1) if reference else None,
            "ratio": round(seconds[reference] / seconds[ours], 4) if reference else None,
            "max_difference": None,  # another computation, so there is nothing to compare
        }
        for ours, reference in pairs
    ]


def settings() -> list[Setting]:
    """List what this machine can measure."""
    found = [Setting("cpu")]
    if torch.cuda.is_available():
        found += [Setting("cuda", *how) for how in ((False,), (True,), (True, True))]
    return found


def main() -> None:
    """Measure, print the table and write the records."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=20, help="steps of each kind and model")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--out", type=Path, default=OUT)
    config = parser.parse_args()
    torch.set_num_threads(config.threads)

    records = []
    for setting in settings():
        print(f"{setting}: images/s in training, and times as fast as")
        for name in list_models():
            for record in measure(name, setting, config.steps):
                records.append(record)
                line = f"  {record['what']:46}{record['ours_per_s']:>9}"
                if record["reference"]:
                    line += f"{record['ratio']:7.2f} x {record['reference']}"
                print(line, flush=True)
    not_run = [] if torch.cuda.is_available() else ["cuda: no GPU was at hand"]
    print("not run:", *not_run or ["nothing"])
    write_result(
        config.out,
        {
            "config": {"steps": config.steps, "threads": config.threads},
            "not_run": not_run,
            "records": records,
        },
    )


if __name__ == "__main__":
    main()
