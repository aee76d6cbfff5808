"""Whether `lenspinn_fit` learns to measure Einstein radii from images that nobody has labelled.

Its encoder begins at random and sees fresh images of all classes of a recipe, with neither class
nor truth. It is trained by its error against the fit that began where it guessed, weighted by how
well that fit explains the image; nothing else. At some numbers of images its guess, and the fit
from there, are compared with the truth of held-out images, which choose nothing: the weights of the
last step count. Beside them, the fit from the untrained encoder and the fit from the truth.

Where a vortex bends the light too, the smooth lens that fits best has another radius than the halo
alone. So errors are given against the truth and against the fit from the truth.

    python benchmarks/self_consistency.py --work FOLDER [--seed 0]

A second call with the same folder goes on where the first one ended.
"""

import argparse
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import torch
from result_file import write_result
from torch import Tensor
from torch.nn.functional import pad

from lenspinn.data.datamodule import Batch
from lenspinn.data.style import COLORS, clean_axes
from lenspinn.evaluate.lens import EinsteinRadii, lens_metrics
from lenspinn.models import LensFit, NetworkInput, create_model
from lenspinn.models.lens_guess import encoder_loss, true_parameters
from lenspinn.simulate import SceneStream, get_recipe

RECIPE = "survey/hst"
BATCH_SIZE = 64
STEPS = 384
SCORED_AFTER = (0, 24, 48, 96, 192, 384)
"""Steps."""
LR, WARMUP = 2e-3, 0.1
"""As in configs/train/lenspinn_fit_survey_hst.yaml."""
HELD_OUT_BATCHES, HELD_OUT_SEED = 48, 10**6
"""Each batch has 21 images of a class or more."""
ASKED = 0.03
OUT = Path(__file__).resolve().parents[1] / "results" / "self_consistency"

Start = Callable[[Tensor, dict[str, Tensor]], Tensor]


def answer(model: LensFit, batches: list[Batch], start: Start) -> dict[str, np.ndarray]:
    """Return the Einstein radii of starts and of the fits from them, with standard errors."""
    model.eval()
    rows = []
    with torch.inference_mode():
        for image, _, truth in batches:
            begun = start(image, truth)
            fit = model.fit(NetworkInput(image, start=begun))
            rows.append(torch.stack([begun[:, 0], fit.parameters[:, 0], fit.standard_errors[:, 0]]))
    columns = torch.cat(rows, dim=1).double().numpy()
    return dict(zip(("start", "fit", "standard_error"), columns, strict=True))


def score(
    radii: np.ndarray, standard_error: np.ndarray, against: np.ndarray, labels: np.ndarray
) -> dict[str, Any]:
    """Median errors and outliers, by class, with intervals."""
    classes = get_recipe(RECIPE).classes
    found = EinsteinRadii(theta_E=radii, standard_error=standard_error, truth=against)
    return lens_metrics(found, labels, classes)


def scores(
    what: str, found: dict[str, np.ndarray], truth: np.ndarray, best: np.ndarray, labels: np.ndarray
) -> list[dict[str, Any]]:
    """Return the records of a start and of the fits from it."""
    records = []
    for part in ("start", "fit"):
        for name, against in (("the truth", truth), ("the fit from the truth", best)):
            metrics = score(found[part], found["standard_error"], against, labels)
            if part == "start" or against is best:  # intervals are those of a fit, for the truth
                metrics = {key: value for key, value in metrics.items() if "coverage" not in key}
            records.append({"what": what, "part": part, "against": name, **metrics})
    return records


