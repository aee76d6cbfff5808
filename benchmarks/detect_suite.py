"""What the map of `lenspinn detect` tells apart: simulated lenses with a subhalo, and without.

Each tier of configs/detect is drawn by its seed, measured and solved as `lenspinn detect` does it.
The score of an image is its highest peak on the arcs, the significance of the best template over
the root of what is left elsewhere on the arcs; no mocks are made. Areas under the ROC curve are of
subhalos against the lenses without of their tier, and of each tier's lenses without against those
of the first, plain tier. The threshold is that of the first half of the plain lenses without.

    python benchmarks/detect_suite.py --work FOLDER [--num 80]

An interrupted call is continued by the same one: FOLDER has a file for each image.
"""

import argparse
import json
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
import torch
from result_file import write_result

from lenspinn.detect.completeness import NEAR_ENOUGH
from lenspinn.detect.dark_solution import solve
from lenspinn.detect.observed_lens import observe_lens
from lenspinn.detect.peaks import find_peaks
from lenspinn.detect.template_bank import make_bank
from lenspinn.errors import ImageError
from lenspinn.files import write_whole
from lenspinn.lensing.psf import gaussian_kernel
from lenspinn.measure.image_fits import ImageFits
from lenspinn.plain_yaml import read_yaml
from lenspinn.simulate import Recipe, add_noise, draw_scenes, render
from lenspinn.simulate.catalogue import configured_recipe
from lenspinn.simulate.draw import noise_generator
from lenspinn.simulate.noise import noise_sigma

REPOSITORY = Path(__file__).resolve().parents[1]
OUT = REPOSITORY / "results" / "detect" / "suite.json"
WIDER = 1.05
"""PSF that a search is given, over the true one."""
DECOY_SIGMAS = 6.0
"""Significance of a decoy that was added to the image, on the arcs: no lens makes such."""
FALSE_ALARMS = 0.05
RESAMPLES = 2000


class Tier(NamedTuple):
    """What is searched."""

    config: str
    """Of configs/detect."""
    psf_factor: float = 1.0
    decoy: Literal["blob", "dipole"] | None = None
    """A blob of the PSF's shape, or two of opposite sign beside each other."""


TIERS = {
    "sersic_c60": Tier("sersic_c60"),
    "sersic_c15": Tier("sersic_c15"),
    "multipole_3_percent": Tier("multipole_3_percent"),
    "clumpy": Tier("clumpy"),
    "lens_light": Tier("lens_light"),
    "psf_5_percent_wide": Tier("sersic_c60", psf_factor=WIDER),
    "blob_6_sigma": Tier("sersic_c60", decoy="blob"),
    "dipole_6_sigma": Tier("sersic_c60", decoy="dipole"),
}
"""By name; the first is the plain one."""
PLAIN = next(iter(TIERS))


class Lens(NamedTuple):
    """One simulated lens as a telescope sees it."""

    image: np.ndarray
    noise: np.ndarray
    exact: np.ndarray
    halo: tuple[float, float, float] | None
    """x, y, arcsec, and mass, solar masses."""


def simulated(recipe: Recipe, seed: int, index: int) -> Lens:
    """Draw one lens."""
    scene, truth = draw_scenes(recipe, seed, [index])
    time = float(truth["exposure_time"][0])
    exact = render(scene, recipe.camera).numpy()[0]
    image = add_noise(exact, recipe.instrument, noise_generator(seed, index), time)
    halo = None
    if scene.halos is not None and scene.halos.mass[0, 0] > 0:
        halo = tuple(float(getattr(scene.halos, key)[0, 0]) for key in ("x", "y", "mass"))
    return Lens(image, noise_sigma(exact, recipe.instrument, time), exact, halo)


def decoy(lens: Lens, psf: np.ndarray, index: int, *, dipole: bool) -> np.ndarray:
    """Return what is added to the brightest tenth of an image, off its centre."""
    rng = np.random.default_rng([index, 11])
    half = len(psf) // 2
    inner = lens.exact[half:-half, half:-half]
    rows, columns = np.nonzero(inner >= np.quantile(inner, 0.9))
    at = rng.integers(len(rows))
    added = np.zeros_like(lens.image)
    row, column = rows[at] + half, columns[at] + half
    added[row - half : row + half + 1, column - half : column + half + 1] = psf
    if dipole:
        added = added - np.roll(added, half, axis=rng.integers(2))
    return added * DECOY_SIGMAS / float(np.sqrt(((added / lens.noise) ** 2).sum()))


