"""Which changes of its images a calibrated network refuses, and what they would have cost it.

Each change is simulated like the run's own recipe but for one thing: noise, PSF, pixel scale, how
bright sources are, whether they are real galaxies, the slope of the lens or its multipoles. Images
of another pixel scale come twice, as `lenspinn apply` resamples them and as if their header were
wrong. Lenses that vary already come as plain ellipsoids, and with slopes that vary more.

    lenspinn train configs/train/lenspinn_small_stream_hst_shallow.yaml --out runs/trust
    lenspinn evaluate runs/trust
    python benchmarks/trust.py runs/trust GALAXIES
"""

import argparse
import dataclasses
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from result_file import write_result
from run_recipe import recipe_like
from source_structure import REAL, recipe_of

from lenspinn.config import to_dict
from lenspinn.data.transforms import resample
from lenspinn.evaluate.judgement import FALSE_ALARMS, Calibration, load_calibration
from lenspinn.evaluate.metrics import trust_metrics
from lenspinn.evaluate.predict import network_outputs
from lenspinn.simulate import Normal, Recipe, get_recipe, simulate_images
from lenspinn.simulate.priors import LensPrior
from lenspinn.train import Run, load_run

NUM, SEED = 600, 300
WIDE_SLOPES = Normal(2.0, 0.32)
"""Of lenses, where those of the run scatter by half as much."""
OUT = Path(__file__).resolve().parents[1] / "results" / "trust" / "shifts.json"


def changed_recipes(run: Run, galaxies: Path | None, faint: float) -> dict[str, Recipe]:
    """Return the recipe of each change, the run's own first."""
    like = partial(recipe_like, run)
    own = like()
    instrument, scale = own.instrument, own.instrument.pixel_scale
    recipes = {
        "none": own,
        "noise x 3": like(**{"instrument.exposure_time": instrument.exposure_time / 9}),
        "PSF x 2": like(**{"instrument.psf_fwhm": 2 * instrument.psf_fwhm}),
        "pixel scale x 2": like(**{"instrument.pixel_scale": 2 * scale}),
        "pixel scale / 2": like(
            **{"instrument.pixel_scale": scale / 2, "num_pix": 2 * own.num_pix}
        ),
        f"magnitude {faint:g}": like(**{"source.magnitude": faint}),
    }
    for what, lens in changed_lenses(own.lens).items():
        recipes[what] = dataclasses.replace(own, lens=lens)
    if galaxies is not None:
        # Its mass function is another than the run's recipe has, unless told.
        cdm = {"populations.cdm": own.to_dict()["populations"]["cdm"]}
        changes = cdm | {"source.galaxies": str(galaxies)}
        recipes["real galaxies"] = recipe_of(REAL, run, **changes)
    return recipes


def changed_lenses(own: LensPrior) -> dict[str, LensPrior]:
    """Return other lenses than those of a recipe: of another slope, with multipoles or without."""
    other = get_recipe("survey/hst_complex").lens
    if own.gamma is None or own.multipoles is None:
        return {
            "lens slope": dataclasses.replace(own, gamma=other.gamma),
            "multipoles": dataclasses.replace(own, multipoles=other.multipoles),
        }
    return {
        "isothermal ellipsoids": dataclasses.replace(own, gamma=None, multipoles=None),
        "lens slope, twice the scatter": dataclasses.replace(own, gamma=WIDE_SLOPES),
    }


def measure(what: str, images: np.ndarray, labels: np.ndarray, *, by: Calibration, run: Run) -> Any:
    """Return the record of one change."""
    judgement = by.judge(network_outputs(run.model, images))
    arguments = (judgement.possible, judgement.refused, labels, run.model.classes)
    alone = {f"{name}_alone": p <= FALSE_ALARMS for name, p in judgement.by_score.items()}
    return {
        "what": what,
        "n": len(labels),
        "accuracy": float((judgement.probabilities.argmax(axis=1) == labels).mean()),
        **trust_metrics(judgement.probabilities, *arguments, seed=SEED),
        **{name: float(refused.mean()) for name, refused in alone.items()},
    }


def changed_images(
    run: Run, galaxies: Path | None, faint: float
) -> Iterator[tuple[str, np.ndarray, np.ndarray]]:
    """Give name, images and labels of each change."""
    model = run.model
    for what, recipe in changed_recipes(run, galaxies, faint).items():
        images, labels, _ = simulate_images(recipe, NUM, SEED)
        scale = recipe.instrument.pixel_scale
        if scale == model.pixel_scale:
            yield what, images, labels
            continue
        there = resample(torch.from_numpy(images), scale, model.pixel_scale, model.num_pix)
        yield f"{what}, resampled", there.numpy(), labels
        first = (images.shape[-1] - model.num_pix) // 2
        images = images[..., first:, first:][..., : model.num_pix, : model.num_pix]
        yield f"{what}, not known", images, labels


def main() -> None:
    """Measure, print the table and write the record."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("run", type=Path)
    parser.add_argument("galaxies", type=Path, nargs="?", help="folder for survey/hst_cosmos")
    parser.add_argument("--faint", type=float, default=24.0, help="magnitude of faint sources")
    parser.add_argument("--out", type=Path, default=OUT)
    config = parser.parse_args()
    run, calibration = load_run(config.run), load_calibration(config.run)
    if calibration is None:
        sys.exit(f"{config.run} is not calibrated: lenspinn evaluate {config.run}")
    records = []
    for what, images, labels in changed_images(run, config.galaxies, config.faint):
        records.append(measure(what, images, labels, by=calibration, run=run))
        values = (f"{records[-1][k]:8.3f}" for k in ("accuracy", "set_coverage", "refused"))
        print(f"{what:28}", *values, flush=True)
    write_result(
        config.out,
        {
            "config": to_dict(run.config) | {"num": NUM, "change_seed": SEED},
            "records": records,
        },
    )


if __name__ == "__main__":
    main()
