"""Checks that a dataset fits on the disk and into memory, before anything is simulated."""

import math
import os
import shutil
from collections.abc import Mapping
from pathlib import Path

from lenspinn.errors import ConfigError
from lenspinn.simulate.recipes import Recipe

__all__ = ["check_disk", "check_memory"]

RENDERED_ARRAYS = 12
"""Number of arrays, of all samples of a batch, that exist together while it is rendered."""
GB = 1e9


def check_disk(
    out: Path, recipe: Recipe, num: int, truth_fields: Mapping[str, tuple[int, ...]]
) -> None:
    """Refuse a dataset that does not fit on the disk.

    Parameters
    ----------
    out
        Folder of the dataset; files that it already holds count as free space.
    recipe, num
        Recipe, and number of images.
    truth_fields
        Shape of each truth value of an image.

    Raises
    ------
    ConfigError
        If it does not; the message says how much it would take, and how much is free.
    """
    needed = num * _bytes_of_image(recipe, truth_fields)
    there = sum(file.stat().st_size for file in out.rglob("*") if file.is_file())
    free = shutil.disk_usage(_existing(out)).free
    if needed - there > free:
        raise ConfigError(
            f"{num} images of {recipe.num_pix} x {recipe.num_pix} pixels with their truth would "
            f"take {needed / GB:,.1f} GB, and {free / GB:,.1f} GB are free at {out}: lower num"
        )


def check_memory(recipe: Recipe, in_memory: int, batch: int, workers: int) -> None:
    """Refuse images that do not fit into the memory of this machine.

    Parameters
    ----------
    recipe
    in_memory
        Number of finished images that a worker holds at once.
    batch
        Number of images that a worker renders at once.
    workers

    Raises
    ------
    ConfigError
        If they do not; the message says how much they would take, and how much there is.
    """
    pixels = recipe.num_pix**2
    samples = batch * pixels * recipe.supersampling**2
    needed = workers * 4.0 * (in_memory * pixels + RENDERED_ARRAYS * samples)
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    if needed > memory:
        raise ConfigError(
            f"{workers} workers that each render {batch} images of {recipe.num_pix} x "
            f"{recipe.num_pix} pixels at once would take {needed / GB:,.1f} GB of memory, and this "
            f"machine has {memory / GB:,.1f} GB: lower num_workers, num_pix or supersampling"
        )


def _bytes_of_image(recipe: Recipe, truth_fields: Mapping[str, tuple[int, ...]]) -> int:
    label = 1
    return 4 * recipe.num_pix**2 + 8 * sum(map(math.prod, truth_fields.values())) + label


def _existing(path: Path) -> Path:
    """Return the innermost existing folder above a path, which itself need not exist."""
    return next(folder for folder in path.absolute().parents if folder.is_dir())
