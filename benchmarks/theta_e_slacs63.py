"""Einstein radii and slopes of SLACS lenses, one setting for all, beside the published ones.

Each folder of the data is fitted as `lenspinn measure` does it. The limits of what is trusted, and
the systematic error, were chosen on the lenses of one half, every other name in alphabetical order;
the summary is of each half and of all.

    python benchmarks/theta_e_slacs63.py ../shared/data/hst_slacs63 --jobs 2 --work FOLDER

An interrupted call is continued by the same one: FOLDER has a file for each lens.
"""

import argparse
import csv
import json
import math
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import torch
from result_file import write_result

from lenspinn.evaluate.files import write_whole
from lenspinn.measure import measure_lens
from lenspinn.measure.companions import read_with_companions

OUT = Path(__file__).resolve().parents[1] / "results" / "real" / "slacs63.json"
HALVES = ("chosen_on", "reported")
"""Of lenses in alphabetical order, in turn."""
REFERENCE = "reference.csv"
NEAR, WITHIN = 0.05, 0.1
"""Relative differences to what is published that are counted."""
PUBLISHED_ERROR = 0.02
"""One sigma of a published theta_E, relative: what two careful models of a lens differ by."""


def references(data: Path) -> dict[str, dict[str, Any]]:
    """Return what is published of each lens: of Dinos where there is one, else of Bolton."""
    with (data / REFERENCE).open() as file:
        rows = sorted(csv.DictReader(file), key=lambda row: row["lens"])
    return {
        row["lens"]: {
            "half": HALVES[place % 2],
            "reference": "Dinos" if row["theta_E_dinos"] else "Bolton 2008",
            "published_theta_E_arcsec": float(
                row["theta_E_dinos"] or row["theta_E_bolton2008_sie"]
            ),
            "published_slope": _slope(row),
        }
        for place, row in enumerate(rows)
    }


def _slope(row: dict[str, str]) -> tuple[float, float] | None:
    """Return the slope of Dinos and its error, statistical and systematic, if there is one."""
    if not row["gamma_dinos"]:
        return None
    errors = (float(row[f"gamma_dinos_{of}"]) for of in ("err", "sys"))
    return float(row["gamma_dinos"]), math.hypot(*errors)


def measured(data: Path, name: str) -> dict[str, Any]:
    """Fit one lens from its files."""
    torch.set_num_threads(1)
    begin = time.process_time()
    found, known = read_with_companions(data / name)
    fit = measure_lens(
        found.data,
        pixel_scale=found.pixel_scale,
        noise=known.noise,
        psf=known.psf,
        mask=known.mask,
    )
    content = fit.to_json()
    del content["lenstronomy"]  # the same parameters once more
    return content | {"processor_seconds": time.process_time() - begin}


def row_of(data: Path, work: Path, name: str) -> dict[str, Any]:
    """Return the measurement of one lens, from its file in `work` if there is one."""
    path = work / f"{name}.json"
    if not path.exists():
        write_whole(path, json.dumps(measured(data, name)).encode())
    return json.loads(path.read_text())


def summary(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Count the lenses that are near what is published, and how often errors say so."""
    off = np.array([row["relative_difference"] for row in rows])
    error = np.array([row["theta_E_error_arcsec"] / row["theta_E_arcsec"] for row in rows])
    trusted = np.array([row["trusted"] for row in rows], dtype=bool)
    sigmas = np.abs(off) / np.hypot(error * (1 + off), PUBLISHED_ERROR)
    return {
        "num": len(rows),
        **_near(off),
        "trusted": {"num": int(trusted.sum()), **_near(off[trusted])},
        "share_within_1_sigma_of_both": float((sigmas < 1).mean()),
        "share_within_2_sigma_of_both": float((sigmas < 2).mean()),
        "slopes": _slopes(rows),
        "median_processor_seconds": float(np.median([row["processor_seconds"] for row in rows])),
        "share_within_1_sigma": float((np.abs(off) < error).mean()),
        "share_within_2_sigma": float((np.abs(off) < 2 * error).mean()),
        "trusted_within_1_sigma": int((np.abs(off) < error)[trusted].sum()),
        "trusted_within_2_sigma": int((np.abs(off) < 2 * error)[trusted].sum()),
    }


def _slopes(rows: list[dict[str, Any]]) -> dict[str, int]:
    """Count the slopes that agree with those of Dinos within the errors of both."""
    known = [(row["published_slope"], row["power_law"]) for row in rows if row["published_slope"]]
    agree = [
        abs(ours["slope"] - slope) < math.hypot(ours["slope_error"], error)
        for (slope, error), ours in known
    ]
    return {"num": len(known), "within_errors_of_both": sum(agree)}


def _near(off: np.ndarray) -> dict[str, Any]:
    return {
        "within_5_percent": int((np.abs(off) < NEAR).sum()),
        "within_10_percent": int((np.abs(off) < WITHIN).sum()),
        "median_relative_difference": float(np.median(np.abs(off))) if len(off) else None,
    }


def main() -> None:
    """Measure and write `OUT`."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--jobs", type=int, default=1)
    arguments = parser.parse_args()
    if not (arguments.data / REFERENCE).is_file():
        sys.exit(f"there is no {REFERENCE} in {arguments.data}: nothing was measured")
    arguments.work.mkdir(parents=True, exist_ok=True)
    published = references(arguments.data)
    fit = partial(row_of, arguments.data, arguments.work)
    rows = []
    with ProcessPoolExecutor(arguments.jobs, mp_context=get_context("spawn")) as pool:
        for (name, known), found in zip(published.items(), pool.map(fit, published), strict=True):
            off = found["theta_E_arcsec"] / known["published_theta_E_arcsec"] - 1
            rows.append({"name": name, **known, "relative_difference": off, **found})
            print(f"{name:12} {off:+.3f} {'; '.join(found['reasons']) or 'trusted'}", flush=True)
    halves = {half: [row for row in rows if row["half"] == half] for half in HALVES}
    write_result(
        OUT,
        {
            "config": {"halves": "every other lens in alphabetical order"},
            "summary": {"all": summary(rows)}
            | {half: summary(of_half) for half, of_half in halves.items()},
            "lenses": rows,
        },
    )


if __name__ == "__main__":
    main()
