"""Which changes of its images a calibrated network refuses, and what they would have cost it.

Each change is simulated like the run's own recipe but for one thing: noise, PSF, pixel scale, how
bright sources are, whether they are real galaxies, the slope of the lens or its multipoles. Images
of another pixel scale come twice, as `lenspinn apply` resamples them and as if their header were
wrong.

    lenspinn train configs/train/lenspinn_small_stream_hst_shallow.yaml --out runs/trust
    lenspinn evaluate runs/trust
    python benchmarks/trust.py runs/trust GALAXIES
"""

import argparse
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import torch
from result_file import write_result

from lenspinn.config import to_dict
from lenspinn.data.store import ImageStore
from lenspinn.data.transforms import resample
from lenspinn.evaluate.metrics import trust_metrics
from lenspinn.evaluate.predict import network_outputs
from lenspinn.evaluate.trust import FALSE_ALARMS, Calibration, load_calibration
from lenspinn.simulate import Recipe, SimulateConfig, get_recipe, simulate
from lenspinn.train import Run, load_run

NUM, SEED = 600, 300
OUT = Path(__file__).resolve().parents[1] / "results" / "trust" / "shifts.json"


def changes_of(recipe: Recipe, faint: float) -> dict[str, dict[str, Any]]:
    """Return the overrides of each change, relative to what a recipe has."""
    instrument = recipe.instrument
    scale = instrument.pixel_scale
    return {
        "none": {},
        "noise x 3": {"instrument.exposure_time": instrument.exposure_time / 9},
        "PSF x 2": {"instrument.psf_fwhm": 2 * instrument.psf_fwhm},
        "pixel scale x 2": {"instrument.pixel_scale": 2 * scale},
        "pixel scale / 2": {"instrument.pixel_scale": scale / 2, "num_pix": 2 * recipe.num_pix},
        f"magnitude {faint:g}": {"source.magnitude": faint},
        "lens slope": {"lens.gamma": get_recipe("survey/hst_complex").to_dict()["lens"]["gamma"]},
    }


def has_clumps(recipe: Recipe) -> bool:
    """Whether the sources of a recipe have clumps."""
    return "clumps" in recipe.to_dict()["source"]


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
    run: Run, galaxies: Path | None, faint: float, folder: Path
) -> list[tuple[str, Any, Any]]:
    """Name, images and labels of each change."""
    stream, found = run.config.stream, []
    own = get_recipe(stream.recipe, **stream.overrides)
    recipes = {what: (stream.recipe, changes) for what, changes in changes_of(own, faint).items()}
    # Of another mass function than the run's recipe, unless told.
    cdm = {"populations.cdm": own.to_dict()["populations"]["cdm"]}
    recipes["multipoles"] = (
        ("survey/hst_complex", cdm | {"lens.gamma": 2.0})
        if has_clumps(own)
        else ("survey/hst_multipoles", cdm)
    )
    if galaxies is not None:
        recipes["real galaxies"] = ("survey/hst_cosmos", cdm | {"source.galaxies": str(galaxies)})
    for what, (recipe, changes) in recipes.items():
        path = folder / f"{what.replace(' ', '_').replace('/', 'by')}.zarr"
        overrides = stream.overrides | changes
        if not has_clumps(get_recipe(recipe)):
            overrides = {k: v for k, v in overrides.items() if not k.startswith("source.clumps")}
        simulate(SimulateConfig(recipe=recipe, num=NUM, seed=SEED, out=path, overrides=overrides))
        store, model = ImageStore.open(path), run.model
        images, scale = store.images(slice(None)), store.info.pixel_scale
        if scale != model.pixel_scale:
            there = resample(torch.from_numpy(images), scale, model.pixel_scale, model.num_pix)
            found.append((f"{what}, resampled", there.numpy(), store.labels))
            first = (images.shape[-1] - model.num_pix) // 2
            images = images[..., first:, first:][..., : model.num_pix, : model.num_pix]
            what += ", not known"
        found.append((what, images, store.labels))
    return found


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
    with tempfile.TemporaryDirectory() as folder:
        for what, images, labels in changed_images(
            run, config.galaxies, config.faint, Path(folder)
        ):
            records.append(measure(what, images, labels, by=calibration, run=run))
            values = (f"{records[-1][k]:8.3f}" for k in ("accuracy", "set_coverage", "refused"))
            print(f"{what:28}", *values)
    write_result(
        config.out,
        {
            "config": to_dict(run.config) | {"num": NUM, "change_seed": SEED},
            "records": records,
        },
    )


if __name__ == "__main__":
    main()
