"""Images fitted once: maps and numbers for a network that fits lenses, kept on disk.

A training step of such a network spends nearly all of its time in fits that hardly depend on the
weights it learns. An image that is fitted once can be used many times, in eight orientations.
"""

import multiprocessing
import os
from collections.abc import Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor, as_completed
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Int
from torch import Tensor
from tqdm import tqdm

from lenspinn.data.orientations import flip_and_turn
from lenspinn.data.store import ImageStore
from lenspinn.device import best_device
from lenspinn.models import LensFit, save_pretrained
from lenspinn.models.lens_solution import Seen
from lenspinn.models.pretrained import loaded_once
from lenspinn.train.module import ClassifierModule

__all__ = ["FittedImages", "FittedModule", "fit_images"]

FILE_IMAGES = 512
"""Number of images a file: an interruption costs at most so many, in each process."""
BATCH_IMAGES = 64
MAPS_DTYPE = "f2"
"""Type of the stored maps, whose values are near to 1: half a gigabyte for 10,000 images of 64
pixels a side."""


class FittedImages:
    """Results of `LensFit.fit_once` for some images of a store.

    Parameters
    ----------
    rows : (n,) sorted image numbers
    files
        Structured arrays of up to `FILE_IMAGES` images, in that order; see `fit_images`.
    """

    def __init__(self, rows: Int[np.ndarray, " n"], files: list[np.ndarray]) -> None:
        self.rows = rows
        self.files = files

    def read(self, rows: Int[np.ndarray, " some"]) -> Seen:
        """Return maps and numbers of some of the images, by their numbers in the store."""
        places = np.searchsorted(self.rows, rows)
        found = np.stack([self.files[i // FILE_IMAGES][i % FILE_IMAGES] for i in places.tolist()])
        return Seen(*(torch.from_numpy(found[name].astype(np.float32)) for name in Seen._fields))


class FittedModule(ClassifierModule):
    """`ClassifierModule` for batches of `FittedImages`: the encoder keeps its weights."""

    model: LensFit

    def turned(self, image: Seen, orientation: Tensor) -> Seen:  # type: ignore[override]
        """Rotate or mirror each image, with its fit, into its orientation."""
        return image._replace(maps=flip_and_turn(image.maps, orientation))

    def outputs(  # type: ignore[override]
        self, image: Seen, truth: Mapping[str, Tensor]
    ) -> tuple[Tensor, Tensor | float]:
        """Return logits, and the loss of the quantities."""
        return self.model.outputs_of(image, truth)

    def logits(self, image: Seen) -> Tensor:  # type: ignore[override]
        """Return logits alone."""
        return self.model.forward_head(self.model.features_of(image))


class _Task(NamedTuple):
    """Task: the images of one file."""

    model: Path
    data: Path
    rows: np.ndarray
    seed: tuple[int, int]
    file: Path


def fit_images(
    model: LensFit,
    store: ImageStore,
    rows: Int[np.ndarray, " n"],
    folder: Path,
    *,
    seed: int,
    num_workers: int = 0,
    progress: bool = True,
) -> FittedImages:
    """Fit images as training does, or go on with fits that were interrupted.

    Parameters
    ----------
    model
        Model whose encoder guesses the parameters at which the fits begin.
    store
    rows : (n,) image numbers in the store
    folder
        Folder for the files; made if missing.
    seed
        Seed of the shapes of free lens light, if the model draws any.
    num_workers
        Processes that share the work, with one thread each; 0 for this one, which uses a GPU if
        there is one.
    progress
        Whether to show a progress bar.

    Returns
    -------
    FittedImages
        Read from the files, as images are asked for.
    """
    folder.mkdir(parents=True, exist_ok=True)
    rows = np.sort(rows)
    weights = save_pretrained(model, folder / "model")
    tasks = [
        _Task(weights, store.path, part, (seed, number), folder / f"{number:06d}.npy")
        for number, part in enumerate(np.split(rows, range(FILE_IMAGES, len(rows), FILE_IMAGES)))
    ]
    missing = [task for task in tasks if not task.file.exists()]
    bar = tqdm(total=len(rows), unit="fit", desc="fits", disable=not progress)
    bar.update(len(rows) - sum(len(task.rows) for task in missing))
    for number in _fitted(missing, num_workers):
        bar.update(number)
    bar.close()
    return FittedImages(rows, [np.load(task.file, mmap_mode="r") for task in tasks])


def _fitted(tasks: list[_Task], num_workers: int) -> Iterator[int]:
    """Do each task, and yield its number of images."""
    if num_workers == 0 or not tasks:
        yield from map(_fit_file, tasks)
        return
    spawn = multiprocessing.get_context("spawn")  # a fork of a process with threads may hang
    pool = ProcessPoolExecutor(
        num_workers, mp_context=spawn, initializer=torch.set_num_threads, initargs=(1,)
    )
    try:
        for done in as_completed([pool.submit(_fit_file, task) for task in tasks]):
            yield done.result()
    finally:
        pool.shutdown(cancel_futures=True)


def _fit_file(task: _Task) -> int:
    """Fit the images of one file, and write it whole."""
    model = loaded_once(task.model)
    assert isinstance(model, LensFit)
    device = best_device()
    images = torch.from_numpy(ImageStore.open(task.data).images(task.rows))
    sequence = np.random.SeedSequence(task.seed)
    generator = torch.Generator().manual_seed(int(sequence.generate_state(1, np.uint64)[0]))
    parts = [model.fit_once(part.to(device), generator) for part in images.split(BATCH_IMAGES)]
    seen = {
        name: torch.cat([getattr(part, name) for part in parts]).cpu().numpy()
        for name in Seen._fields
    }
    dtype = [
        (name, MAPS_DTYPE if name == "maps" else "f4", each.shape[1:])
        for name, each in seen.items()
    ]
    content = np.empty(len(images), dtype=dtype)
    for name, each in seen.items():
        content[name] = each
    # Of this process: one whose parent was killed may still be writing the same file.
    part = task.file.with_suffix(f".{os.getpid()}.part")
    with part.open("wb") as file:
        np.save(file, content)
    os.replace(part, task.file)
    return len(images)
