"""Dark clumps in real lenses: `lenspinn detect` on folders of HST images.

Each lens is a folder with data.fits, noise_map.fits and psf.fits; redshifts are those of tables
that are shared with the images (`slacs`), or of --redshifts. What is known of dark clumps in these
lenses is not used. A lens that is in the working folder is not measured again.

    python benchmarks/detect.py FOLDER [FOLDER ...] --work WORK [--mocks 100] [--injected 40]
"""

import argparse
import json
import time
from pathlib import Path
from typing import Any

import torch
from result_file import write_result
from slacs import redshifts_of

from lenspinn.data.provenance import provenance
from lenspinn.detect import detect_image
from lenspinn.errors import ImageError
from lenspinn.files import write_whole

OUT = Path(__file__).resolve().parents[1] / "results" / "detect" / "real.json"
NOT_KEPT = ("image", "origin", "maps", "regions", "picture")
"""Of what was written of a lens: names of files here."""


def measure(folder: Path, config: argparse.Namespace) -> dict[str, Any]:
    """Look for clumps in one lens, and keep all that is written of it in the working folder."""
    z_lens, z_source = config.redshifts or redshifts_of(folder) or (None, None)
    name = f"{folder.parent.name}/{folder.name}"
    out = config.work / folder.parent.name
    begun, used = time.perf_counter(), time.process_time()
    try:
        detect_image(
            folder,
            z_lens=z_lens,
            z_source=z_source,
            mocks=config.mocks,
            injected=config.injected,
            seed=config.seed,
            out=out,
        )
    except ImageError as error:
        return {"lens": name, "refused": str(error)}
    written = json.loads((out / f"{folder.name}.json").read_text())
    return {
        "lens": name,
        "seconds": round(time.perf_counter() - begun, 1),
        "processor_seconds": round(time.process_time() - used, 1),
        "git": provenance()["git"],
        **{key: value for key, value in written.items() if key not in NOT_KEPT},
    }


def main() -> None:
    """Measure each lens, and write all results."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folders", type=Path, nargs="+")
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--mocks", type=int, default=100)
    parser.add_argument("--injected", type=int, default=40)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--redshifts", type=float, nargs=2)
    parser.add_argument("--out", type=Path, default=OUT)
    config = parser.parse_args()
    torch.set_num_threads(1)
    provenance()  # of the code that measures, whatever is committed meanwhile
    config.work.mkdir(parents=True, exist_ok=True)
    records = []
    for folder in config.folders:
        kept = config.work / f"{folder.parent.name}-{folder.name}.json"
        if not kept.is_file():
            write_whole(kept, json.dumps(measure(folder, config)).encode())
        records.append(json.loads(kept.read_text()))
        print(records[-1]["lens"], records[-1].get("verdict", records[-1].get("refused")))
    settings = {"mocks": config.mocks, "injected": config.injected, "seed": config.seed}
    write_result(config.out, settings | {"records": records})


if __name__ == "__main__":
    main()
