"""How often the intervals of theta_E hold the truth, by noise, steps and start of the fit.

Images of `survey/hst` without substructure, which the smooth lens can explain, are fitted from the
truth and from the guesses of a trained encoder, with the noise of a pixel taken from the image
(the mean of nine pixels), from the model as the network does it, and from the simulator.

    python benchmarks/intervals.py RUN [--images 1000]

CPU seconds are those of this process on one thread; the first batch, which compiles, is not timed.
"""

import argparse
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from result_file import write_result
from torch import Tensor
from torch.nn.functional import pad

from lenspinn.evaluate.lens import EinsteinRadii, lens_metrics
from lenspinn.models import LensFit, NetworkInput
from lenspinn.models.lens_guess import true_parameters
from lenspinn.simulate import add_noise, draw_batch, get_recipe, noise_sigma, render
from lenspinn.train import load_run

RECIPE, CLASS, SEED = "survey/hst", "no_sub", 300
STEPS = (12, 20, 40)
BATCH_SIZE = 64
CONVERGED = 1.1
"""Chi^2 a degree of freedom; 4.5 standard deviations above 1."""
OUT = Path(__file__).resolve().parents[1] / "results" / "theta_e" / "intervals.json"


def simulate(num: int) -> tuple[Tensor, Tensor, dict[str, Tensor]]:
    """Return images, the standard deviation of their pixels, and the truth."""
    recipe = get_recipe(RECIPE)
    labels = np.full(num, recipe.classes.index(CLASS))
    scene, truth = draw_batch(recipe, labels, np.random.default_rng(SEED))
    clean = render(scene, recipe.camera)
    image = add_noise(clean, recipe.instrument, torch.Generator().manual_seed(SEED))
    known = {name: torch.from_numpy(values).float() for name, values in truth.items()}
    return image[:, None], noise_sigma(clean, recipe.instrument), known


def measure(
    model: LensFit, image: Tensor, start: Tensor, noise: Tensor | None, truth: Tensor
) -> dict[str, Any]:
    """Fit all images with the steps that the model has; `noise` is None for its own."""
    begun, parts = time.process_time(), []
    for rows in torch.arange(len(image)).split(BATCH_SIZE):
        known = None if noise is None else noise[rows]
        fit = model.fit(NetworkInput(image[rows], start=start[rows], noise=known))
        parts.append((fit.parameters[:, 0], fit.standard_errors[:, 0], fit.chi2))
    seconds = time.process_time() - begun
    theta_E, error, chi2 = (torch.cat(part).double().numpy() for part in zip(*parts, strict=True))
    found = EinsteinRadii(theta_E=theta_E, standard_error=error, truth=truth.double().numpy())
    per_freedom = chi2 / (image[0].numel() - start.shape[1])
    return {
        "steps": model.steps,
        "converged": float((per_freedom < CONVERGED).mean()),
        "median_chi2": float(np.median(per_freedom)),
        "cpu_ms_an_image": round(1000 * seconds / len(image), 2),
        **lens_metrics(found, np.zeros(len(image), dtype=np.int64), ()),
    }


def main() -> None:
    """Measure, print and write the result."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("run", type=Path)
    parser.add_argument("--images", type=int, default=1000)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    model = load_run(arguments.run).model
    assert isinstance(model, LensFit)
    image, sigma, truth = simulate(arguments.images)
    with torch.inference_mode():
        guesses = torch.cat([model.predict_parameters(part) for part in image.split(BATCH_SIZE)])
    starts = {"the truth": pad(true_parameters(truth), (0, 1)), "the encoder": guesses}
    noises = {"nine pixels": model.noise_sigma(image), "the model": None, "the simulator": sigma}
    model.fit(NetworkInput(image[:BATCH_SIZE], start=guesses[:BATCH_SIZE]))  # compiles
    records = []
    for start in starts:
        for noise in noises:
            for model.steps in STEPS:
                scores = measure(model, image, starts[start], noises[noise], truth["theta_E"])
                records.append({"start": start, "noise": noise, **scores})
                print(records[-1])
    write_result(
        OUT,
        {
            "config": {"recipe": RECIPE, "class": CLASS, "seed": SEED, "n_images": len(image)},
            "records": records,
        },
    )


if __name__ == "__main__":
    main()
