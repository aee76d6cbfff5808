"""Images on which a run is measured, and images on which it is calibrated."""

import math
import warnings
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Int

from lenspinn.data.info import DatasetInfo
from lenspinn.data.store import ImageStore
from lenspinn.errors import DataError
from lenspinn.evaluate.judgement import (
    FEWEST_IMAGES,
    Calibration,
    calibrate,
    load_calibration,
    save_calibration,
)
from lenspinn.evaluate.predict import Outputs
from lenspinn.evaluate.run_outputs import run_outputs
from lenspinn.train import Run

__all__ = ["ImageSet", "all_images", "calibration_for", "how_to_calibrate", "own_test_images"]


@dataclass(frozen=True)
class ImageSet:
    """Selected images of a dataset."""

    store: ImageStore
    indices: Int[np.ndarray, " images"]
    protocol: str
    """Sentence on how the images and the weights were chosen, for readers."""
    own: bool
    """Whether the dataset is the run's own."""

    @property
    def labels(self) -> Int[np.ndarray, " images"]:
        """Class index of each image."""
        labels: np.ndarray = self.store.labels[self.indices]
        return labels


def own_test_images(run: Run) -> ImageSet:
    """Return the test images of a run's own dataset.

    Raises
    ------
    DataError
        The dataset is missing, or is another one than when the run was trained.
    """
    store = ImageStore.open(run.data)
    if store.info != run.data_info:
        raise DataError(
            f"{run.data} is not the dataset the run in {run.folder} was trained on any "
            "more: give the dataset to evaluate on by name"
        )
    shares = ":".join(f"{100 * share:g}" for share in run.config.split)
    protocol = f"test images of a {shares} split; weights chosen on validation images"
    if run.config.streams:
        protocol = "trained on fresh images at every step; weights chosen on, tested on others"
    return ImageSet(store, run.split["test"], protocol, own=True)


def all_images(run: Run, data: Path) -> ImageSet:
    """Return another dataset as a whole; warn where it is unlike that of the run.

    Raises
    ------
    DataError
        The dataset is missing, does not fit the model, or holds images the run was trained on.
    """
    store = ImageStore.open(data)
    there, here = store.info, run.data_info
    if there.classes != here.classes or there.num_pix != here.num_pix:
        raise DataError(
            f"{data} has classes {', '.join(there.classes)} and {there.num_pix} pixels a side; the "
            f"run in {run.folder} knows {', '.join(here.classes)} and {here.num_pix} pixels"
        )
    if _shares_images(there, here) or data.resolve() == run.data.resolve():
        raise DataError(
            f"{data} holds images the run in {run.folder} was trained on: simulate with another "
            "seed, or leave the dataset out to evaluate on the run's own test images"
        )
    if there.seed is not None and there.seed == here.seed:
        warnings.warn(
            f"{data} was drawn from seed {there.seed} as the training images were: its scenes may "
            "be the same ones, and the scores too good",
            stacklevel=3,
        )
    for fact in ("recipe", "pixel_scale", "instrument", "unit", "noise_sigma", "lens_light"):
        if getattr(there, fact) != getattr(here, fact):
            warnings.warn(
                f"{fact} is {getattr(there, fact)} in {data}, but the run was trained with "
                f"{getattr(here, fact)}",
                stacklevel=3,
            )
    return ImageSet(store, np.arange(len(store)), "another dataset, all of it", own=False)


def calibration_for(
    run: Run, test: ImageSet, calibrate_on: Path | None, coverage: float, workers: int = 0
) -> Calibration | None:
    """Return the calibration of a run, made anew where there are images for it.

    Parameters
    ----------
    run
        Run; a calibration that is made is written into its folder.
    test
        Images that are measured.
    calibrate_on
        Dataset to calibrate on, as a whole. By default the validation images of the run, where its
        own test images are measured; on other images the calibration in its folder is returned.
    coverage
        Share of prediction sets that shall hold the true class.
    workers
        See `lenspinn.evaluate.run_outputs.run_outputs`.

    Returns
    -------
    Calibration or None
        Calibration; None if the folder holds none, or the validation images are too few.

    Raises
    ------
    DataError
        The dataset to calibrate on cannot be used (`all_images`), has fewer than `FEWEST_IMAGES`
        or holds the images that are measured.
    """
    if calibrate_on is not None:
        there = all_images(run, calibrate_on)
        if _shares_images(there.store.info, test.store.info):
            raise DataError(f"{calibrate_on} holds the images that are measured: give others")
        found = run_outputs(run, there.store, there.indices, workers=workers)
        return _calibrated(run, found, there.labels, coverage, chose_weights=False)
    if not test.own:
        return load_calibration(run.folder)
    rows = run.split["validation"]
    if len(rows) < FEWEST_IMAGES:
        return None
    found = run_outputs(run, test.store, rows, workers=workers)
    return _calibrated(run, found, test.store.labels[rows], coverage, chose_weights=True)


def how_to_calibrate(run: Run, folder: str | None = None) -> str:
    """Say what the calibration of a run lacks, and the commands that give it.

    Parameters
    ----------
    run
    folder
        Folder of the run as the commands name it; by default its path.
    """
    folder, num = folder or str(run.folder), len(run.split["validation"])
    if num >= FEWEST_IMAGES:
        return (
            f"the folder holds no calibration: `lenspinn evaluate {folder}` makes one of the "
            f"{num:,} validation images"
        )
    if run.config.streams:
        again = f"`--stream.num_validation {FEWEST_IMAGES}` or more"
    else:
        enough = math.ceil(run.data_info.num_images * FEWEST_IMAGES / max(num, 1))
        again = f"{enough:,} images in the place of {run.data_info.num_images:,}, or another split"
    return (
        f"calibration takes {FEWEST_IMAGES} images that training did not see, and the run has "
        f"{num} validation images, {FEWEST_IMAGES - num} too few: give it others of the same "
        f"recipe and another seed (`lenspinn evaluate {folder} --calibrate_on OTHER.zarr`), or "
        f"train with {again}"
    )


def _calibrated(
    run: Run, found: Outputs, labels: np.ndarray, coverage: float, *, chose_weights: bool
) -> Calibration:
    """Calibrate on the outputs for some images, and write the result into the run folder."""
    calibration = calibrate(
        found,
        labels,
        run.model.classes,
        coverage=coverage,
        seed=run.config.seed,
        chose_weights=chose_weights,
    )
    save_calibration(calibration, run.folder)
    return calibration


def _shares_images(one: DatasetInfo, other: DatasetInfo) -> bool:
    """Tell whether two datasets were drawn from the same seed of the same recipe."""

    def origin(info: DatasetInfo) -> tuple[object, ...]:
        return info.recipe, info.recipe_config, info.seed

    return one.seed is not None and origin(one) == origin(other)
