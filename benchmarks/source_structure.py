"""What networks that fit the lens make of sources that are no Sersic profiles.

Fresh images like those of the first run's recipe but for the source: clumpy, a Sersic profile,
or the image of a real galaxy. Each run is shown the same images and judged by its own calibration;
those with real galaxies also by one made on other real galaxies.

    lenspinn train configs/train/lenspinn_fit_survey_hst_clumpy.yaml --out runs/fit_clumpy
    lenspinn evaluate runs/fit_clumpy
    python benchmarks/source_structure.py GALAXIES runs/fit_clumpy [RUN ...]
"""

import argparse
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from result_file import write_result
from run_recipe import drawn_from, recipe_like

from lenspinn.config import to_dict
from lenspinn.evaluate.judgement import Calibration, calibrate, load_calibration
from lenspinn.evaluate.lens import EinsteinRadii, lens_metrics
from lenspinn.evaluate.metrics import classification_metrics, trust_metrics
from lenspinn.evaluate.predict import Outputs, network_outputs
from lenspinn.simulate import Recipe, get_recipe, simulate_images
from lenspinn.train import Run, load_run

NUM, SEED, COVERAGE = 600, 400, 0.9
MAGNITUDES = (22.0, 23.0, 24.0)
REAL, GALAXIES = "survey/hst_cosmos", "real galaxies"
OUT = Path(__file__).resolve().parents[1] / "results" / "survey_hst" / "source_structure.json"


@dataclass(frozen=True)
class Shown:
    """Images of one kind of source, with labels and truth."""

    source: str
    magnitude: Any
    images: np.ndarray
    labels: np.ndarray
    theta_E: np.ndarray


def recipe_of(name: str, like: Run, **changes: Any) -> Recipe:
    """Return a recipe with what it has a use for of a run's own, lenses too, and others."""
    own, overrides = drawn_from(like)
    if name == own:
        return recipe_like(like, **changes)
    kept = {k: value for k, value in overrides.items() if not k.startswith("source.clumps")}
    return replace(get_recipe(name, **kept | changes), lens=recipe_like(like).lens)


def draw(source: str, recipe: Recipe, seed: int) -> Shown:
    """Simulate images of a recipe."""
    images, labels, truth = simulate_images(recipe, NUM, seed)
    magnitude = recipe.to_dict()["source"]["magnitude"]
    return Shown(source, magnitude, images, labels, truth["theta_E"])


def all_shown(like: Run, galaxies: Path) -> list[Shown]:
    """Return all kinds of images, those that only calibrate last."""
    real = {"source.galaxies": str(galaxies)}
    shown = [
        draw("clumpy", recipe_like(like), SEED),
        draw("Sersic", recipe_of("survey/hst", like, supersampling=2), SEED),
    ]
    for magnitude in MAGNITUDES:
        changes = real | {"source.magnitude": magnitude}
        shown.append(draw(GALAXIES, recipe_of(REAL, like, **changes), SEED))
    for part, seed in (("validation", SEED), ("test", SEED), ("train", SEED + 1)):
        changes = real | {"source.part": part}
        shown.append(draw(f"{GALAXIES}, {part}", recipe_of(REAL, like, **changes), seed))
    return shown


def record(run: Run, by: Calibration, on: str, shown: Shown, outputs: Outputs) -> dict[str, Any]:
    """Score the answers of one run to one kind of image."""
    judgement, classes = by.judge(outputs, COVERAGE), run.model.classes
    scores = classification_metrics(judgement.probabilities, shown.labels, classes, seed=SEED)
    trust = trust_metrics(
        judgement.probabilities, judgement.possible, judgement.refused, shown.labels, classes
    )
    assert outputs.theta_E is not None  # LensFit measures it
    assert outputs.theta_E_error is not None
    radii = EinsteinRadii(
        theta_E=outputs.theta_E.astype(np.float64),
        standard_error=outputs.theta_E_error.astype(np.float64),
        truth=shown.theta_E,
    )
    answered = ~judgement.refused
    right = judgement.probabilities.argmax(axis=1) == shown.labels
    return {
        "run": run.folder.name,
        "source_structure": run.config.model.options.get("source_structure", False),
        "source": shown.source,
        "magnitude": shown.magnitude,
        "calibrated_on": on,
        "n": len(shown.labels),
        "median_chi2": float(np.median(outputs.scores["chi2"])),
        "accuracy_of_answered": float(right[answered].mean()) if answered.any() else None,
        **scores,
        **trust,
        **lens_metrics(radii, shown.labels, classes, seed=SEED),
    }


def measure(run: Run, shown: list[Shown]) -> list[dict[str, Any]]:
    """Score one run on all images."""
    own = load_calibration(run.folder)
    if own is None:
        sys.exit(f"{run.folder} is not calibrated: lenspinn evaluate {run.folder}")
    outputs = [network_outputs(run.model, each.images) for each in shown]
    other = calibrate(
        outputs[-1], shown[-1].labels, run.model.classes, coverage=COVERAGE, seed=SEED
    )
    records = []
    for each, found in zip(shown[:-1], outputs[:-1], strict=True):
        judges = {"own images": own}
        if each.source.startswith(f"{GALAXIES}, "):
            judges[shown[-1].source] = other
        for on, by in judges.items():
            row = record(run, by, on, each, found)
            keys = ("accuracy", "set_coverage", "set_size", "refused", "theta_E_error_no_sub")
            print(run.folder.name, each.source, each.magnitude, on, end="  ")
            print(*(f"{row[key]:.3f}" for key in keys), flush=True)
            records.append(row)
    return records


def main() -> None:
    """Measure all runs, print a line for each kind of image, and write the record."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("galaxies", type=Path, help="folder for survey/hst_cosmos")
    parser.add_argument("runs", type=Path, nargs="+")
    parser.add_argument("--out", type=Path, default=OUT)
    config = parser.parse_args()
    runs = [load_run(folder) for folder in config.runs]
    shown = all_shown(runs[0], config.galaxies)
    write_result(
        config.out,
        {
            "configs": {run.folder.name: to_dict(run.config) for run in runs},
            "num": NUM,
            "seed": SEED,
            "records": [row for run in runs for row in measure(run, shown)],
        },
    )


if __name__ == "__main__":
    main()
