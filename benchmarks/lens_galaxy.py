"""How often lens light is seen where there is some, and not where there is none.

Scenes of several recipes, without lens light and with that of `survey/hst_lenslight` at 18 to 23
mag left in, also with lenses beside the middle of the image; and real images, all of which have
lens light. Limits were chosen with the first seed and lenses of the first half.

    python benchmarks/lens_galaxy.py ../shared/data
"""

import argparse
import dataclasses
import sys
from pathlib import Path
from typing import Any

import numpy as np
from result_file import write_result

from lenspinn.data import read_fits
from lenspinn.measure.lens_galaxy import find_lens_galaxy
from lenspinn.measure.observation import observe
from lenspinn.simulate import Recipe, get_recipe, simulate_images

OUT = Path(__file__).resolve().parents[1] / "results" / "apply" / "lens_galaxy.json"
SEEDS, NUM = (71, 83), 12
RECIPES = ("survey/hst", "survey/hst_clumpy", "survey/hst_complex", "survey/euclid", "survey/jwst")
ASIDE = {"lens.center_x": {"uniform": [-0.4, 0.4]}, "lens.center_y": {"uniform": [-0.4, 0.4]}}
"""Of `survey/hst`, arcsec."""
MAGNITUDE = {"lens_light.magnitude": {"uniform": [18, 23]}}
REAL = ("hst_slacs63/*/data.fits", "jwst_cowls/*/*_data.fits", "euclid_q1/*/*_data.fits")
HALVES = ("chosen_on", "reported")
"""Of seeds, and of folders of real lenses in alphabetical order, in turn."""


def recipes() -> dict[str, Recipe]:
    """Return the recipes without lens light, by name."""
    there = {name: get_recipe(name) for name in RECIPES}
    return there | {"survey/hst, beside the middle": get_recipe("survey/hst", **ASIDE)}


def with_light(recipe: Recipe) -> Recipe:
    """Return a recipe whose lenses shine, and nobody took that away."""
    light = get_recipe("survey/hst_lenslight", **MAGNITUDE).lens_light
    assert light is not None
    light = dataclasses.replace(light, subtraction_error=None)
    return dataclasses.replace(recipe, lens_light=light)


def shows(image: np.ndarray, pixel_scale: float) -> bool:
    """Return whether lens light is seen in an image without noise map."""
    seen = observe(image, pixel_scale=pixel_scale, noise=None, psf=None, mask=None)
    return find_lens_galaxy(seen.image, seen.sigma, pixel_scale) is not None


def of_recipe(name: str, recipe: Recipe) -> list[dict[str, Any]]:
    """Count images of a recipe, without and with lens light, by seed."""
    rows = []
    for half, seed in zip(HALVES, SEEDS, strict=True):
        row = {"images": name, "half": half, "num": NUM}
        for kind, made in (("dark", recipe), ("lit", with_light(recipe))):
            images, _, _ = simulate_images(made, NUM, seed, engine="eager")
            seen = [shows(image, made.instrument.pixel_scale) for image in images[:, 0]]
            row[f"{kind}_right"] = sum(found == (kind == "lit") for found in seen)
        rows.append(row)
        print(row, flush=True)
    return rows


def of_real(data: Path) -> list[dict[str, Any]]:
    """Count real images in which the lens galaxy is seen."""
    files = sorted(path for pattern in REAL for path in data.glob(pattern))
    folders = sorted({path.parent for path in files})
    rows = []
    for place, half in enumerate(HALVES):
        found = [read_fits(path) for path in files if folders.index(path.parent) % 2 == place]
        seen = [shows(image.data, image.pixel_scale) for image in found]
        rows.append({"images": "real", "half": half, "num": len(seen), "lit_right": sum(seen)})
        print(rows[-1], flush=True)
    return rows


def main() -> None:
    """Count and write `OUT`."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path)
    arguments = parser.parse_args()
    if not arguments.data.is_dir():
        sys.exit(f"there is no folder {arguments.data}: nothing was counted")
    rows = [row for name, recipe in recipes().items() for row in of_recipe(name, recipe)]
    write_result(OUT, {"config": {"seeds": SEEDS}, "rows": rows + of_real(arguments.data)})


if __name__ == "__main__":
    main()
