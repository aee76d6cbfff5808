"""Clumps put into real images: whether `lenspinn detect` finds as many as its mocks say.

The lenses are the first `LENSES` by name of hst_slacs63 whose search is trusted in
results/detect/real.json, whose redshifts are known, and which are not refused by the code at hand.
Each is searched as `lenspinn detect` does it. Then the change that one point mass makes to the best
model, sampled as finely as mocks are, is added to the real pixels, at `PLACES` places of the region
that is searched, drawn by seed, and all from `solve` on is done again. Beside it, as a check of
what the curve of few mocks leaves out, the same masses are put into mocks at the same places.

    python benchmarks/detect_injections.py FOLDER --work WORK

FOLDER is that of hst_slacs63; WORK has a file for each lens, so an interrupted call is continued by
the same one.
"""

import argparse
import cProfile
import json
import math
import pstats
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from found_shares import Row, compared, in_bins, is_there, probability
from injections_picture import picture
from result_file import write_result
from slacs import redshifts_of

from lenspinn.data.provenance import provenance
from lenspinn.detect.candidates import fit_candidates
from lenspinn.detect.completeness import NEAR_ENOUGH, expected_heights
from lenspinn.detect.dark_solution import solve
from lenspinn.detect.detect_lens import Setting, search
from lenspinn.detect.detection import Detection
from lenspinn.detect.mocks import BATCH
from lenspinn.detect.observed_lens import ObservedLens, observe_lens
from lenspinn.detect.peaks import Peak, find_peaks
from lenspinn.detect.subhalo import SolarMasses, Subhalo
from lenspinn.detect.template_bank import make_bank
from lenspinn.errors import ImageError
from lenspinn.files import write_whole
from lenspinn.measure.companions import read_with_companions

REPOSITORY = Path(__file__).resolve().parents[1]
SEARCHED = REPOSITORY / "results" / "detect" / "real.json"
OUT = REPOSITORY / "results" / "detect" / "injections.json"
FIGURE = REPOSITORY / "docs" / "images" / "detect_injections.png"
LENSES = 10
CHOSEN_ON = 5
"""Lenses, the first, on which anything may be chosen; the others are for reports."""
PLACES = 20
MASSES = (1e9, 10**9.5, 1e10)
"""Solar masses of point masses."""
PLACE_SEED, CONTROL_SEED = 7, 5_000_000
WHOLE_WAY = 2
"""Places of the first lens at which the image is measured again too."""
SAME_MASS = 2.0
"""Factor within which a mass is right."""
PARTS = {
    "measure": "fitted",
    "templates": "make_bank",
    "mocks_tuned": "mock_maker",
    "mocks": "measure_chance",
    "candidates": "fit_candidates",
    "second_looks": "second_looks",
    "search": "search",
}
"""Functions, by what they are called here, whose processor time is written."""


def suitable_lenses(folder: Path) -> list[Path]:
    """Return the folders of the lenses that may be taken, by the rule above."""
    records = json.loads(SEARCHED.read_text())["records"]
    names = sorted(record["lens"].split("/")[1] for record in records if record.get("trusted"))
    return [folder / name for name in names if redshifts_of(folder / name)]


def observed(pixels: np.ndarray, folder: Path) -> ObservedLens:
    """Measure an image of a lens, with the noise and the PSF that it has."""
    found, known = read_with_companions(folder)
    return observe_lens(known.fits_of(pixels, found.pixel_scale).fitted())


def searched(folder: Path, masses: SolarMasses) -> tuple[Detection, dict[str, float]]:
    """Search one lens as `lenspinn detect` does, and say what its parts took of a processor."""
    found, _ = read_with_companions(folder)
    profile = cProfile.Profile(time.process_time)
    with profile:
        lens = observed(found.data, folder)
        detection = search(lens, Setting(z_lens=masses.z_lens, z_source=masses.z_source))
    taken = {
        function: numbers[3]
        for (file, _, function), numbers in pstats.Stats(profile).stats.items()
        if {"detect", "image_fits.py"} & {*Path(file).parts} and function in PARTS.values()
    }
    seconds = {part: round(taken[function], 2) for part, function in PARTS.items()}
    begun = time.process_time()
    solve(lens)
    return detection, seconds | {"solve": round(time.process_time() - begun, 2)}


def put_in(detection: Detection) -> list[Subhalo]:
    """Draw places, and put each mass at each of them."""
    lens, masses = detection.lens, detection.masses
    assert masses is not None
    rows, columns = np.nonzero(lens.region)
    rng = np.random.default_rng(PLACE_SEED)
    places = rng.choice(len(rows), PLACES, replace=False)
    middle = (lens.image.shape[-1] - 1) / 2
    return [
        Subhalo(
            profile="point",
            x=float((columns[at] - middle) * lens.pixel_scale),
            y=float((rows[at] - middle) * lens.pixel_scale),
            mass=mass / masses.per_square_arcsec,
        )
        for at in places
        for mass in MASSES
    ]


