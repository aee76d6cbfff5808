"""What a search for point masses of finite size would find, where that of linear theory looks away.

The search of `lenspinn detect` takes images as linear in a mass. Here the change that each of
`MASSES` at each second pixel makes to the best model is computed once a lens; how much of it is in
a residual, apart from what all that is free can imitate, over its spread in mocks, is the height of
that place and mass. This is a trial: `lenspinn detect` does not do it.

    python benchmarks/detect_finite_masses.py FOLDER --injections WORK --work WORK2 [--measured]

Lenses, places and masses are those of `detect_injections.py`, whose files in WORK are read; so is
the roughness of mocks. As there, a clump is found if the highest height is within 0.15" of it and
above what 5 % of mocks reach. Masses and places were chosen on J0252+0039 and J0029-0055.
"""

import argparse
import json
import math
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from detect_injections import CHOSEN_ON, CONTROL_SEED, SAME_MASS, observed
from found_shares import Row, is_there, share_and_interval
from result_file import write_result

from lenspinn.data.provenance import provenance
from lenspinn.detect.chance import FALSE_ALARMS, NEAR_ENOUGH, search_region
from lenspinn.detect.dark_solution import DarkSolution, _with_lopsided, solve
from lenspinn.detect.mocks import BATCH, MockMaker, _lensed, _noise, roughness_left
from lenspinn.detect.observed_lens import ObservedLens
from lenspinn.detect.subhalo import Subhalo
from lenspinn.files import write_whole
from lenspinn.measure.companions import read_with_companions

OUT = Path(__file__).resolve().parents[1] / "results" / "detect" / "finite_masses.json"
MASSES = (0.002, 0.006, 0.02, 0.06)
"""Squared Einstein radii, arcsec^2."""
EVERY = 2
"""Pixels between places."""
MOCKS = 50
MOCK_SEED = 6_000_000


class FiniteMasses:
    """Templates of a lens: one for each mass at each place."""

    def __init__(self, lens: ObservedLens, solution: DarkSolution) -> None:
        self.lens = lens
        rows, columns = np.nonzero(search_region(lens))
        kept = (rows % EVERY == 0) & (columns % EVERY == 0)
        middle = (lens.image.shape[-1] - 1) / 2
        x, y = ((at[kept] - middle) * lens.pixel_scale for at in (columns, rows))
        self.numbers = np.array([(*at, mass) for mass in MASSES for at in zip(x, y, strict=True)])
        without = _lensed(solution, None, 0.0, None, lens.optics)
        changes = [
            _lensed(solution, None, 0.0, subhalo_of(*numbers), lens.optics) - without
            for numbers in self.numbers
        ]
        maps = (torch.cat(changes) / lens.sigma).flatten(1).double()
        free, covariance = _with_lopsided(
            *solution.found.free,
            solution.found.smooth.by_source,
            solution.parameters,
            lens.pixel_scale,
        )
        rows_free = free[0].flatten(1).double()
        maps -= (maps @ rows_free.T @ covariance[0].double()) @ rows_free
        self.unit = maps / maps.norm(dim=1, keepdim=True).clamp(min=1e-12)

    def scores(self, images: torch.Tensor) -> np.ndarray:
        """Return the score of each template in each image that is solved, (images, templates)."""
        found = []
        for batch in images.split(BATCH):
            solution = solve(self.lens, batch)
            score = solution.residual.flatten(1).double() @ self.unit.T
            found.append(score.numpy() / np.sqrt(roughness_left(self.lens, solution))[:, None])
        return np.concatenate(found)


def subhalo_of(x: float, y: float, mass: float) -> Subhalo:
    """Return a point mass."""
    return Subhalo(profile="point", x=float(x), y=float(y), mass=float(mass))


def highest(numbers: np.ndarray, heights: np.ndarray) -> list[list[float]]:
    """Return place, height and mass of the highest of each image."""
    best = heights.argmax(axis=1)
    return [
        [numbers[at, 0], numbers[at, 1], heights[image, at], numbers[at, 2]]
        for image, at in enumerate(best)
    ]


