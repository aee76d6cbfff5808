"""Release of a finished run: a copy small enough to give away, with a model card."""

import json
import shutil
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
import yaml
from torch import Tensor

from lenspinn.data.info import DatasetInfo
from lenspinn.data.limit import CLASSIFIERS, ENDS
from lenspinn.data.provenance import portable
from lenspinn.errors import ConfigError, ModelError
from lenspinn.evaluate.judgement import load_calibration, save_calibration
from lenspinn.files import draft_folder, read_json, write_whole
from lenspinn.models.pretrained import CONFIG_FILE, WEIGHTS_FILE
from lenspinn.path_arguments import takes_paths
from lenspinn.train import Run, load_run
from lenspinn.train.manifest import write_manifest

__all__ = ["release_run"]

CARD = "README.md"
DRAWN_FROM = "like_training.yaml"
"""Configuration of `lenspinn simulate` that draws images like those of training."""
EVALUATION = "evaluation.json"
FACTS = ("config.yaml", "data.json", "provenance.json", "metrics.csv", "split.npz")
"""Files of a run that are copied unchanged, except for paths."""
SCORES = ("accuracy", *CLASSIFIERS, "auc_micro", "ece_calibrated", "set_size", "refused")
"""Scores that the card quotes, each where it was measured."""


@takes_paths
def release_run(run: Path, out: Path, *, evaluation: Path | None = None) -> Path:
    """Write a slim copy of a run for others to use, with a model card.

    The copy can be given to `lenspinn apply`, `lenspinn explain` and, with ``--data``, `lenspinn
    evaluate`. It holds no checkpoints, no images and no weights of the last epoch, and its matrices
    and kernels are stored as float16; everything smaller, such as the statistics of batch
    normalisation, stays float32.

    Parameters
    ----------
    run
        Run folder, finished and evaluated.
    out
        Folder for the copy; it must not exist.
    evaluation
        Folder of `lenspinn evaluate` with what the card quotes; by default ``evaluation`` in the
        run, that on its own test images.

    Returns
    -------
    Path
        The card, ``README.md`` in the copy.

    Raises
    ------
    ConfigError
        The run is unfinished or was never evaluated, the evaluation is that of another run, or
        the folder exists.
    ModelError
        A weight is too large for float16.
    """
    trained = load_run(run)
    measured = (run / "evaluation" if evaluation is None else evaluation) / EVALUATION
    if not measured.is_file():
        raise ConfigError(f"{measured} is missing: `lenspinn evaluate {run}` first")
    quoted = portable(read_json(measured))
    if _identity(quoted.get("config")) != _identity(trained.settings):
        raise ConfigError(f"{measured} is the evaluation of another run than {run}")
    if out.exists():
        raise ConfigError(f"{out} exists: give another folder, or delete it")
    card = _card(out.name, trained, _record(quoted, measured)).encode()
    with draft_folder(out) as draft:
        _copy(trained, draft)
        write_whole(draft / EVALUATION, (json.dumps(quoted, indent=2) + "\n").encode())
        write_whole(draft / CARD, card)
        recipe = _drawn_from(trained.data_info)
        if recipe is not None:
            write_whole(draft / DRAWN_FROM, f"{recipe}\n".encode())
        write_manifest(draft)
    return out / CARD


def _copy(trained: Run, draft: Path) -> None:
    """Copy the files that answers need, with weights as float16 and names in place of paths."""
    run = trained.folder
    (draft / "model").mkdir()
    for name in FACTS:
        shutil.copyfile(run / name, draft / name)
    settings = trained.settings | {"out": "."}
    write_whole(draft / "config.yaml", yaml.safe_dump(settings, sort_keys=False).encode())
    shutil.copyfile(run / "model" / CONFIG_FILE, draft / "model" / CONFIG_FILE)
    calibration = load_calibration(run)
    if calibration is not None:
        save_calibration(calibration, draft)
    weights = safetensors.torch.load_file(run / "model" / WEIGHTS_FILE)
    halved = {name: _halved(name, value) for name, value in weights.items()}
    write_whole(draft / "model" / WEIGHTS_FILE, safetensors.torch.save(halved))


def _record(quoted: dict[str, Any], path: Path) -> dict[str, Any]:
    """Return the record of an evaluation, with the scores that the card quotes."""
    records = quoted.get("records")
    record = records[0] if isinstance(records, list) and records else None
    counts = ("parameters", "n_test", "n_train", "images_seen")
    if isinstance(record, dict) and all(isinstance(record.get(key), int) for key in counts):
        scores = [key for key in SCORES if record.get(key) is not None]
        numbers = [record.get(f"{key}{end}") for key in scores for end in ENDS]
        if all(isinstance(number, int | float) for number in numbers):
            return record
    raise ConfigError(f"{path} is damaged or no evaluation: run `lenspinn evaluate` again")


def _identity(config: Any) -> Any:
    """Return the settings of a run as JSON has them, without its place and those of its files."""
    if not isinstance(config, dict):
        return None
    changes_nothing = ("out", "data", "num_workers", "checkpoint_every_steps")
    kept = {key: value for key, value in config.items() if key not in changes_nothing}
    if isinstance(kept.get("weights"), str):
        kept["weights"] = "/".join(Path(kept["weights"]).parts[-2:])
    return json.loads(json.dumps(kept))


