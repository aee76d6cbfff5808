"""What a Gaussian in the place of a measured PSF does to theta_E of real lenses.

Lenses whose files hold a PSF and name an instrument that `lenspinn measure` knows are measured with
that PSF, and with the Gaussian that stands for the instrument's where none is given. The error that
is added for it, `lenspinn.measure.psf.ASSUMED_PSF_ERROR`, was chosen on one half of the lenses.

    python benchmarks/assumed_psf.py ../shared/data --work FOLDER

An interrupted call is continued by the same one: FOLDER has a file for each measurement.
"""

import argparse
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from result_file import write_result

from lenspinn.files import write_whole
from lenspinn.measure import measure_lens
from lenspinn.measure.companions import FileOptions, read_with_companions
from lenspinn.measure.psf import instrument_psf

OUT = Path(__file__).resolve().parents[1] / "results" / "theta_e" / "assumed_psf.json"
HALVES = ("chosen_on", "reported")
"""Of the lenses of an instrument in alphabetical order, in turn."""
SETS = {
    "hst_acs_f814w": ("hst_slacs63", ""),
    "jwst_nircam_f277w": ("jwst_cowls", "F277W_"),
    "euclid_vis": ("euclid_q1", "VIS_"),
}
"""Folder of lenses, and how the names of their files begin, by instrument."""

MOST = 16
"""Lenses of an instrument, the first in alphabetical order."""


def lenses(data: Path) -> Iterator[tuple[str, str, str, Path]]:
    """Yield instrument, half, name and image of each lens."""
    for instrument, (folder, prefix) in SETS.items():
        images = sorted((data / folder).glob(f"*/{prefix}data.fits"))[:MOST]
        for place, image in enumerate(images):
            yield instrument, HALVES[place % 2], image.parent.name, image


def measured(image: Path, instrument: str, gaussian: bool) -> dict[str, Any]:
    """Measure one lens with one of the two PSFs."""
    prefix = image.name.removesuffix("data.fits")
    files = {kind: image.parent / f"{prefix}{kind}.fits" for kind in ("noise_map", "psf")}
    found, known = read_with_companions(
        image, FileOptions(noise=files["noise_map"], psf=files["psf"])
    )
    psf = known.psf
    if gaussian:
        assumed = instrument_psf(found.names, found.pixel_scale)
        if assumed is None or assumed[1] != instrument:
            raise ValueError(f"{image} is of {found.names}, not of {instrument}")
        psf = assumed[0]
    fit = measure_lens(
        found.data, pixel_scale=found.pixel_scale, noise=known.noise, psf=psf, mask=known.mask
    )
    return fit.to_json()


def row_of(work: Path, instrument: str, name: str, image: Path) -> dict[str, Any]:
    """Return theta_E of one lens with both PSFs, from files in `work` where they are there."""
    row: dict[str, Any] = {}
    for psf in ("measured", "gaussian"):
        path = work / f"{instrument}_{name}_{psf}.json"
        if not path.exists():
            found = measured(image, instrument, psf == "gaussian")
            write_whole(path, json.dumps(found).encode())
        content = json.loads(path.read_text())
        row[f"theta_E_{psf}_psf_arcsec"] = content["theta_E_arcsec"]
        row[f"trusted_{psf}_psf"] = content["trusted"]
    ratio = row["theta_E_gaussian_psf_arcsec"] / row["theta_E_measured_psf_arcsec"]
    return row | {"relative_difference": ratio - 1}


def summary(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Return how far theta_E moves, in all lenses and in those trusted with either PSF."""
    off = np.abs([row["relative_difference"] for row in rows])
    trusted = np.array([row["trusted_measured_psf"] for row in rows], dtype=bool)
    both = trusted & np.array([row["trusted_gaussian_psf"] for row in rows], dtype=bool)
    return {
        "all": _spread(off),
        "trusted_with_the_measured": _spread(off[trusted]),
        "trusted_with_both": _spread(off[both]),
    }


def _spread(off: np.ndarray) -> dict[str, Any]:
    if not len(off):
        return {"num": 0}
    return {
        "num": len(off),
        "median": float(np.median(off)),
        "rms": float(np.sqrt(np.mean(off**2))),
        "share_68_percent": float(np.quantile(off, 0.68)),
        "largest": float(off.max()),
    }


def main() -> None:
    """Measure and write `OUT`."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("--work", type=Path, required=True)
    arguments = parser.parse_args()
    arguments.work.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(1)
    rows = []
    for instrument, half, name, image in lenses(arguments.data):
        row = row_of(arguments.work, instrument, name, image)
        rows.append({"instrument": instrument, "name": name, "half": half} | row)
        print(f"{instrument:18} {name:36} {row['relative_difference']:+.3f}", flush=True)
    if not rows:
        sys.exit(f"there are no lenses in {arguments.data}: nothing was measured")
    halves = {half: [row for row in rows if row["half"] == half] for half in HALVES}
    write_result(
        OUT,
        {
            "config": {"halves": "every other lens of an instrument in alphabetical order"},
            "summary": {half: summary(of_half) for half, of_half in halves.items()},
            "lenses": rows,
        },
    )


if __name__ == "__main__":
    main()
