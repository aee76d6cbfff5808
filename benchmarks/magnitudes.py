"""How near a network comes to the best classifiers, from bright sources to faint ones.

A run answers fresh images of its own recipe at each magnitude for which `lenspinn limit` measured
what can be done: by an ideal classifier, which is told the substructure of each class and must only
say which of them is there, and by one that must search for the subhalos, as a network must.

    python benchmarks/magnitudes.py RUN results/limit/survey_hst/limit.json --out results/FOLDER
"""

import argparse
import json
from pathlib import Path
from typing import Any

import torch
from matplotlib.figure import Figure
from result_file import write_result
from tqdm import tqdm

from lenspinn.config import to_dict
from lenspinn.data.limit import CLASSIFIERS, ENDS, accuracies, draw_accuracies
from lenspinn.data.style import COLORS, INK, clean_axes, draw_band
from lenspinn.evaluate.metrics import classification_metrics
from lenspinn.simulate import get_recipe, simulate_images
from lenspinn.train import Run, load_run

SEED = 400
RESULT, FIGURE = "magnitudes.json", "magnitudes.png"
MAGNITUDE, PREDICTED = "source.magnitude", "accuracy"


def read_limit(path: Path, recipe: str) -> dict[float, dict[str, Any]]:
    """Return a record of the limit for each magnitude; it must be that of the recipe."""
    result = json.loads(path.read_text())
    if result["config"]["recipe"] != recipe or result["config"]["overrides"]:
        raise SystemExit(f"{path} is the limit of {result['config']['recipe']}, not of {recipe}")
    return {record["magnitude"]: record for record in result["records"]}


def measure(run: Run, magnitude: float, best: dict[str, Any], num: int) -> dict[str, Any]:
    """Answer images of one magnitude, the same lenses for all."""
    recipe = get_recipe(run.config.stream.recipe, **{MAGNITUDE: magnitude})
    images, labels, _ = simulate_images(recipe, num, SEED)
    with torch.inference_mode():
        batches = torch.from_numpy(images).split(run.config.batch_size)
        logits = torch.cat([run.model(batch) for batch in batches])
    probabilities = logits.double().softmax(dim=1).numpy()
    scores = classification_metrics(probabilities, labels, run.model.classes, seed=SEED)
    kept = [f"{name}{end}" for name in (PREDICTED, "ece") for end in ENDS]
    return {
        "magnitude": magnitude,
        "n": num,
        **{name: scores[name] for name in kept},
        **{name: value for name, value in best.items() if name.startswith(tuple(CLASSIFIERS))},
        "confusion": scores["confusion"],
    }


def picture(records: list[dict[str, Any]], recipe: str) -> Figure:
    """Draw the accuracies against magnitude."""
    figure = Figure(figsize=(6.0, 4.0), layout="constrained")
    axes = figure.subplots()
    magnitudes = [record["magnitude"] for record in records]
    draw_accuracies(axes, {record["magnitude"]: accuracies(record) for record in records})
    network = ([record[f"{PREDICTED}{end}"] for record in records] for end in ENDS)
    draw_band(axes, magnitudes, *network, label="network", color=COLORS[1])
    axes.axhline(1 / len(records[0]["confusion"]), color="0.6", lw=0.8, ls="--", label="guessing")
    axes.set(xlabel="magnitude of the unlensed source (AB)", ylabel="accuracy", ylim=(0.3, 1.01))
    axes.set_title(f"{recipe} · {records[0]['n']} images each", fontsize=10, color=INK)
    axes.legend(fontsize=8, frameon=False, loc="upper right")
    clean_axes(axes)
    return figure


def main() -> None:
    """Measure, print and write the result."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("run", type=Path)
    parser.add_argument("limit", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--num", type=int, default=3000)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    run = load_run(arguments.run)
    recipe = run.config.stream.recipe
    limit = read_limit(arguments.limit, recipe)
    records = [
        measure(run, magnitude, best, arguments.num)
        for magnitude, best in tqdm(sorted(limit.items()), unit=" magnitudes")
    ]
    for record in records:
        print({name: value for name, value in record.items() if name != "confusion"})
    write_result(
        arguments.out / RESULT,
        {
            "config": {"seed": SEED, "training": to_dict(run.config)},
            "trained_with": run.provenance,
            "records": records,
        },
        schema=2,
    )
    picture(records, recipe).savefig(arguments.out / FIGURE, dpi=150)


if __name__ == "__main__":
    main()
