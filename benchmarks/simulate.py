"""How fast images are simulated, beside lenstronomy in the same run, and what it costs.

One core (one thread) unless said otherwise. The two engines take turns, so that whatever else the
machine does slows both alike; times are medians. lenstronomy is timed in three ways: through its
SimAPI, as the DeepLense simulator calls it; building its ImageModel for each image, which another
number of subhalos needs; and ``ImageModel.image`` of models built beforehand. Ours is `render`,
from numpy scenes to pixels. Drawing and noise are timed with the dataset that is written to disk.
The first image of each class is timed in processes of their own, from an empty compiler cache, as
after an installation, and once more from the cache that this leaves.

    python benchmarks/simulate.py [--repeats 15]
"""

import argparse
import os
import resource
import statistics
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import torch
from lenstronomy.SimulationAPI.sim_api import SimAPI
from matplotlib.figure import Figure
from result_file import write_result

from lenspinn.simulate import Recipe, Scene, SimulateConfig, draw_scenes, get_recipe, simulate
from lenspinn.simulate.lenstronomy import lenstronomy_model, render_lenstronomy
from lenspinn.simulate.render import render

BATCH_SIZE = 64
LARGE_BATCH_SIZE = 256  # what a call costs by itself is spread over more images
LENSTRONOMY_IMAGES = 8
OUT = Path(__file__).resolve().parents[1] / "results" / "benchmarks" / "simulate.json"
SUBHALOS = (0, 1, 3, 10, 25, 100, 300, 1000)
PIXELS = (32, 64, 128, 256)
BATCHES = (1, 4, 16, 64, 256)

Record = dict[str, Any]


def seconds(call: Callable[[], Any]) -> float:
    """Duration of one call."""
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def scenes(recipe: Recipe, label: int, num: int) -> Scene:
    """Draw scenes of one class."""
    return draw_scenes(recipe, 0, np.arange(num) * len(recipe.classes) + label)[0]


def first_images() -> float:
    """Duration of the first image of each of the paper's classes, compilation included."""
    torch.set_num_threads(1)
    recipe = get_recipe("deeplense/model_3")
    drawn = [scenes(recipe, label, 2) for label in range(len(recipe.classes))]
    return seconds(lambda: [render(scene, recipe.camera, compiled=True) for scene in drawn])


def in_new_process(call: Callable[[], float]) -> float:
    """Return what a call returns in a process that has compiled nothing yet."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        return pool.submit(call).result()


def through_simapi(recipe: Recipe, scene: Scene, row: int) -> np.ndarray:
    """Render an image as the DeepLense simulator does, from names and values to pixels."""
    instrument = recipe.instrument
    model, values = lenstronomy_model(scene, row, recipe.camera)
    band = {
        "pixel_scale": instrument.pixel_scale,
        "exposure_time": instrument.exposure_time,
        "num_exposures": instrument.num_exposures,
        "magnitude_zero_point": instrument.zero_point,
        "sky_brightness": instrument.sky_brightness,
        "read_noise": instrument.read_noise,
        "seeing": instrument.psf_fwhm,
        "psf_type": "GAUSSIAN",
    }
    names = {
        "lens_model_list": model.LensModel.lens_model_list,
        "source_light_model_list": ["SERSIC_ELLIPSE"],
    }

    def image() -> np.ndarray:
        simulator = SimAPI(recipe.num_pix, band, names).image_model_class({})
        return simulator.image(values["kwargs_lens"], values["kwargs_source"])

    return image


def against_lenstronomy(label: int, batch_size: int, repeats: int) -> list[Record]:
    """Speed records of one class of the paper's images, one for each way to call lenstronomy."""
    recipe = get_recipe("deeplense/model_3")
    scene, camera = scenes(recipe, label, batch_size), recipe.camera
    rows = range(LENSTRONOMY_IMAGES)
    built = [lenstronomy_model(scene, row, camera) for row in rows]
    simapi = [through_simapi(recipe, scene, row) for row in rows]
    ways = {
        "lenstronomy through SimAPI": lambda: [image() for image in simapi],
        "lenstronomy, model built for each image": lambda: [
            render_lenstronomy(scene, row, camera) for row in rows
        ],
        "lenstronomy, models built beforehand": lambda: [
            model.image(**values) for model, values in built
        ],
    }

    def ours() -> np.ndarray:
        return render(scene, camera, compiled=True).numpy()

    images, expected = ours(), np.stack(ways["lenstronomy, models built beforehand"]())
    difference = np.abs(images[: len(rows)] - expected).max(axis=(1, 2))
    ours_s: list[float] = []
    theirs_s: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(repeats):
        ours_s.append(statistics.median(seconds(ours) for _ in range(3)) / batch_size)
        for name, call in ways.items():
            theirs_s[name].append(seconds(call) / len(rows))
    per_image = statistics.median(ours_s)
    return [
        {
            "what": f"render {recipe.classes[label]}",
            "size": f"batch {batch_size}, {recipe.num_pix} x {recipe.num_pix} pixels, "
            f"{0 if scene.points is None else scene.points.x.shape[1]} point masses",
            "device": "cpu, 1 thread",
            "ours_per_s": round(1 / per_image, 1),
            "reference": name,
            "reference_per_s": round(1 / statistics.median(values), 1),
            "ratio": round(statistics.median(values) / per_image, 2),
            "max_difference": float((difference / expected.max(axis=(1, 2))).max()),
        }
        for name, values in theirs_s.items()
    ]


