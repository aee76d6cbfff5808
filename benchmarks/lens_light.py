"""What taking the lens light away costs: `lenspinn apply` on lenses whose light is known.

Scenes like a run's own, with the lens light of `survey/hst_lenslight` left in and without it,
become telescope images with noise map and PSF. `lenspinn apply` makes both kinds ready, models the
light of one, and answers. Beside that stands what the network says of the dark images as they are,
and of the others without exactly the light that was put in, told their noise.

    python benchmarks/lens_light.py models/lenspinn_fit_hst --work FOLDER

An interrupted call is continued by the same one: FOLDER has a file for each scene, of one network.
"""

import argparse
import dataclasses
import json
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import torch
from result_file import write_result
from run_recipe import recipe_like

from lenspinn.apply import Answer, apply_model
from lenspinn.data.background import background_sigma
from lenspinn.data.fits import write_fits
from lenspinn.evaluate.judgement import join_judgements, load_calibration
from lenspinn.evaluate.metrics import classification_metrics, trust_metrics
from lenspinn.evaluate.predict import Outputs, network_outputs, outputs_of
from lenspinn.files import write_whole
from lenspinn.lensing.psf import gaussian_kernel
from lenspinn.models import LensFit, NetworkInput
from lenspinn.simulate import Recipe, add_noise, draw_scenes, get_recipe, render
from lenspinn.simulate.draw import noise_generator
from lenspinn.simulate.noise import noise_sigma
from lenspinn.train import Run, load_run

NUM, SEED = 150, 600
NUM_PIX = 96
"""Of a telescope image, which shows more of the sky than the network sees."""
OF_ANY_LENS = {"lens model", "lens light"}
"""What speaks against the answer for any telescope image, of lenses like the network's too."""
DARK, LIT = "dark lens", "lens light"
OUT = Path(__file__).resolve().parents[1] / "results" / "apply" / "lens_light.json"


def recipe_with_light(run: Run) -> Recipe:
    """Return the recipe of a run with a wider field, and lens light that nobody took away."""
    recipe = recipe_like(run, num_pix=NUM_PIX)
    light = get_recipe("survey/hst_lenslight").lens_light
    assert light is not None
    return dataclasses.replace(
        recipe, lens_light=dataclasses.replace(light, subtraction_error=None)
    )


