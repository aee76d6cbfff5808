"""What it costs and gains to fit slope and multipoles of a lens: images without substructure.

Lenses of `survey/hst_complex`, isothermal ellipsoids or of varied slope with multipoles, before
Sersic and before clumpy sources, are fitted by a `lenspinn_fit` with and without `lens_shape`, both
with structure of the source, from starts that are 0.3 of an encoder's typical error off. Nothing is
trained.

    python benchmarks/lens_shape.py
"""

import argparse
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from result_file import write_result

from lenspinn.evaluate.metrics import N_BOOTSTRAP, mean_of, median_of, with_intervals
from lenspinn.models import FittedReconstruction, LensFit, create_model
from lenspinn.models.lens_guess import LENS_TRUTH, TYPICAL_LENSES, true_parameters
from lenspinn.simulate import Recipe, add_noise, draw_batch, get_recipe, render

NUM, SEED = 240, 700
START_ERROR = 0.3
"""Of the widths of `TYPICAL_LENSES`, the standard deviation of each parameter at the start."""
PEAK = 5.0
"""Standard deviations of a point mass from which a smooth lens seems to have a subhalo."""
PSF_FWHM = 0.12
"""Arcsec."""
BATCH_SIZE = 16
LENSES: dict[str, dict[str, Any]] = {
    "isothermal": {"lens.gamma": 2.0, "lens.multipoles.a3": 0.0, "lens.multipoles.a4": 0.0},
    "slope and multipoles": {},
}
SOURCES = {"Sersic": 0.0, "up to 40 % in clumps": {"uniform": [0.0, 0.4]}}
OUT = Path(__file__).resolve().parents[1] / "results" / "survey_hst" / "lens_shape.json"


def smooth_lenses(recipe: Recipe) -> tuple[torch.Tensor, torch.Tensor, np.ndarray]:
    """Return images, starts of their fits, and true Einstein radii."""
    labels = np.full(NUM, recipe.classes.index("no_sub"))
    scene, truth = draw_batch(recipe, labels, np.random.default_rng(SEED))
    generator = torch.Generator().manual_seed(SEED)
    images = add_noise(render(scene, recipe.camera), recipe.instrument, generator)
    known = {key: torch.from_numpy(truth[key]).float() for key in LENS_TRUTH}
    widths = [width for _, width, _ in TYPICAL_LENSES.values()]
    off = [START_ERROR * width * torch.randn(NUM, generator=generator) for width in widths]
    return images[:, None].float(), true_parameters(known) + torch.stack(off, 1), truth["theta_E"]


def network(recipe: Recipe, lens_shape: bool) -> LensFit:
    """Build a network whose fit begins where it is told."""
    model = create_model(
        "lenspinn_fit",
        psf_fwhm=PSF_FWHM,
        supersampling=recipe.supersampling,
        source_structure=True,
        lens_shape=lens_shape,
    ).eval()
    assert isinstance(model, LensFit)
    return model


def fitted(model: LensFit, images: torch.Tensor, start: torch.Tensor) -> list[FittedReconstruction]:
    """Fit images from given starts."""
    guess = (start - model.middle) / model.width
    found = []
    for part, at in zip(images.split(BATCH_SIZE), guess.split(BATCH_SIZE), strict=True):
        model.readout.forward = lambda _, at=at: at  # type: ignore[method-assign]
        with torch.inference_mode():
            found.append(model.reconstruct(part))
    return found


def measure(model: LensFit, images: torch.Tensor, start: torch.Tensor, true: np.ndarray) -> Any:
    """Return how well the fits of a network hold the truth."""
    fitted(model, images[:BATCH_SIZE], start[:BATCH_SIZE])  # compiles
    begun = time.perf_counter()
    found = fitted(model, images, start)
    seconds = time.perf_counter() - begun
    theta_E, error = (
        torch.cat([getattr(each, name) for each in found]).double().numpy()
        for name in ("theta_E", "theta_E_error")
    )
    peaks = torch.cat([each.point_mass_significance.amax(dim=(1, 2)) for each in found]).numpy()
    chi2 = torch.cat([each.chi2 for each in found]).numpy()
    off = np.abs(theta_E - true)
    everyone = np.ones(len(true), dtype=bool)
    scores = {
        "median_relative_error": median_of(off / true, everyone),
        "within_1_sigma": mean_of(off <= error),
        "within_2_sigma": mean_of(off <= 2 * error),
        "peak_above_5_sigma": mean_of(peaks > PEAK),
        "median_chi2": median_of(chi2, everyone),
    }
    return {
        "n": len(true),
        "ms_per_image": 1e3 * seconds / len(true),
        **with_intervals(scores, len(true), N_BOOTSTRAP, SEED),
    }


def main() -> None:
    """Measure, print and write the result."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=OUT)
    config = parser.parse_args()
    torch.set_num_threads(1)
    records = []
    for lens, changes in LENSES.items():
        for source, share in SOURCES.items():
            overrides = {"source.clumps.share": share, "instrument.psf_fwhm": PSF_FWHM}
            recipe = get_recipe("survey/hst_complex", **(overrides | changes))
            images, start, true = smooth_lenses(recipe)
            for lens_shape in (False, True):
                found = measure(network(recipe, lens_shape), images, start, true)
                records.append({"lens": lens, "source": source, "lens_shape": lens_shape} | found)
                print({k: v for k, v in records[-1].items() if not k.endswith(("_low", "_high"))})
    write_result(
        config.out,
        {
            "config": {"num": NUM, "seed": SEED, "start_error": START_ERROR, "psf_fwhm": PSF_FWHM},
            "records": records,
        },
    )


if __name__ == "__main__":
    main()
