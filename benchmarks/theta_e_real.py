"""Einstein radii of real lenses, of another code's images, and of the DeepLense authors' images.

Reads the folder of reference data (see its README) and fits every lens as `lenspinn measure` does,
with one setting for all. Real lenses are listed one by one beside the published value, or what is
said of their ring by eye, and the radius of their ring; pictures go to `--pictures`. The noise-free
images of the authors' simulator get white noise first.

    python benchmarks/theta_e_real.py ../shared/data
"""

import argparse
import csv
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from result_file import write_result

from lenspinn.evaluate.files import save_figure
from lenspinn.lensing.psf import gaussian_kernel
from lenspinn.measure import LensMeasurement, measure_lens
from lenspinn.measure.companions import FileOptions, read_with_companions
from lenspinn.measure.lens_picture import measurement_figure

OUT = Path(__file__).resolve().parents[1] / "results" / "theta_e" / "real.json"
SEED = 1
PEAK_SNR = 40.0
"""Of the brightest pixel of the authors' images, with white noise."""
GAUSSIAN_FWHM = {"II": (0.16, 0.101), "III": (0.08, 0.08)}
"""PSF and pixel scale of the authors' models, arcsec."""
TRUNCATION = 5.0
"""Of a Gaussian PSF, standard deviations, as in lenstronomy."""
SLACS = ("SDSSJ0946+1006", "SDSSJ0956+5100", "SDSSJ0029-0055")
"""Lenses with a theta_E in `SLACS_table.cat`; the others have one of GLASS only."""
GLASS = {"SDSSJ0753+3416": 1.314, "SDSSJ1051+4439": 1.496}
"""Printed by `glass_params.csv`, by way of the README of the data."""
COWLS = {
    "COSJ100024+015334": "F444W",
    "COSJ100018+022138": "F277W",
    "COSJ100012+022015": "F277W",
    "COSJ095950+022057": "F150W",
    "COSJ095914+021219": "F277W",
}
"""The band in which the arcs are clearest, from the README of the data."""
BANDS = ("F115W", "F150W", "F277W", "F444W")
EUCLID = {
    "102020532_NEG589257492489565961": ("Herculens notebook", 1.236),
    "102018665_NEG570040238507752998": ("ring by eye", 0.75),
}
"""VIS images; from the README of the data."""
BY_EYE = {
    "dolphin_lens_system1": {"F390W": 1.25},
    "DCLS0353-1706": {"F140W": 2.0, "F200LP": 2.0},
}
"""Radius of the ring, arcsec, of the outer where there are two, from the README of the data."""
PYAUTOLENS = {"hst": 0.05, "lens_sersic": 0.1}
"""Pixel scale, arcsec."""
AXIS_RATIO = 0.8
"""Of the lens of both, theta_E 1.6 in the convention of PyAutoLens."""
PYAUTOLENS_THETA_E = 1.6 * 2 * AXIS_RATIO**0.5 / (1 + AXIS_RATIO)
"""Arcsec, on the intermediate axis."""


class Lens(NamedTuple):
    """One lens and what is published about it."""

    name: str
    reference: str
    theta_E: float
    image: Path
    pixel_scale: float | None = None
    psf: Path | None = None
    prefix: str = ""
    """Of the names of noise map and PSF in the folder of the image."""


def lenses(data: Path) -> Iterator[Lens]:
    """Yield the real lenses, then those of another code."""
    slacs = data / "hst_slacs"
    table = {
        row[0]: float(row[7])
        for row in map(str.split, (slacs / "SLACS_table.cat").read_text().splitlines())
        if row and not row[0].startswith("#")
    }
    tinytim = slacs / "psf_tinytim_acs_f814w.fits"
    for name in (*SLACS, *GLASS):
        image = slacs / name / "data.fits"
        psf = None if (image.parent / "psf.fits").exists() else tinytim
        if name in GLASS:
            yield Lens(name, "GLASS", GLASS[name], image, psf=psf)
        else:
            yield Lens(name, "SLACS", table[name], image, psf=psf)
    for name, band in COWLS.items():
        folder = data / "jwst_cowls" / name
        theta_E = json.loads((folder / "result.json").read_text())["einstein_radius"]
        for other in (band, *(other for other in BANDS if other != band)):
            image = folder / f"{other}_data.fits"
            reference = "COWLS" if other == band else "COWLS, other bands"
            yield Lens(name, reference, theta_E, image, prefix=f"{other}_")
    for name, (reference, theta_E) in EUCLID.items():
        image = data / "euclid_q1" / name / "VIS_data.fits"
        yield Lens(name, reference, theta_E, image, prefix="VIS_")
    for name, rings in BY_EYE.items():
        for band, radius in rings.items():
            folder = data / "hst_other" / name
            image, psf = (folder / f"{part}_{band}.h5" for part in ("image", "psf"))
            yield Lens(name, "ring by eye", radius, image, psf=psf)
    for name, scale in PYAUTOLENS.items():
        image = data / "peer_images" / name / "data.fits"
        yield Lens(name, "PyAutoLens truth", PYAUTOLENS_THETA_E, image, scale)


def measured(lens: Lens) -> LensMeasurement:
    """Fit one lens from its files."""
    folder = lens.image.parent
    files = {
        "noise": folder / f"{lens.prefix}noise_map.fits",
        "psf": lens.psf or folder / f"{lens.prefix}psf.fits",
        "mask": folder / "mask_extra_galaxies.fits",
    }
    there = {key: path for key, path in files.items() if path.exists()}
    files = FileOptions(pixel_scale=lens.pixel_scale, **there)
    found, known = read_with_companions(lens.image, files)
    return measure_lens(
        found.data,
        pixel_scale=found.pixel_scale,
        noise=known.noise,
        psf=known.psf,
        mask=known.mask,
    )


