"""A trained network as the observer: checks of its training, and its rates of detection."""

import hashlib
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from lenspinn.data.info import DatasetInfo
from lenspinn.device import best_device
from lenspinn.errors import ConfigError
from lenspinn.evaluate import predict
from lenspinn.models.pretrained import WEIGHTS_FILE
from lenspinn.sensitivity.curves import (
    curve_points,
    detection_score,
    detection_threshold,
    share_rate,
)
from lenspinn.sensitivity.sweep import NO_SUBSTRUCTURE, Sweep, mass_of, quantity_of
from lenspinn.simulate import Fixed, Uniform, simulate_images
from lenspinn.simulate.dataset import dataset_info
from lenspinn.simulate.distributions import as_distribution
from lenspinn.train import Run, load_run

__all__ = ["describe_network", "load_network", "network_records"]

_FACTS = (
    "instrument",
    "pixel_scale",
    "num_pix",
    "unit",
    "noise_sigma",
    "lens_light",
    "classes",
)
"""Fields of `DatasetInfo` in which the training images must agree with the images shown."""


def load_network(folder: Path, sweep: Sweep, seed: int) -> Run:
    """Read a run, and refuse a network that was trained for other images.

    Parameters
    ----------
    folder
    sweep
        Sweep whose images the network will be shown.
    seed
        Seed of these images.

    Raises
    ------
    ConfigError
        If the folder holds no finished run; if the instrument, or another fact of the images, is
        not that of its training; if its training images were drawn from the same seed.
    """
    run = load_run(folder)
    run.model.to(best_device())
    recipe = sweep.recipe
    here, there = dataset_info(recipe, 1, seed, "torch"), run.data_info
    for key, asked, trained in _differences(here, there):
        raise ConfigError(
            f"the network in {folder} was trained for {key} {trained}, and images of {recipe.name} "
            f"have {asked}: give a network trained for them, or leave out run"
        )
    if there.seed == seed:
        raise ConfigError(
            f"the images of {folder} were drawn from seed {seed} too, so its training may have "
            "seen these lenses: choose another seed"
        )
    if there.recipe != recipe.name:
        warnings.warn(
            f"the network in {folder} was trained on {there.recipe}, not {recipe.name}",
            stacklevel=3,
        )
    unseen = [f"{m:g}" for m in sweep.magnitudes if not _covers(there, m)]
    if unseen:
        warnings.warn(
            f"the network in {folder} was trained on sources of magnitude "
            f"{trained_magnitude(there)}, and has never seen images of {', '.join(unseen)}",
            stacklevel=3,
        )
    return run


def describe_network(run: Run, num: int) -> dict[str, Any]:
    """Return what identifies a network and its test, as JSON can hold it."""
    weights = (run.folder / "model" / WEIGHTS_FILE).read_bytes()
    return {
        "model": run.config.model.name,
        "run": str(run.folder),
        "weights_sha256": hashlib.sha256(weights).hexdigest(),
        "trained_on": run.data_info.recipe,
        "trained_on_magnitude": trained_magnitude(run.data_info),
        "images_seen": int(run.history[-1]["images_seen"]),
        "num": num,
        "trained_with": run.provenance,
    }


def network_records(
    run: Run, sweep: Sweep, magnitude: float, num: int, seed: int
) -> list[dict[str, Any]]:
    """Show a network fresh images of one magnitude, and return its rates of detection.

    Returns
    -------
    list of dict
        Fields of `curve_points` for each class with substructure; ``observer`` (the model's
        name), ``sweep``, ``class``, ``quantity``, ``magnitude``; ``threshold``,
        the score above which an image is a detection, from the ``n_without`` images without
        substructure of this magnitude.

    Raises
    ------
    DataError
        As `detection_threshold`.
    """
    recipe = sweep.at(magnitude)
    images, labels, truth = simulate_images(recipe, num, seed)
    # The classes of the recipe are those of the network, in the same order.
    without = recipe.classes.index(NO_SUBSTRUCTURE)
    scores = detection_score(predict(run.model, images), without)
    threshold = detection_threshold(scores[labels == without])
    records = []
    for name in sweep.detected:
        rows = np.flatnonzero(labels == recipe.classes.index(name))
        found = scores[rows] > threshold
        quantity = quantity_of(recipe, name)
        mass = mass_of({key: values[rows] for key, values in truth.items()}, quantity)
        facts = {
            "observer": run.config.model.name,
            "sweep": sweep.name,
            "class": name,
            "quantity": quantity,
            "magnitude": magnitude,
            "threshold": float(f"{threshold:.6g}"),
            "n_without": int((labels == without).sum()),
        }
        points = curve_points(found, share_rate, mass if sweep.name == "mass" else None)
        records += [facts | point for point in points]
    return records


def trained_magnitude(info: DatasetInfo) -> Any:
    """Return the magnitude, or its distribution, of the sources of a dataset; None if unknown."""
    return info.of_recipe("source").get("magnitude")


def _differences(here: DatasetInfo, there: DatasetInfo) -> Iterator[tuple[str, Any, Any]]:
    """Yield the facts of the images that differ from those of training, and both values."""
    for key in _FACTS:
        if getattr(here, key) != getattr(there, key):
            yield key, getattr(here, key), getattr(there, key)
    asked, trained = (info.of_recipe("instrument") for info in (here, there))
    for key in sorted(asked.keys() & trained.keys() - {"source"}):
        if asked[key] != trained[key]:
            yield f"instrument.{key}", asked[key], trained[key]


def _covers(info: DatasetInfo, magnitude: float) -> bool:
    """Tell whether sources of a magnitude may have been among those of training."""
    value = trained_magnitude(info)
    prior = None if value is None else as_distribution(value, "source.magnitude")
    if isinstance(prior, Fixed):
        return magnitude == prior.value
    return not isinstance(prior, Uniform) or prior.low <= magnitude <= prior.high