def train(
    model: LensFit, seed: int, checkpoint: Path, measure: Callable[[], list[dict[str, Any]]]
) -> tuple[list[dict[str, Any]], float]:
    """Train the encoder without labels; return what was measured on the way, and CPU seconds."""
    stream = SceneStream(get_recipe(RECIPE), device="cpu")
    generator = torch.Generator().manual_seed(seed)
    parameters = [*model.encoder.parameters(), *model.readout.parameters()]
    optimizer = torch.optim.AdamW(parameters, lr=LR)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, LR, STEPS, pct_start=WARMUP)
    states = {"model": model, "optimizer": optimizer, "schedule": schedule}
    unknown = dict.fromkeys(model.truth_keys, torch.full((BATCH_SIZE,), torch.nan))
    step, seconds, records = 0, 0.0, []
    if checkpoint.exists():
        saved = torch.load(checkpoint, weights_only=True)
        step, seconds, records = saved["step"], saved["seconds"], saved["records"]
        generator.set_state(saved["generator"])
        for name, part in states.items():
            part.load_state_dict(saved[name])
    while True:
        seen = step * BATCH_SIZE
        if step in SCORED_AFTER and all(record["images_seen"] != seen for record in records):
            records += [{"images_seen": seen, **record} for record in measure()]
            print(seen, *(f"{r['part']} {r['theta_E_error']:.4f}" for r in records[-4:]))
            content = {name: part.state_dict() for name, part in states.items()}
            content |= {"step": step, "seconds": seconds, "records": records}
            torch.save(content | {"generator": generator.get_state()}, checkpoint)
        if step == STEPS:
            return records, seconds
        clock = time.process_time()
        image, _ = stream.sample(BATCH_SIZE, generator)
        start = model.train().predict_parameters(image)
        optimizer.zero_grad()
        encoder_loss(start, model.fit(NetworkInput(image, start=start)), unknown).backward()
        optimizer.step()
        schedule.step()
        step, seconds = step + 1, seconds + time.process_time() - clock


def draw(records: list[dict[str, Any]], path: Path) -> None:
    """Median errors against the number of images."""
    mpl.use("Agg")
    from matplotlib import pyplot as plt

    figure, panels = plt.subplots(1, 2, figsize=(8, 3.4), sharey=True, layout="constrained")
    for axes, part, title in zip(
        panels, ("start", "fit"), ("encoder alone", "fit from there"), strict=True
    ):
        chosen = [r for r in records if r["part"] == part and "images_seen" in r]
        for name, color in zip(get_recipe(RECIPE).classes, COLORS, strict=False):
            for against, dashes in (("the truth", "-"), ("the fit from the truth", ":")):
                rows = [r for r in chosen if r["against"] == against]
                key = f"theta_E_error_{name}"
                axes.plot(
                    [r["images_seen"] for r in rows],
                    [r[key] for r in rows],
                    dashes,
                    color=color,
                    marker="o",
                    ms=3,
                    label=f"{name}, against {against}",
                )
        axes.axhline(ASKED, color="0.5", lw=1)
        axes.set(yscale="log", xlabel="images seen, none labelled", title=title)
        axes.set_xscale("symlog", linthresh=BATCH_SIZE * SCORED_AFTER[1])
        clean_axes(axes)
    panels[0].set_ylabel("median error of theta_E, relative")
    panels[0].legend(fontsize=6)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=150)


def main() -> None:
    """Train, score, print and write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    arguments.work.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(arguments.seed)
    model = create_model("lenspinn_fit")
    assert isinstance(model, LensFit)
    stream = SceneStream(get_recipe(RECIPE), device="cpu")
    generator = torch.Generator().manual_seed(HELD_OUT_SEED)
    batches = [
        stream.sample(BATCH_SIZE, generator, model.truth_keys) for _ in range(HELD_OUT_BATCHES)
    ]
    labels = torch.cat([batch[1] for batch in batches]).numpy()
    truth = torch.cat([batch[2]["theta_E"] for batch in batches]).double().numpy()
    found = answer(model, batches, lambda _, known: pad(true_parameters(known), (0, 1)))
    best = found["fit"]

    def measure() -> list[dict[str, Any]]:
        now = answer(model, batches, lambda image, _: model.predict_parameters(image))
        return scores("encoder", now, truth, best, labels)

    checkpoint = arguments.work / f"seed_{arguments.seed}.pt"
    records, seconds = train(model, arguments.seed, checkpoint, measure)
    draw(records, OUT / "survey_hst.png")
    # Of the fit from the truth, against the truth: all else is 0.
    records.append(scores("truth", found, truth, best, labels)[2])
    numbers = np.bincount(labels).tolist()
    write_result(
        OUT / "survey_hst.json",
        {
            "config": {
                "recipe": RECIPE,
                "seed": arguments.seed,
                "batch_size": BATCH_SIZE,
                "steps": STEPS,
                "lr": LR,
                "held_out": dict(zip(get_recipe(RECIPE).classes, numbers, strict=True)),
            },
            "cpu_seconds_of_training": round(seconds, 1),
            "records": records,
        },
    )


if __name__ == "__main__":
    main()