def measure(folder: Path, before: dict[str, Any]) -> dict[str, Any]:
    """Look for the clumps that were put into one lens, in real pixels and in mocks."""
    found, _ = read_with_companions(folder)
    lens = observed(found.data, folder)
    solution = solve(lens)
    begun = time.process_time()
    templates = FiniteMasses(lens, solution)
    seconds = time.process_time() - begun
    maker = MockMaker(
        lens=lens, solution=solution, noise=_noise(lens, solution), share=before["clumpy_share"]
    )
    subhalos = [subhalo_of(p["x"], p["y"], p["mass_arcsec2"]) for p in before["injections"]]
    bare = templates.scores(maker.draw(MOCKS, MOCK_SEED))
    square = (bare**2).mean(axis=0)
    others = (square * MOCKS - bare**2) / (MOCKS - 1)
    in_bare = (bare / np.sqrt(others)).max(axis=1)
    changed = torch.cat([maker.change_by(subhalo) for subhalo in subhalos])
    looked = {
        "real": templates.scores(lens.image + changed),
        "mock": templates.scores(maker.draw(len(subhalos), CONTROL_SEED, subhalos)),
        "without": templates.scores(lens.image),
    }
    return {
        "lens": folder.name,
        "git": provenance()["git"],
        "templates": len(templates.numbers),
        "templates_processor_seconds": round(seconds, 1),
        "threshold": float(np.quantile(in_bare, 1 - FALSE_ALARMS)),
        **{
            name: highest(templates.numbers, scores / np.sqrt(square))
            for name, scores in looked.items()
        },
    }


def summary(records: list[dict[str, Any]], before: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """Return the shares that either search finds, by mass and in all, and of right masses."""
    shares: dict[str, Any] = {"lenses": [record["lens"] for record in records]}
    for image in ("real", "mock"):
        linear, finite, right = [], [], []
        for record in records:
            earlier = before[record["lens"]]
            for put, peak in zip(earlier["injections"], record[image], strict=True):
                place = (put["x"], put["y"])
                there = is_there([peak], place, record["threshold"], NEAR_ENOUGH)
                also = is_there(put[image][:1], place, earlier["threshold"], NEAR_ENOUGH)
                finite.append((put["solar_masses"], Row(record["lens"], 0.0, there)))
                linear.append((put["solar_masses"], Row(record["lens"], 0.0, also)))
                close = abs(math.log(peak[3] / put["mass_arcsec2"])) <= math.log(SAME_MASS)
                right += [close] if there else []
        for name, pairs in (("linear", linear), ("finite", finite)):
            masses = sorted({mass for mass, _ in pairs})
            shares[f"{image}_{name}"] = {"all": found_of([row for _, row in pairs])} | {
                f"{mass:.3g}": found_of([row for m, row in pairs if m == mass]) for mass in masses
            }
        shares[f"{image}_finite_right_mass"] = [sum(right), len(right)]
    return shares


def found_of(rows: list[Row]) -> dict[str, Any]:
    """Return the share of rows that were found."""
    share, interval = share_and_interval(rows, lambda row: row.found)
    return {"found": share, "interval": interval, "num": len(rows)}


def main() -> None:
    """Look at all lenses, and write what was found."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--injections", type=Path, required=True)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--measured", action="store_true", help="only lenses that were measured")
    parser.add_argument("--out", type=Path, default=OUT)
    config = parser.parse_args()
    torch.set_num_threads(1)
    provenance()  # of the code that measures, whatever is committed meanwhile
    config.work.mkdir(parents=True, exist_ok=True)
    before, records = {}, []
    for path in sorted(config.injections.glob("*.json")):
        earlier = json.loads(path.read_text())
        if "refused" in earlier:
            continue
        before[earlier["lens"]] = earlier
        kept = config.work / path.name
        if not kept.is_file() and config.measured:
            continue
        if not kept.is_file():
            write_whole(kept, json.dumps(measure(config.folder / path.stem, earlier)).encode())
        records.append(json.loads(kept.read_text()))
        print(path.stem, flush=True)
    first = sorted(before)[:CHOSEN_ON]
    parts = {
        "first_5": [record for record in records if record["lens"] in first],
        "others": [record for record in records if record["lens"] not in first],
        "all": records,
    }
    results = {name: summary(part, before) for name, part in parts.items() if part}
    write_result(config.out, results | {"masses_arcsec2": MASSES, "records": records})


if __name__ == "__main__":
    main()