def cost(what: str, value: int, repeats: int, **changes: Any) -> Record:
    """Time of one image of the cdm class for one size, compiled."""
    batch_size = changes.pop("batch_size", BATCH_SIZE)
    faults = {"fixed_subhalo_count": True}
    recipe = get_recipe("survey/hst", **{"faults": faults, **changes})
    scene, camera = scenes(recipe, 1, batch_size), recipe.camera
    render(scene, camera, compiled=True)
    times = [seconds(lambda: render(scene, camera, compiled=True)) for _ in range(repeats)]
    return {
        "what": f"cost by {what}",
        "size": value,
        "device": "cpu, 1 thread",
        "ours_per_s": round(batch_size / statistics.median(times), 1),
        "reference": None,
        "reference_per_s": None,
        "ratio": None,
        "max_difference": None,
    }


def costs(repeats: int) -> list[Record]:
    """Cost by number of subhalos, by pixels and by batch, the others as in the paper."""
    by_number = [
        cost("subhalos", n, repeats, **{"populations.cdm.mean_number": float(n)}) for n in SUBHALOS
    ]
    by_pixels = [
        cost("pixels along a side", n, repeats, num_pix=n, **{"instrument.pixel_scale": 5.12 / n})
        for n in PIXELS
    ]
    largest = cost(
        "pixels along a side, 1,000 subhalos",
        256,
        3,
        num_pix=256,
        **{"instrument.pixel_scale": 0.02, "populations.cdm.mean_number": 1000.0},
    )
    by_batch = [cost("batch", n, repeats, batch_size=n) for n in BATCHES]
    return [*by_number, *by_pixels, largest, *by_batch]


def dataset_on_disk() -> Record:
    """Time of the paper's 9,000 images, drawn, rendered and written, after compilation."""
    with tempfile.TemporaryDirectory() as folder:
        config = {"recipe": "deeplense/model_3", "seed": 0}
        simulate(SimulateConfig(num=6, out=Path(folder) / "warm.zarr", **config), progress=False)
        torch.set_num_threads(2)
        taken = seconds(
            lambda: simulate(
                SimulateConfig(num=9000, out=Path(folder) / "a.zarr", num_workers=2, **config),
                progress=False,
            )
        )
    return {
        "what": "the paper's 9,000 images on disk",
        "size": f"{taken:.2f} s",
        "device": "cpu, 2 threads",
        "ours_per_s": round(9000 / taken, 1),
        "reference": None,
        "reference_per_s": None,
        "ratio": None,
        "max_difference": None,
    }


def draw_figure(records: list[Record], path: Path) -> None:
    """Draw time an image against subhalos, pixels and batch."""
    figure = Figure(figsize=(10, 3.2), layout="constrained")
    panels = figure.subplots(1, 3, sharey=True)
    for panel, what in zip(panels, ("subhalos", "pixels along a side", "batch"), strict=True):
        chosen = [record for record in records if record["what"] == f"cost by {what}"]
        sizes = [record["size"] for record in chosen]
        panel.plot(sizes, [1e6 / record["ours_per_s"] for record in chosen], "o-")
        panel.set(xlabel=what, yscale="log", xscale="symlog" if 0 in sizes else "log")
        panel.grid(alpha=0.3)
    panels[0].set_ylabel("microseconds an image")
    figure.suptitle("survey/hst, cdm; 25 subhalos, 64 x 64 pixels, batch 64; one core, compiled")
    figure.savefig(path, dpi=150)


def main() -> None:
    """Measure, print the table, write the record and the figure."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=15)
    parser.add_argument("--out", type=Path, default=OUT)
    config = parser.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as cache:
        os.environ["TORCHINDUCTOR_CACHE_DIR"] = cache  # of the other processes too
        measure(config.repeats, config.out)


def measure(repeats: int, out: Path) -> None:
    """Time everything and report it."""
    cold, cached = in_new_process(first_images), in_new_process(first_images)
    records = [
        record
        for label in (2, 1, 0)
        for batch_size in (BATCH_SIZE, LARGE_BATCH_SIZE)
        for record in against_lenstronomy(label, batch_size, repeats)
    ]
    records += costs(repeats)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024**2
    records.append(dataset_on_disk())

    print(f"first images, cold: {cold:.1f} s; from the compiler's cache: {cached:.1f} s")
    print(f"peak memory: {peak:.2f} GiB")
    print(f"{'what':38}{'size':>52}{'ours/s':>10}{'theirs/s':>10}{'ratio':>8}")
    for record in records:
        theirs, ratio = record["reference_per_s"] or "", record["ratio"] or ""
        size = f"{record['size']}"
        print(f"{record['what']:38}{size:>52}{record['ours_per_s']:>10}{theirs:>10}{ratio:>8}")
        if record["reference"]:
            print(f"    {record['reference']}; largest difference {record['max_difference']:.1e}")
    write_result(
        out,
        {
            "config": {"repeats": repeats, "threads": 1},
            "cold_start_seconds": round(cold, 1),
            "cached_start_seconds": round(cached, 1),
            "peak_memory_gib": round(peak, 2),
            "records": records,
        },
    )
    draw_figure(records, out.with_suffix(".png"))


if __name__ == "__main__":
    main()