def _halved(name: str, value: Tensor) -> Tensor:
    """Store matrices and kernels as float16; loading makes them float32 again."""
    if value.ndim < 2 or value.dtype != torch.float32:
        return value
    half = value.half()
    if not half.isfinite().all():
        raise ModelError(f"the weights {name} are too large for float16: {value.abs().max():.3g}")
    return half


def _card(name: str, run: Run, record: dict[str, Any]) -> str:
    info, trained = run.data_info, run.provenance
    calibrated = record.get("calibrated", False)
    return f"""# {name}

`{record["model"]}`, {record["parameters"]:,} parameters, of lenspinn
{trained["versions"]["lenspinn"]}. MIT licence. Written by `lenspinn release`.

## What it was trained on

{_number(run, record)} of `{info.recipe}`: {_images(info)}{_beginning(run)}.
Seed {run.config.seed}, commit {_commit(trained)}, torch {trained["versions"]["torch"]},
{trained["hardware"]["gpu"] or trained["hardware"]["cpu"]}; `config.yaml`, `data.json` and
`provenance.json` have the rest.

## What was measured

On {record["n_test"]:,} images of `{record["recipe"]}` that chose nothing (`evaluation.json`; 95 %
bootstrap intervals, without the scatter between training seeds):

{_scores(record)}

Matrices and kernels here are rounded to float16 after that. Its probabilities are
{"calibrated" if calibrated else "**not** calibrated, so that `lenspinn apply` never answers"}.

## What its training images are drawn from

{_how_drawn(info, name)}

## How to use it

```
lenspinn apply IMAGE.fits --model {name}
lenspinn evaluate {name} --data DATASET.zarr
```

## What it must not be used for

- Images of another instrument, pixel scale, PSF or depth than {info.instrument},
  {info.pixel_scale:g} arcsec a pixel and {info.noise_sigma:.3g} {info.unit} of background noise.
  `lenspinn apply` names such differences and gives no answer; it cannot see all.
- Images with {"other" if info.lens_light else "the"} light of the lens galaxy in them.
- Sources or lenses that its recipe does not draw: {_unknown(info)}. It knows no class but
  {", ".join(info.classes)}.
- Evidence about dark matter. It never saw a real lens whose answer is known, for there is none.
"""


def _commit(trained: dict[str, Any]) -> str:
    git = trained["git"] or {"commit": "unknown", "dirty": False}
    return git["commit"][:7] + (" with uncommitted changes" if git["dirty"] else "")


def _number(run: Run, record: dict[str, Any]) -> str:
    if run.config.streams:
        return f"{record['images_seen']:,} fresh images"
    return f"{record['n_train']:,} images, seen {record['images_seen']:,} times in all,"


def _images(info: DatasetInfo) -> str:
    magnitude = info.of_recipe("source").get("magnitude")
    light = "with" if info.lens_light else "without"
    size = f"{info.num_pix} x {info.num_pix} pixels of {info.pixel_scale:g} arcsec"
    depth = "" if magnitude is None else f", unlensed sources of {_magnitude(magnitude)}"
    return f"{info.instrument}, {size}, {light} lens light{depth}"


def _drawn_from(info: DatasetInfo) -> str | None:
    """Return the whole resolved recipe as a file that draws such images; None if there is none."""
    recipe = {k: v for k, v in info.recipe_config.items() if k not in ("name", "summary", "engine")}
    if "instrument" not in recipe:
        return None
    content = {"recipe": info.recipe, "num": 1000, "overrides": recipe}
    text: str = yaml.safe_dump(content, sort_keys=False, default_flow_style=None, width=100)
    return text.rstrip()


def _how_drawn(info: DatasetInfo, name: str) -> str:
    recipe = _drawn_from(info)
    if recipe is None:
        return "They were not simulated here: `data.json` has what is known of them."
    return f"""`lenspinn simulate {name}/{DRAWN_FROM} --out like_training.zarr --seed SEED`
(not seed {info.seed}) draws images like them. That file is the whole recipe:

```yaml
{recipe}
```"""


def _beginning(run: Run) -> str:
    weights = run.config.weights
    if weights is None:
        return ""
    name = weights.parent.name if weights.name == "model" else weights
    return f".\nIt began with the weights of another run, `{name}`"


def _unknown(info: DatasetInfo) -> str:
    lens = info.lens_prior
    slopes = "other slopes" if lens.get("gamma") is None else "slopes beyond its own"
    multipoles = "multipoles" if lens.get("multipoles") is None else "stronger multipoles"
    return f"irregular galaxies, {slopes}, {multipoles}, other substructure"


def _magnitude(value: Any) -> str:
    if isinstance(value, dict) and "uniform" in value:
        return "{:g} to {:g} mag".format(*value["uniform"])
    return f"magnitude {value}"


def _scores(record: dict[str, Any]) -> str:
    rows = [
        f"| {name} | {record[name]:.4f} ({record[f'{name}_low']:.4f} to "
        f"{record[f'{name}_high']:.4f}) |"
        for name in SCORES
        if record.get(name) is not None
    ]
    return "\n".join(["| score | value |", "|---|---|", *rows])