def score(tier: Tier, recipe: Recipe, seed: int, index: int) -> dict[str, Any]:
    """Search one lens of a tier."""
    torch.set_num_threads(1)
    lens = simulated(recipe, seed, index)
    pixels = recipe.camera.psf_fwhm / recipe.camera.pixel_scale
    axis = gaussian_kernel(pixels * tier.psf_factor, 5.0)
    psf = np.outer(axis, axis)
    image = lens.image
    if tier.decoy:
        image = image + decoy(lens, psf, index, dipole=tier.decoy == "dipole")
    facts: dict[str, Any] = {"index": index, "mass": lens.halo[2] if lens.halo else None}
    try:
        fits = ImageFits(image, pixel_scale=recipe.camera.pixel_scale, noise=lens.noise, psf=psf)
        light = "none" if recipe.lens_light is None else None
        observed = observe_lens(fits.fitted(lens_light=light))
    except ImageError as error:
        return facts | {"refused": str(error)}
    solution = solve(observed)
    facts["trusted"] = observed.measured.trusted
    bank = make_bank(observed, solution)
    (peaks,) = find_peaks(bank, solution, None, most=1)
    if not peaks:
        return facts | {"score": 0.0}
    (peak,) = peaks
    facts["score"] = peak.significance / float(np.sqrt(bank.roughness_left(solution)[0]))
    facts["significance"] = peak.significance
    if lens.halo:
        x, y = peak.x + observed.middle[0], peak.y + observed.middle[1]
        facts["arcsec_away"] = float(np.hypot(x - lens.halo[0], y - lens.halo[1]))
    return facts


def area(above: np.ndarray, below: np.ndarray) -> float:
    """Return the chance that one of the former has the higher score."""
    difference = above[:, None] - below[None]
    return float((difference > 0).mean() + 0.5 * (difference == 0).mean())


def area_with_interval(above: np.ndarray, below: np.ndarray) -> dict[str, Any]:
    """Return the area under the ROC curve with its 95 % interval, a bootstrap over images."""
    rng = np.random.default_rng(0)
    again = [
        area(rng.choice(above, len(above)), rng.choice(below, len(below))) for _ in range(RESAMPLES)
    ]
    return {
        "auc": area(above, below),
        "interval": np.quantile(again, [0.025, 0.975]).tolist(),
        "num": [len(above), len(below)],
    }


def summary(rows: dict[str, list[dict[str, Any]]]) -> dict[str, Any]:
    """Compare subhalos with lenses without, tier by tier."""

    def scores(tier: str, *, halo: bool) -> np.ndarray:
        chosen = [row for row in rows[tier] if (row["mass"] is not None) == halo]
        return np.array([row["score"] for row in chosen if "score" in row])

    plain = scores(PLAIN, halo=False)
    half = len(plain) // 2
    threshold = float(np.quantile(plain[:half], 1 - FALSE_ALARMS))
    found = {}
    for tier, of_tier in rows.items():
        without = plain[half:] if tier == PLAIN else scores(tier, halo=False)
        above = scores(tier, halo=True)
        near = [row.get("arcsec_away", np.inf) < NEAR_ENOUGH for row in of_tier if row["mass"]]
        found[tier] = {
            "refused": sum("refused" in row for row in of_tier),
            "without_above_threshold": [int((without > threshold).sum()), len(without)],
            "without_against_plain": area_with_interval(without, plain),
            "subhalo_against_without": area_with_interval(above, scores(tier, halo=False))
            if len(above)
            else None,
            "subhalos_above_threshold_and_near": [
                sum(
                    row["score"] > threshold and row.get("arcsec_away", np.inf) < NEAR_ENOUGH
                    for row in of_tier
                    if row["mass"] and "score" in row
                ),
                len(near),
            ],
        }
    return {"threshold": threshold, "tiers": found}


def main() -> None:
    """Draw, search, summarise."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--num", type=int, default=80)
    parser.add_argument("--out", type=Path, default=OUT)
    config = parser.parse_args()
    rows: dict[str, list[dict[str, Any]]] = {}
    for name, tier in TIERS.items():
        settings = read_yaml(REPOSITORY / "configs" / "detect" / f"{tier.config}.yaml")
        recipe = configured_recipe(settings["recipe"], settings["overrides"])
        classes = 1 if tier.decoy is None else len(recipe.classes)  # decoys: without subhalo alone
        rows[name] = []
        for index in range(0, config.num, classes):
            path = config.work / name / f"{index}.json"
            if not path.exists():
                path.parent.mkdir(parents=True, exist_ok=True)
                row = score(tier, recipe, settings["seed"], index)
                write_whole(path, json.dumps(row).encode())
            rows[name].append(json.loads(path.read_text()))
        print(name, flush=True)
    write_result(config.out, {"num": config.num, **summary(rows), "images": rows})


if __name__ == "__main__":
    main()