def telescope_images(recipe: Recipe, index: int) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Return image and noise map of one scene with and without lens light, e-/s."""
    scene, truth = draw_scenes(recipe, SEED, [index])
    time = float(truth["exposure_time"][0])
    images = {}
    for name, shown in ((DARK, dataclasses.replace(scene, lens_light=None)), (LIT, scene)):
        exact = render(shown, recipe.camera).numpy()[0]
        generator = noise_generator(SEED, index)
        noisy = add_noise(exact, recipe.instrument, generator, time)
        images[name] = noisy, noise_sigma(exact, recipe.instrument, time)
    return images


def write_lens(
    folder: Path, image: np.ndarray, noise: np.ndarray, recipe: Recipe, psf: np.ndarray
) -> Path:
    """Write a lens as `lenspinn apply` takes it, and return the folder."""
    folder.mkdir(parents=True)
    scale = recipe.instrument.pixel_scale
    write_fits(folder / "data.fits", image, scale, BUNIT="e-/s", TELESCOP="HST", INSTRUME="WFC3")
    write_fits(folder / "noise_map.fits", noise, scale)
    write_fits(folder / "psf.fits", psf, scale)
    return folder


def answers_of(model: Path, recipe: Recipe, index: int) -> dict[str, Any]:
    """Return what `lenspinn apply` answers to one scene, by kind of lens."""
    axis = gaussian_kernel(recipe.camera.psf_fwhm / recipe.camera.pixel_scale, 5.0)
    found = {}
    with tempfile.TemporaryDirectory() as scratch:
        for name, (image, noise) in telescope_images(recipe, index).items():
            folder = write_lens(Path(scratch) / name, image, noise, recipe, np.outer(axis, axis))
            light = "model" if name == LIT else "none"
            (answer,) = apply_model(
                [folder], model=model, out=folder / "out", lens_light=light, progress=False
            )
            assert isinstance(answer, Answer)
            found[name] = answer.to_json()
    return found


def scores(
    probabilities: np.ndarray,
    possible: np.ndarray,
    refused: np.ndarray,
    labels: np.ndarray,
    classes: tuple[str, ...],
) -> dict[str, Any]:
    """Score answers, however they came about."""
    return {
        **classification_metrics(probabilities, labels, classes, seed=SEED),
        **trust_metrics(probabilities, possible, refused, labels, classes),
    }


def scores_of_apply(
    answers: list[dict[str, Any]], labels: np.ndarray, classes: tuple[str, ...]
) -> dict[str, Any]:
    """Score what `lenspinn apply` said of one kind of lens."""
    probabilities = np.array([list(answer["probabilities"].values()) for answer in answers])
    told = [answer["uncertainty"] for answer in answers]
    possible = np.array([[name in one["possible"] for name in classes] for one in told])
    refused = np.array([one["refused"] for one in told])
    serious = [
        {m["kind"] for m in answer["mismatches"] if m["serious"]} - OF_ANY_LENS
        for answer in answers
    ]
    spoken = np.array([not kinds for kinds in serious]) & ~refused
    right = probabilities.argmax(axis=1) == labels
    covered = possible[np.arange(len(labels)), labels]
    return scores(probabilities, possible, refused, labels, classes) | {
        "answered_and_only_what_any_lens_has_against_it": int(spoken.sum()),
        "accuracy_of_these": float(right[spoken].mean()) if spoken.any() else None,
        "coverage_of_these": float(covered[spoken].mean()) if spoken.any() else None,
        "against_it": Counter(kind for kinds in serious for kind in sorted(kinds)),
    }


def inner(run: Run, pixels: np.ndarray) -> np.ndarray:
    """Return what the network sees of a telescope image."""
    edge = (NUM_PIX - run.model.num_pix) // 2
    return pixels[edge:-edge, edge:-edge]


def as_they_are(run: Run, recipe: Recipe, index: int) -> Outputs:
    """Show the network a dark lens without `lenspinn apply`."""
    image, _ = telescope_images(recipe, index)[DARK]
    return network_outputs(run.model, inner(run, image)[None, None])


def without_exact_light(run: Run, recipe: Recipe, index: int) -> Outputs:
    """Show the network a lens less exactly its light, and tell it noise and PSF."""
    scene, _ = draw_scenes(recipe, SEED, [index])
    dark = dataclasses.replace(scene, lens_light=None)
    light = (render(scene, recipe.camera) - render(dark, recipe.camera)).numpy()[0]
    image, noise = telescope_images(recipe, index)[LIT]
    model = run.model
    assert isinstance(model, LensFit)
    seen, sigma = (
        torch.from_numpy(inner(run, pixels)).float()[None] for pixels in (image - light, noise)
    )
    factor = model.background_sigma / float(background_sigma(seen[None]))
    seen = seen[None] * factor
    with torch.inference_mode():
        solution = model.solve(NetworkInput(seen, noise=sigma * factor), compiled=False)
        return outputs_of(model.examine(solution), solution.image)


def scores_of_network(outputs: list[Outputs], run: Run, labels: np.ndarray) -> dict[str, Any]:
    """Score what the network said without `lenspinn apply`, an image each."""
    calibration = load_calibration(run.folder)
    assert calibration is not None
    told = join_judgements([calibration.judge(each) for each in outputs])
    return scores(told.probabilities, told.possible, told.refused, labels, run.model.classes)


def main() -> None:
    """Answer, score, print and write the result."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", type=Path)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--num", type=int, default=NUM)
    parser.add_argument("--out", type=Path, default=OUT)
    config = parser.parse_args()
    torch.set_num_threads(1)
    run = load_run(config.model)
    recipe = recipe_with_light(run)
    config.work.mkdir(parents=True, exist_ok=True)
    answers = []
    for index in range(config.num):
        path = config.work / f"{index:04d}.json"
        if not path.exists():
            answer = json.dumps(answers_of(config.model, recipe, index)) + "\n"
            write_whole(path, answer.encode())
        answers.append(json.loads(path.read_text()))
        print(index, *(answers[-1][name]["verdict"] for name in (DARK, LIT)), sep="  ", flush=True)
    labels, classes = np.arange(config.num) % len(recipe.classes), run.model.classes
    records = {
        f"{name}, {how}": scores_of_network(
            [show(run, recipe, index) for index in range(config.num)], run, labels
        )
        for name, how, show in (
            (DARK, "as it is", as_they_are),
            (LIT, "taken away exactly", without_exact_light),
        )
    }
    for name in (DARK, LIT):
        records[f"{name}, through apply"] = scores_of_apply(
            [a[name] for a in answers], labels, classes
        )
    write_result(
        config.out,
        {
            "num": config.num,
            "seed": SEED,
            "records": records,
        },
    )


if __name__ == "__main__":
    main()
