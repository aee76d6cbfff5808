"""Which way of combining the scores of a calibrated network refuses more of what is changed.

The scores of an image are ranked among calibration images, and the ranks are made one number: the
smallest of them, Fisher's sum of logarithms, Cauchy's sum, Stouffer's sum, or the better of the
first two. Each is ranked once more, so that all refuse one in twenty images like those of
calibration. Changed are one thing each: the place of the lens, the PSF, the noise, the slopes.

    python benchmarks/combined_scores.py models/lenspinn_fit_hst
"""

import argparse
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from result_file import write_result
from run_recipe import recipe_like
from scipy.stats import norm

from lenspinn.evaluate.conformal import p_values
from lenspinn.evaluate.judgement import FALSE_ALARMS, load_calibration
from lenspinn.evaluate.predict import network_outputs
from lenspinn.evaluate.shift import LENS
from lenspinn.simulate import simulate_images
from lenspinn.train import load_run

NUM, SEED = 64, 300
CHANGES: dict[str, dict[str, Any]] = {
    "lens 0.4 arcsec beside the middle": {"lens.center_x": 0.3, "lens.center_y": -0.27},
    "PSF x 1.33": {"instrument.psf_fwhm": 0.16},
    "noise x 1.41": {"instrument.exposure_time": 2700.0},
    "slopes of 2.0 +- 0.32": {"lens.gamma": {"normal": [2.0, 0.32]}},
}
COMBINED: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "smallest": lambda p: p.min(axis=0),
    "fisher": lambda p: np.log(p).sum(axis=0),
    "cauchy": lambda p: -np.tan((0.5 - p) * np.pi).sum(axis=0),
    "stouffer": lambda p: norm.ppf(p).sum(axis=0),
}
"""Low for images unlike those of calibration."""
OUT = Path(__file__).resolve().parents[1] / "results" / "trust" / "combined_scores.json"


def refused(own: np.ndarray, new: np.ndarray) -> dict[str, np.ndarray]:
    """Return which new images each combination refuses, by p-values (scores, images)."""
    combined = {name: (combine(own), combine(new)) for name, combine in COMBINED.items()}
    lowest, fisher = (
        [p_values(-old, -old), p_values(-old, -there)]
        for old, there in (combined["smallest"], combined["fisher"])
    )
    combined["smallest or fisher"] = (
        np.minimum(lowest[0], fisher[0]),
        np.minimum(lowest[1], fisher[1]),
    )
    return {name: p_values(-old, -there) <= FALSE_ALARMS for name, (old, there) in combined.items()}


def own_ranks(ranked: np.ndarray) -> np.ndarray:
    """Return the p-value of each calibration image among the others."""
    ranks: np.ndarray = (p_values(ranked, ranked) * (len(ranked) + 1) - 1) / len(ranked)
    return ranks


def main() -> None:
    """Measure, print the table and write the record."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("run", type=Path)
    parser.add_argument("--out", type=Path, default=OUT)
    arguments = parser.parse_args()
    run, calibration = load_run(arguments.run), load_calibration(arguments.run)
    if calibration is None:
        sys.exit(f"{arguments.run} is not calibrated: lenspinn evaluate {arguments.run}")
    reference = calibration.reference
    own = np.array([own_ranks(ranked) for ranked in reference.ranked.values()])
    records = []
    for what, changes in CHANGES.items():
        images, labels, _ = simulate_images(recipe_like(run, **changes), NUM, SEED)
        outputs = network_outputs(run.model, images)
        _, by_score = reference.p_values(outputs)
        new = np.array([by_score[name] for name in reference.ranked])
        judged = calibration.judge(outputs)
        wrong = judged.probabilities.argmax(axis=1) != labels
        record = {"what": what, "n": NUM, "wrong": float(wrong.mean())}
        for name, found in refused(own, new).items():
            record |= {name: float(found.mean()), f"{name}, wrong": float((wrong & ~found).mean())}
        rest = [row for row, name in enumerate(reference.ranked) if name != LENS]
        record["smallest, without lens"] = float(refused(own[rest], new[rest])["smallest"].mean())
        record |= {
            f"{name} alone": float((p <= FALSE_ALARMS).mean()) for name, p in by_score.items()
        }
        record["with ranges"] = float(judged.refused.mean())
        records.append(record)
        print(f"{what:36}", *(f"{record[name]:.3f}" for name in refused(own, new)), flush=True)
    write_result(arguments.out, {"config": {"num": NUM, "seed": SEED}, "records": records})


if __name__ == "__main__":
    main()
