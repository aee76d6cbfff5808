"""What the shipped network says of real lenses and of another code's, one by one.

Reads the folder of reference data (see its README) and gives every lens to `lenspinn apply`, with
its noise map and PSF where there are any, one setting for all. Nobody knows the right class of
these lenses: what is measured is whether the tool refuses, and why.

    python benchmarks/apply_real.py models/lenspinn_fit_hst ../shared/data
"""

import argparse
import csv
import sys
import tempfile
from pathlib import Path
from typing import Any, NamedTuple

from result_file import write_result
from theta_e_real import Lens, lenses

from lenspinn.apply import Answer, apply_model

OUT = Path(__file__).resolve().parents[1] / "results" / "apply" / "real.json"


class Files(NamedTuple):
    """One lens as a user would give it."""

    name: str
    image: Path
    noise: Path | None
    psf: Path | None
    pixel_scale: float | None = None


def files_of(lens: Lens) -> Files:
    """Return the files of a lens; a folder stands for them where `lenspinn apply` finds them."""
    folder = lens.image.parent
    if not (lens.prefix or lens.pixel_scale or lens.psf):
        return Files(lens.name, folder, None, None)
    noise, psf = (
        path if path.exists() else None
        for path in (folder / f"{lens.prefix}{key}.fits" for key in ("noise_map", "psf"))
    )
    return Files(lens.name, lens.image, noise, lens.psf or psf, lens.pixel_scale)


def row(lens: Files, answer: Answer) -> dict[str, Any]:
    """Return what was answered, in numbers."""
    content = answer.to_json()
    done, uncertainty = content["preparation"], content["uncertainty"]
    return {
        "name": lens.name,
        "image": lens.image.name,
        "answer": content["answer"],
        "trusted": content["trusted"],
        "most_probable": answer.most_probable,
        **{f"p_{name}": value for name, value in content["probabilities"].items()},
        "shift_p_value": uncertainty["shift"],
        "theta_E_arcsec": content["theta_E_arcsec"],
        "theta_E_before_resampling_arcsec": done["lens_fit"]["theta_E_arcsec"],
        "chi2": done["chi2"],
        "scatter": done["scatter"],
        "pixels_left_out": done["left_out"],
        "lens_light": done["lens_light"],
        "noise": done["noise"],
        "psf": done["psf"],
        "against_it": ", ".join(m["kind"] for m in content["mismatches"] if m["serious"]),
        "p_values": uncertainty["by_score"],
        "verdict": content["verdict"],
    }


def main() -> None:
    """Apply and write `OUT`."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", type=Path)
    parser.add_argument("data", type=Path)
    parser.add_argument("--only", nargs="*", help="names of lenses; nothing is written to results")
    parser.add_argument("--pictures", type=Path)
    arguments = parser.parse_args()
    if not arguments.data.is_dir():
        sys.exit(f"there is no folder {arguments.data}: nothing was measured")
    rows = []
    with tempfile.TemporaryDirectory() as scratch:
        for lens in map(files_of, lenses(arguments.data)):
            if arguments.only and lens.name not in arguments.only:
                continue
            out = (arguments.pictures or Path(scratch) / "answers") / lens.name
            name, image, noise, psf, pixel_scale = lens
            (answer,) = apply_model(
                [image],
                model=arguments.model,
                out=out,
                noise=noise,
                psf=psf,
                pixel_scale=pixel_scale,
                progress=False,
            )
            assert isinstance(answer, Answer)
            rows.append(row(lens, answer))
            print(f"{name}: {answer.verdict}", flush=True)
    if arguments.only:
        return
    write_result(
        OUT,
        {
            "lenses": rows,
        },
    )
    columns = [key for key, value in rows[0].items() if isinstance(value, str | float | bool)]
    with OUT.with_suffix(".csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, columns, extrasaction="ignore", lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


if __name__ == "__main__":
    main()
