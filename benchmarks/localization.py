"""How near the peak of what a smooth lens leaves unexplained lies to the most massive subhalo.

The fit inside a trained `lenspinn_fit` leaves a residual of each cdm image of a dataset; the peak
of its significance map is compared with the truth. Counted are images with a subhalo of at least
10^9 solar masses whose peak has at least 5 standard deviations. Beside it: the nearest of all such
subhalos in an image, for several may be as heavy.

    python benchmarks/localization.py RUN DATASET... [--images 1000]
"""

import argparse
import json
import shlex
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import torch

from lenspinn.data.provenance import provenance
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


def residuals(model: LensFit, images: np.ndarray) -> np.ndarray:
    """Return image minus fitted model in units of the noise, (batch, y, x)."""
    batches = torch.from_numpy(images).split(BATCH_SIZE)
    with torch.inference_mode():
        return torch.cat([model.reconstruct(batch).residual for batch in batches]).numpy()


def measure(model: LensFit, store: ImageStore, num: int) -> list[dict[str, Any]]:
    """Return the records of one dataset."""
    rows = np.flatnonzero(store.labels == store.info.classes.index("cdm"))[:num]
    x, y, mass = (store.read_truth(f"point_{name}")[rows] for name in ("x", "y", "mass"))
    maps = significance_map(residuals(model, store.images(rows)), store.info.pixel_scale, fwhm=FWHM)
    peaks = find_peaks(maps, store.info.pixel_scale)
    heaviest_x, heaviest_y, heaviest = heaviest_clump(x, y, mass)
    counted = (heaviest >= HEAVY) & (peaks.height >= SIGNIFICANT)
    apart = np.hypot(peaks.x[:, None] - x, peaks.y[:, None] - y)
    nearest = np.where(np.nan_to_num(mass) >= HEAVY, apart, np.inf).min(axis=1)
    facts = {
        "recipe": store.info.recipe,
        "cdm_images": len(rows),
        "heavy": int((heaviest >= HEAVY).sum()),
    }
    return [
        facts | {"which": which, **localization_score(distance, counted)}
        for which, distance in (
            ("most massive subhalo", peaks.distance(heaviest_x, heaviest_y)),
            ("nearest subhalo above 1e9", nearest),
        )
    ]


def main() -> None:
    """Measure, print and write the result."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("run", type=Path)
    parser.add_argument("datasets", type=Path, nargs="+")
    parser.add_argument("--images", type=int, default=1000)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    model = load_run(arguments.run).model
    assert isinstance(model, LensFit)
    stores = map(ImageStore.open, arguments.datasets)
    records = [record for store in stores for record in measure(model, store, arguments.images)]
    for record in records:
        print(record)
    result = {
        "schema": 1,
        "command": shlex.join(["python", *sys.argv]),
        "config": {"radius_arcsec": MATCH_RADIUS, "significance": SIGNIFICANT, "fwhm_arcsec": FWHM},
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        **provenance(),
        "records": records,
    }
    OUT.parent.mkdir(parents=True, exist_ok=True)
    OUT.write_text(json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    main()
