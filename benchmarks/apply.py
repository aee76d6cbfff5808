"""How long `lenspinn apply` takes for a telescope image, against an older version of the code.

The older version is a checkout of its own: `git worktree add FOLDER COMMIT`. Each image is answered
by both, one after the other, each time by a fresh process with one thread, so that whatever else
the machine does slows both alike. Processor time counts, which hardly depends on that; a profiler
says where it goes, and slows both. Imports and the first reading of the run are counted apart.

Beside that stands how much the probabilities of the network changed: those of the telescope images,
and those of images like the run's own, which both versions classify as they are.

    python benchmarks/apply.py models/lenspinn_fit_hst --before FOLDER \
        --lenses ../shared/data/hst_slacs63/J0008-0004 ...
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from result_file import write_result

REPOSITORY = Path(__file__).resolve().parents[1]
NUM, SEED = 200, 700
OUT = REPOSITORY / "results" / "benchmarks" / "apply.json"
PARTS = {
    "find_arcs": "lens light and ring",
    "fit_arcs": "fit in the image as it is",
    "without_light": "lens light of the whole frame",
    "fit_smooth_lens": "Sersic fits of the network",
    "fit_structure": "structured fits of the network",
    "save_figure": "picture",
}
"""Functions that both versions have, and what is done in them. `fit_arcs` calls `fit_smooth_lens`
of its own, which is not counted as the network's."""

APPLY = """
import cProfile, json, pstats, sys, time
from pathlib import Path
import torch
torch.set_num_threads(1)
from lenspinn import apply_model
from lenspinn.train import load_run
lens, model, out, parts = Path(sys.argv[1]), Path(sys.argv[2]), Path(sys.argv[3]), sys.argv[4:]
load_run(model)
import lenspinn.apply.run, lenspinn.apply.picture, captum.attr
imported = time.process_time()
profile = cProfile.Profile(time.process_time)
profile.enable()
(answer,) = apply_model([lens], model=model, out=out, progress=False)
profile.disable()
total = time.process_time() - imported
of_network = {"fit_smooth_lens", "fit_structure"}
seconds, calls = dict.fromkeys(parts, 0.0), dict.fromkeys(parts, 0)
for (file, _, name), (_, _, _, _, callers) in pstats.Stats(profile).stats.items():
    for (caller, _, _), (number, _, _, cumulative) in callers.items():
        if name in parts and (name not in of_network or caller.endswith("models/lens_fit.py")):
            seconds[name] += cumulative
            calls[name] += number
print(json.dumps({"imports": imported, "seconds": total, "parts": seconds, "calls": calls,
                  "probabilities": list(answer.probabilities.values())}))
"""
PREDICT = """
import sys
from pathlib import Path
import numpy as np
import torch
torch.set_num_threads(1)
from lenspinn.evaluate.predict import network_outputs
from lenspinn.models import lens_fit
from lenspinn.train import load_run
lens_fit.compiled_or_eager = lambda function: function  # whose rounding differs
model = load_run(Path(sys.argv[1])).model
outputs = network_outputs(model, np.load(sys.argv[2]))
np.save(sys.argv[3], torch.softmax(torch.from_numpy(outputs.logits), dim=1).numpy())
"""


def run(tree: Path, script: str, *words: str | Path) -> str:
    """Run a script with the package of a checkout, and return what it printed."""
    environment = os.environ | {"PYTHONPATH": str(tree / "src"), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-c", script, *map(str, words)]
    done = subprocess.run(command, check=True, env=environment, stdout=subprocess.PIPE, text=True)
    return done.stdout


def answer(tree: Path, lens: Path, model: Path) -> dict[str, Any]:
    """Apply a network to a lens, and return processor seconds and probabilities."""
    with tempfile.TemporaryDirectory() as out:
        printed = run(tree, APPLY, lens, model, out, *PARTS)
    found: dict[str, Any] = json.loads(printed.splitlines()[-1])
    return found


def change_of_probabilities(before: Path, model: Path) -> dict[str, Any]:
    """Classify images like those of a run with both versions."""
    from run_recipe import recipe_like

    from lenspinn.simulate import simulate_images
    from lenspinn.train import load_run

    recipe = recipe_like(load_run(model))
    images, labels, _ = simulate_images(recipe, NUM, SEED)
    with tempfile.TemporaryDirectory() as scratch:
        path = Path(scratch) / "images.npy"
        np.save(path, images)
        found = []
        for name, tree in (("before", before), ("now", REPOSITORY)):
            run(tree, PREDICT, model, path, Path(scratch) / f"{name}.npy")
            found.append(np.load(Path(scratch) / f"{name}.npy"))
    change = np.abs(found[1] - found[0]).max(axis=1)
    return {
        "recipe": recipe.name,
        "num": NUM,
        "seed": SEED,
        "largest_change": float(change.max()),
        "median_change": float(np.median(change)),
        "same_class": int((found[0].argmax(axis=1) == found[1].argmax(axis=1)).sum()),
        "accuracy": [float((each.argmax(axis=1) == labels).mean()) for each in found],
    }


def main() -> None:
    """Measure, print and write the result."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", type=Path)
    parser.add_argument("--before", type=Path, required=True)
    parser.add_argument("--lenses", type=Path, nargs="+", required=True)
    parser.add_argument("--out", type=Path, default=OUT)
    config = parser.parse_args()
    commit = subprocess.run(
        ["git", "rev-parse", "HEAD"], check=True, cwd=config.before, capture_output=True, text=True
    ).stdout.strip()
    images = change_of_probabilities(config.before, config.model)
    print(images, flush=True)
    records: list[dict[str, Any]] = []
    for lens in config.lenses:
        before, now = (answer(tree, lens, config.model) for tree in (config.before, REPOSITORY))
        pairs = zip(before["probabilities"], now["probabilities"], strict=True)
        records.append(
            {
                "lens": lens.name,
                "ratio": round(before["seconds"] / now["seconds"], 3),
                "largest_change": max(abs(one - other) for one, other in pairs),
                "before": before,
                "now": now,
            }
        )
        print(records[-1], flush=True)
        ratio = statistics.median(record["ratio"] for record in records)
        about = {"before": commit, "parts": PARTS, "median_ratio": ratio, "images": images}
        write_result(config.out, about | {"records": records})


if __name__ == "__main__":
    main()