def peaks_of(detection: Detection, images: torch.Tensor) -> list[list[Peak]]:
    """Solve images of a lens, and return the peaks of each by the mocks of the lens."""
    assert detection.chance is not None
    found = []
    for batch in images.split(BATCH):
        solution = solve(detection.lens, batch)
        found += find_peaks(detection.bank, solution, detection.chance.spread)
    return found


def numbers_of(peaks: list[Peak]) -> list[list[float]]:
    """Return place, height and mass, arcsec^2, of peaks, as they are written."""
    return [[round(n, 5) for n in (p.x, p.y, p.height, p.mass)] for p in peaks]


def candidate(detection: Detection, image: torch.Tensor, peak: Peak) -> dict[str, Any]:
    """Fit a clump from the highest peak of an image."""
    assert detection.masses is not None
    lens = replace(detection.lens, image=image)
    (fitted,) = fit_candidates(lens, solve(lens), [peak], detection.masses.arcsec_per_kpc)
    return {
        "x": fitted.x,
        "y": fitted.y,
        "profile": fitted.profile,
        "inner_mass_arcsec2": fitted.inner_mass,
        "gain": max(fitted.gain.values()),
    }


def whole_way(lens: ObservedLens, image: torch.Tensor, change: np.ndarray, folder: Path) -> Any:
    """Return the highest peak of an image that is measured too, and of one that is only solved."""
    found, _ = read_with_companions(folder)
    pixels, half = found.data.astype(np.float64), len(change) // 2
    row, column = (
        round(at / lens.pixel_scale) + (size - 1) // 2
        for at, size in zip(lens.middle[::-1], pixels.shape, strict=True)
    )
    pixels[row - half : row + half + 1, column - half : column + half + 1] += change * lens.unit
    try:
        again = observed(pixels, folder)
    except ImageError as error:
        return {"refused": str(error)}
    ways = {"solved": replace(lens, image=image), "measured": again}
    found_by = {}
    for way, each in ways.items():
        solution = solve(each)
        (peaks,) = find_peaks(make_bank(each, solution), solution, None, most=1)
        found_by[way] = [
            [peak.x + each.middle[0], peak.y + each.middle[1], peak.significance, peak.mass]
            for peak in peaks
        ]
    return found_by


def measure(folder: Path, whole_way_places: int) -> dict[str, Any]:
    """Search one lens, and then again with each mass at each place."""
    z_lens, z_source = redshifts_of(folder) or (math.nan, math.nan)
    begun = time.process_time()
    try:
        detection, seconds = searched(folder, SolarMasses(z_lens, z_source))
    except ImageError as error:
        return {"lens": folder.name, "refused": str(error)}
    chance, maker = detection.chance, detection.maker
    assert chance is not None
    assert maker is not None
    assert chance.completeness is not None
    told = chance.completeness
    offset, slope = told.probit()
    (without,) = find_peaks(detection.bank, detection.solution, chance.spread)
    return {
        "lens": folder.name,
        "git": provenance()["git"],
        "search_processor_seconds": seconds,
        "z_lens": z_lens,
        "z_source": z_source,
        "verdict": detection.verdict,
        "threshold": chance.threshold,
        "offset": offset,
        "slope": slope,
        "height_found_with_90_percent": None
        if math.isnan(told.height_limit)
        else told.height_limit,
        "clumpy_share": maker.share,
        "noise_over_stated": maker.noise.scale,
        "mocks_injected": [told.mass.tolist(), told.expected.tolist(), told.found.tolist()],
        "without": numbers_of(without),
        "injections": injections(detection, folder, whole_way_places),
        "processor_seconds": round(time.process_time() - begun, 1),
    }


def injections(detection: Detection, folder: Path, whole_way_places: int) -> list[dict[str, Any]]:
    """Put each mass at each place of one lens, in the image and in mocks, and look."""
    lens, chance, maker = detection.lens, detection.chance, detection.maker
    assert chance is not None
    assert maker is not None
    subhalos = put_in(detection)
    changes = torch.cat([maker.change_by(subhalo) for subhalo in subhalos])
    images = lens.image + changes
    in_real = peaks_of(detection, images)
    in_mocks = peaks_of(detection, maker.draw(len(subhalos), CONTROL_SEED, subhalos))
    rows = []
    for at, (subhalo, peaks) in enumerate(zip(subhalos, in_real, strict=True)):
        image = images[at : at + 1]
        place = (float(subhalo.x), float(subhalo.y))
        found = is_there(numbers_of(peaks[:1]), place, chance.threshold, NEAR_ENOUGH)
        rows.append(
            {
                "solar_masses": MASSES[at % len(MASSES)],
                **said_of(detection, subhalo),
                "real": numbers_of(peaks),
                "mock": numbers_of(in_mocks[at]),
                "candidate": candidate(detection, image, peaks[0]) if found else None,
            }
        )
        if at < whole_way_places * len(MASSES):
            rows[-1]["whole_way"] = whole_way(lens, image, changes[at].double().numpy(), folder)
    return rows


