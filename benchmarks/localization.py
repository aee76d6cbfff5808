"""How near the most massive subhalo lies to where a smooth fit says that a mass is missing.

The fit inside a trained `lenspinn_fit` is made for each cdm image of a dataset, and the peaks of
two maps are compared with the truth: the test for a point mass in each pixel, and the square of the
residual. Counted are images with a subhalo of at least 10^9 solar masses whose peak has at least 5
standard deviations. Beside it: the nearest of all such subhalos in an image, for several may be as
heavy.

    python benchmarks/localization.py RUN DATASET... [--images 1000]
"""

import argparse
from pathlib import Path
from typing import Any

import numpy as np
import torch
from result_file import write_result

from lenspinn.data.store import ImageStore
from lenspinn.explain.localization import (
    MATCH_RADIUS,
    SIGNIFICANT,
    find_peaks,
    heaviest_clump,
    localization_score,
    significance_map,
)
from lenspinn.models import LensFit
from lenspinn.train import load_run

HEAVY = 1e9
"""Solar masses."""
FWHM = 0.2
"""Arcsec, of the Gaussian that squares of residuals are averaged with."""
BATCH_SIZE = 64
OUT = Path(__file__).resolve().parents[1] / "results" / "localization.json"


def maps_of_substructure(
    model: LensFit, images: np.ndarray, pixel_scale: float
) -> dict[str, np.ndarray]:
    """Return each kind of map, (batch, y, x), in standard deviations."""
    with torch.inference_mode():
        found = [model.reconstruct(batch) for batch in torch.from_numpy(images).split(BATCH_SIZE)]
    tests = torch.cat([lenses.point_mass_significance for lenses in found]).numpy()
    residual = torch.cat([lenses.residual for lenses in found]).numpy()
    return {
        "test for a point mass": tests,
        "squared residual": significance_map(residual, pixel_scale, fwhm=FWHM),
    }


def measure(model: LensFit, store: ImageStore, num: int) -> list[dict[str, Any]]:
    """Return the records of one dataset."""
    rows = np.flatnonzero(store.labels == store.info.classes.index("cdm"))[:num]
    x, y, mass = (store.read_truth(f"point_{name}")[rows] for name in ("x", "y", "mass"))
    heaviest_x, heaviest_y, heaviest = heaviest_clump(x, y, mass)
    facts = {
        "recipe": store.info.recipe,
        "cdm_images": len(rows),
        "heavy": int((heaviest >= HEAVY).sum()),
    }
    scale = store.info.pixel_scale
    records = []
    for kind, maps in maps_of_substructure(model, store.images(rows), scale).items():
        peaks = find_peaks(maps, scale)
        counted = (heaviest >= HEAVY) & (peaks.height >= SIGNIFICANT)
        apart = np.hypot(peaks.x[:, None] - x, peaks.y[:, None] - y)
        nearest = np.where(np.nan_to_num(mass) >= HEAVY, apart, np.inf).min(axis=1)
        records += [
            facts | {"map": kind, "which": which, **localization_score(distance, counted)}
            for which, distance in (
                ("most massive subhalo", peaks.distance(heaviest_x, heaviest_y)),
                ("nearest subhalo above 1e9", nearest),
            )
        ]
    return records


def main() -> None:
    """Measure, print and write the result."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("run", type=Path)
    parser.add_argument("datasets", type=Path, nargs="+")
    parser.add_argument("--images", type=int, default=1000)
    parser.add_argument("--out", type=Path, default=OUT)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    model = load_run(arguments.run).model
    assert isinstance(model, LensFit)
    stores = map(ImageStore.open, arguments.datasets)
    records = [record for store in stores for record in measure(model, store, arguments.images)]
    for record in records:
        print(record)
    write_result(
        arguments.out,
        {
            "config": {
                "radius_arcsec": MATCH_RADIUS,
                "significance": SIGNIFICANT,
                "fwhm_arcsec": FWHM,
            },
            "records": records,
        },
    )


if __name__ == "__main__":
    main()