def of_lens(lens: Lens, pictures: Path | None) -> dict[str, Any]:
    """Return the row of one lens."""
    found = measured(lens)
    if pictures is not None:
        pictures.mkdir(parents=True, exist_ok=True)
        name = f"{lens.name}_{lens.image.stem}"
        save_figure(measurement_figure(found, lens.name), pictures / f"{name}.png")
    row = {
        "name": lens.name,
        "image": lens.image.name,
        "reference": lens.reference,
        "published_theta_E_arcsec": lens.theta_E,
        "relative_difference": found.theta_E / lens.theta_E - 1,
        "ring_relative_difference": found.ring_radius / lens.theta_E - 1,
        **found.to_json(),
    }
    del row["lenstronomy"]  # the same parameters once more
    print(f"{lens.name:20} {lens.image.stem:16} {lens.theta_E:.3f} {found}", flush=True)
    return row


def of_deeplensesim(data: Path, model: str) -> dict[str, Any]:
    """Return errors over the authors' images of one model, in which only the mass varies."""
    stem = data / "deeplensesim" / f"model_{model}_varied_mass"
    truth = json.loads(Path(f"{stem}_truth.json").read_text())
    with np.load(f"{stem}.npz") as content:
        images = content["images"].astype(np.float64)
    rng = np.random.default_rng(SEED)
    rows = [
        of_image(image, true, *GAUSSIAN_FWHM[model], rng)
        for image, true in zip(images, truth, strict=True)
    ]
    names = dict.fromkeys(row["class"] for row in rows)
    by_class = {name: [row for row in rows if row["class"] == name] for name in names}
    record = {
        "model": model,
        "all": summary(rows),
        **{name: summary(of_class) for name, of_class in by_class.items()},
    }
    print(json.dumps(record), flush=True)
    return record | {"images": rows}


def of_image(
    image: np.ndarray,
    true: dict[str, Any],
    fwhm: float,
    scale: float,
    rng: np.random.Generator,
) -> dict[str, Any]:
    """Add noise to one of the authors' images and fit it."""
    sigma = image.max() / PEAK_SNR
    axis = gaussian_kernel(fwhm / scale, TRUNCATION)
    found = measure_lens(
        image + sigma * rng.standard_normal(image.shape),
        pixel_scale=scale,
        noise=np.full_like(image, sigma),
        psf=np.outer(axis, axis),
        lens_light="none",
    )
    return {
        "class": true["cls"],
        "main_theta_E_arcsec": true["theta_E"],
        "total_theta_E_arcsec": total_theta_E(true),
        "theta_E_arcsec": found.theta_E,
        "theta_E_error_arcsec": found.theta_E_error,
        "statistical_error_arcsec": found.errors["theta_E"],
        "ring_radius_arcsec": found.ring_radius,
        "chi2_per_pixel": found.chi2_per_pixel,
        "trusted": found.trusted,
        "reasons": list(found.reasons),
    }


def total_theta_E(true: dict[str, Any]) -> float:
    """Return theta_E of the main lens and of the substructure within it.

    A radius encloses mass in proportion to its square; the authors add substructure to the halo.
    """
    points = np.array(true["cdm_point_masses_thetaE_x_y"] or np.zeros((0, 3)))
    if true["vortex"] is not None:
        vortex = true["vortex"]
        line = np.linspace(vortex["end0"], vortex["end1"], vortex["n"])
        points = np.column_stack([np.full(vortex["n"], vortex["vortex_theta_E_each"]), line])
    inside = np.hypot(points[:, 1], points[:, 2]) < true["theta_E"]
    return float(np.sqrt(true["theta_E"] ** 2 + (points[inside, 0] ** 2).sum()))


def summary(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the medians, and how often errors were as large as they said."""
    main, total, ours, ring, error = (
        np.array([row[f"{key}_arcsec"] for row in rows])
        for key in (
            "main_theta_E",
            "total_theta_E",
            "theta_E",
            "ring_radius",
            "theta_E_error",
        )
    )
    off = np.abs(ours / total - 1)
    return {
        "num": len(rows),
        "num_trusted": sum(row["trusted"] for row in rows),
        "median_relative_error": float(np.median(off)),
        "largest_relative_error": float(off.max()),
        "median_relative_error_of_main_lens": float(np.median(np.abs(ours / main - 1))),
        "num_beyond_5_percent": int((off > 0.05).sum()),
        "share_within_1_sigma": float((np.abs(ours - total) < error).mean()),
        "share_within_2_sigma": float((np.abs(ours - total) < 2 * error).mean()),
        "median_relative_error_of_ring": float(np.median(np.abs(ring / total - 1))),
    }


def write_table(rows: list[dict[str, Any]], path: Path) -> None:
    """Write the numbers of the rows as CSV."""
    columns = [key for key, value in rows[0].items() if isinstance(value, str | float | bool)]
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, columns, extrasaction="ignore", lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def main() -> None:
    """Measure and write `OUT`."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("--pictures", type=Path)
    arguments = parser.parse_args()
    if not arguments.data.is_dir():
        sys.exit(f"there is no folder {arguments.data}: nothing was measured")
    rows = [of_lens(lens, arguments.pictures) for lens in lenses(arguments.data)]
    write_result(
        OUT,
        {
            "config": {"seed": SEED, "peak_snr": PEAK_SNR},
            "lenses": rows,
            "deeplensesim": [of_deeplensesim(arguments.data, model) for model in GAUSSIAN_FWHM],
        },
    )
    write_table(rows, OUT.with_suffix(".csv"))


if __name__ == "__main__":
    main()
