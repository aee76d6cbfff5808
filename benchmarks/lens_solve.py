"""What answering an image costs, beside another version of this package.

Images like those that a run was trained on are fitted, scanned and classified by both versions in
turn, a few at a time on one thread, so that other work on the machine slows both. The time is the
least of all turns, of the processor. Chi^2 and probabilities are compared one by one.

    git archive COMMIT src | tar -x --one-top-level=OTHER
    python benchmarks/lens_solve.py RUN OTHER/src [--images 200] [--timed 16] [--turns 5]
"""

import argparse
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from result_file import write_result
from run_recipe import recipe_like

from lenspinn.models import LensFit
from lenspinn.simulate import simulate_images
from lenspinn.train import load_run

SEED = 500
OUT = Path(__file__).resolve().parents[1] / "results" / "benchmarks" / "lens_solve.json"


def work(run: Path, images: Path) -> None:
    """Answer the images whose numbers come in, line by line."""
    torch.set_num_threads(1)
    model = load_run(run).model
    assert isinstance(model, LensFit)
    pixels = torch.from_numpy(np.load(images))
    for line in sys.stdin:
        first, last, timed = map(int, line.split())
        if timed:
            begin = time.process_time()
            with torch.inference_mode():
                model(pixels[first:last])
            answer: dict[str, Any] = {"s": time.process_time() - begin}
        else:
            with torch.inference_mode():
                probabilities = model(pixels[first:last]).softmax(dim=1)
                chi2 = model.reconstruct(pixels[first:last]).chi2
            answer = {"probabilities": probabilities.tolist(), "chi2": chi2.tolist()}
        print(json.dumps(answer), flush=True)


class Worker:
    """One version of the package in a process of its own."""

    def __init__(self, source: Path, run: Path, images: Path) -> None:
        command = [sys.executable, __file__, str(run), str(source), "--work", str(images)]
        environment = os.environ | {"PYTHONPATH": str(source), "OMP_NUM_THREADS": "1"}
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
        )

    def answer(self, first: int, last: int, *, timed: bool) -> dict[str, Any]:
        """Answer some images."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        print(first, last, int(timed), file=self.process.stdin, flush=True)
        return json.loads(self.process.stdout.readline())


def main() -> None:
    """Measure, print and write the result."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("run", type=Path)
    parser.add_argument("other", type=Path)
    parser.add_argument("--images", type=int, default=200)
    parser.add_argument("--batch", type=int, default=40)
    parser.add_argument("--timed", type=int, default=16)
    parser.add_argument("--turns", type=int, default=5)
    parser.add_argument("--out", type=Path, default=OUT)
    parser.add_argument("--work", type=Path)
    config = parser.parse_args()
    if config.work is not None:
        work(config.run, config.work)
        return
    stored = config.out.with_suffix(".npy")
    if not stored.exists():
        recipe = recipe_like(load_run(config.run))
        np.save(stored, simulate_images(recipe, config.images, SEED)[0])
    ours = Path(__file__).resolve().parents[1] / "src"
    workers = {
        name: Worker(source, config.run, stored)
        for name, source in (("before", config.other.resolve()), ("now", ours))
    }
    turns = []
    for _ in range(config.turns + 1):
        turns.append({n: w.answer(0, config.timed, timed=True)["s"] for n, w in workers.items()})
        print({n: round(s / config.timed * 1e3, 1) for n, s in turns[-1].items()}, flush=True)
    ms = {n: round(1e3 * min(turn[n] for turn in turns[1:]) / config.timed, 2) for n in workers}
    answers: dict[str, list[dict[str, Any]]] = {name: [] for name in workers}
    for first in range(0, config.images, config.batch):
        last = min(first + config.batch, config.images)
        for name, worker in workers.items():
            answers[name].append(worker.answer(first, last, timed=False))
    probabilities, chi2 = (
        {name: np.concatenate([part[of] for part in got]) for name, got in answers.items()}
        for of in ("probabilities", "chi2")
    )
    by_chi2 = np.abs(chi2["now"] - chi2["before"])
    apart = np.abs(probabilities["now"] - probabilities["before"]).max(axis=1)
    record = {
        "n_images": config.images,
        "seed": SEED,
        "n_timed": config.timed,
        "turns": config.turns,
        "ms_an_image": ms,
        "chi2_per_freedom_difference": {
            "median": float(np.median(by_chi2)),
            "p95": float(np.quantile(by_chi2, 0.95)),
            "max": float(by_chi2.max()),
        },
        "probability_difference": {
            "median": float(np.median(apart)),
            "p95": float(np.quantile(apart, 0.95)),
            "max": float(apart.max()),
            "above_1e-3": int((apart > 1e-3).sum()),
        },
    }
    print(record)
    write_result(config.out, record, schema=1)


if __name__ == "__main__":
    main()
