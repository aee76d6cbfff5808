"""What brightness at pixel centres costs: images at 1 to 4 points a side against 8.

For smooth lenses of each telescope's recipe: the worst pixel in per cent of the peak, and the whole
difference in units of the noise, sqrt(sum (difference / sigma)^2).

    python benchmarks/supersampling.py
"""

import argparse
import dataclasses
from pathlib import Path

import numpy as np
import torch
from result_file import write_result

from lenspinn.simulate import draw_scenes, get_recipe, noise_sigma, render

RECIPES = ("survey/hst", "survey/euclid", "survey/rubin", "survey/jwst")
NUM, EXACT, POINTS = 60, 8, (1, 2, 3, 4)
OUT = Path(__file__).resolve().parents[1] / "results" / "benchmarks" / "supersampling.json"


def measure(name: str) -> list[dict[str, object]]:
    """Return the records of one recipe, one for each number of points."""
    recipe = get_recipe(name)
    smooth = recipe.classes.index("no_sub")
    scene, _ = draw_scenes(recipe, 0, np.arange(NUM) * len(recipe.classes) + smooth)
    parts = [scene.take(np.arange(start, start + 10)) for start in range(0, NUM, 10)]

    def images(points: int) -> torch.Tensor:
        camera = dataclasses.replace(recipe.camera, supersampling=points)
        return torch.cat([render(part, camera) for part in parts])

    exact = images(EXACT)
    sigma = noise_sigma(exact, recipe.instrument)
    records = []
    for points in POINTS:
        difference = images(points) - exact
        worst = difference.abs().amax((1, 2)) / exact.amax((1, 2))
        total = (difference / sigma).square().sum((1, 2)).sqrt()
        records.append(
            {
                "recipe": name,
                "supersampling": points,
                "n": NUM,
                "worst_pixel_percent_median": round(100 * worst.median().item(), 2),
                "sigma_median": round(total.median().item(), 2),
                "sigma_p90": round(total.quantile(0.9).item(), 2),
            }
        )
    return records


def main() -> None:
    """Measure, print the table and write the record."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=OUT)
    config = parser.parse_args()
    records = [record for name in RECIPES for record in measure(name)]
    for record in records:
        print(*(f"{value:>14}" for value in record.values()))
    write_result(
        config.out,
        {
            "config": {"num": NUM, "exact": EXACT, "seed": 0},
            "records": records,
        },
    )


if __name__ == "__main__":
    main()