def said_of(detection: Detection, subhalo: Subhalo) -> dict[str, float]:
    """Return place and mass of a clump, and how probably the mocks say that it is found."""
    chance, bank = detection.chance, detection.bank
    assert chance is not None
    assert chance.completeness is not None
    x, y, mass = (float(number) for number in (subhalo.x, subhalo.y, subhalo.mass))
    heights = chance.expected_heights(bank)
    (expected,) = expected_heights(bank, heights, *(np.array([n]) for n in (x, y, mass)))
    return {
        "x": x,
        "y": y,
        "mass_arcsec2": mass,
        "expected_height": float(expected),
        "said": probability(float(expected), *chance.completeness.probit()),
    }


def rows_of(records: list[dict[str, Any]], image: str, most: int) -> list[Row]:
    """Return what was said and found, in real or mock images, among the highest few peaks."""
    return [
        Row(
            record["lens"],
            row["said"],
            is_there(row[image][:most], (row["x"], row["y"]), record["threshold"], NEAR_ENOUGH),
        )
        for record in records
        for row in record["injections"]
    ]


def right_masses(records: list[dict[str, Any]]) -> dict[str, Any]:
    """Say of how many that were found the mass was right, by the map and by the candidate."""

    def right(mass: float, row: dict[str, Any]) -> bool:
        return 1 / SAME_MASS <= mass / row["mass_arcsec2"] <= SAME_MASS

    counts = {}
    for image in ("real", "mock"):
        found = [
            row
            for record in records
            for row in record["injections"]
            if is_there(row[image][:1], (row["x"], row["y"]), record["threshold"], NEAR_ENOUGH)
        ]
        counts[f"map_{image}"] = [sum(right(row[image][0][3], row) for row in found), len(found)]
    fits = [
        (row, row["candidate"])
        for record in records
        for row in record["injections"]
        if is_there(row["real"][:1], (row["x"], row["y"]), record["threshold"], NEAR_ENOUGH)
    ]
    near = [math.hypot(fit["x"] - row["x"], fit["y"] - row["y"]) for row, fit in fits]
    counts["candidate_real"] = [
        sum(
            right(fit["inner_mass_arcsec2"], row) and away <= NEAR_ENOUGH
            for (row, fit), away in zip(fits, near, strict=True)
        ),
        len(fits),
    ]
    return counts


def summary(records: list[dict[str, Any]]) -> dict[str, Any]:
    """Compare what was found with what the mocks of each lens said."""
    real, mock = (rows_of(records, image, 1) for image in ("real", "mock"))
    per_mass = {f"{mass:.3g}": compared(real[at :: len(MASSES)]) for at, mass in enumerate(MASSES)}
    above = [
        row
        for row, (record, put) in zip(
            real, [(record, put) for record in records for put in record["injections"]], strict=True
        )
        if record["height_found_with_90_percent"]
        and put["expected_height"] >= record["height_found_with_90_percent"]
    ]
    return {
        "lenses": [record["lens"] for record in records],
        "real": compared(real),
        "mocks": compared(mock),
        "real_any_of_three_peaks": compared(rows_of(records, "real", 3)),
        "real_by_mass": per_mass,
        "mocks_by_mass": {
            f"{mass:.3g}": compared(mock[at :: len(MASSES)]) for at, mass in enumerate(MASSES)
        },
        "real_in_bins": in_bins(real),
        "mocks_in_bins": in_bins(mock),
        "real_above_mass_limit": compared(above),
        "right_masses": right_masses(records),
    }


def main() -> None:
    """Search all lenses, and write what was found."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--lenses", type=int, default=LENSES)
    parser.add_argument("--out", type=Path, default=OUT)
    config = parser.parse_args()
    torch.set_num_threads(1)
    provenance()  # of the code that measures, whatever is committed meanwhile
    config.work.mkdir(parents=True, exist_ok=True)
    records: list[dict[str, Any]] = []
    refused = []
    for folder in suitable_lenses(config.folder):
        kept = config.work / f"{folder.name}.json"
        if not kept.is_file():
            write_whole(kept, json.dumps(measure(folder, 0 if records else WHOLE_WAY)).encode())
        record = json.loads(kept.read_text())
        (refused if "refused" in record else records).append(record)
        print(folder.name, record.get("processor_seconds", "refused"), flush=True)
        if len(records) == config.lenses:
            break
    parts = {
        "all": records,
        f"first_{CHOSEN_ON}": records[:CHOSEN_ON],
        "others": records[CHOSEN_ON:],
    }
    write_result(
        config.out,
        {name: summary(part) for name, part in parts.items() if part}
        | {"refused": refused, "records": records},
    )
    with_mocks = np.concatenate([np.array(record["mocks_injected"]) for record in records], axis=1)
    by_mass = {"own mocks": (with_mocks[0], with_mocks[2])} | {
        name: (
            np.array([put["mass_arcsec2"] for record in records for put in record["injections"]]),
            np.array([row.found for row in rows_of(records, image, 1)]),
        )
        for name, image in (("real pixels", "real"), ("mocks", "mock"))
    }
    bins = {name: in_bins(rows_of(records, name, 1)) for name in ("real", "mock")}
    picture(bins, by_mass).savefig(FIGURE, dpi=110)


if __name__ == "__main__":
    main()
