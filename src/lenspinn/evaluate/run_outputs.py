"""Outputs of a run's network for many images, shared by the processes of a machine."""

import functools
from pathlib import Path

import numpy as np
from jaxtyping import Int
from tqdm import tqdm

from lenspinn.data.store import ImageStore
from lenspinn.errors import ConfigError, DataError
from lenspinn.evaluate.predict import BATCH_SIZE, Outputs, joined, network_outputs
from lenspinn.models.classifier import FEWEST_COMPILED
from lenspinn.models.names import MODULES
from lenspinn.models.pretrained import loaded_once
from lenspinn.train import Run
from lenspinn.worker_processes import Died, in_processes

__all__ = ["check_workers", "run_outputs"]

MOST_WORKERS = 1024
Part = tuple[int, Int[np.ndarray, " images"]]


def check_workers(workers: int) -> None:
    """Refuse a number of processes that cannot be.

    Raises
    ------
    ConfigError
    """
    if not 0 <= workers <= MOST_WORKERS:
        raise ConfigError(
            f"workers is {workers}; give 1 to {MOST_WORKERS} processes, or 0 for none but this one"
        )


def run_outputs(
    run: Run,
    store: ImageStore,
    indices: Int[np.ndarray, " images"],
    *,
    workers: int = 0,
    progress: bool = False,
) -> Outputs:
    """Return the outputs of a run's network for images of a dataset, each seen once.

    Parameters
    ----------
    run
    store
    indices : (images,)
        Image numbers in the store, at least one.
    workers
        Processes of one thread that share the images; any number of them gives the same bytes. 0
        for this process, which uses its GPU or all its threads: these may change the last bits.
    progress
        Whether to show a progress bar.

    Raises
    ------
    ConfigError
        Other processes are asked for, but the network is not one of lenspinn.
    DataError
        Processes died.
    """
    if workers == 0:
        return network_outputs(run.model, store, indices, progress=progress)
    if run.model.config["name"] not in MODULES:
        raise ConfigError(
            f"workers is {workers}: other processes do not know '{run.model.config['name']}', "
            "which you registered; leave workers out"
        )
    starts = range(0, len(indices), BATCH_SIZE)
    parts = [(start, indices[start : start + BATCH_SIZE]) for start in starts]
    work = functools.partial(
        _part_outputs, run.folder / "model", store.path, len(indices) >= FEWEST_COMPILED
    )
    found: dict[int, Outputs] = {}
    with tqdm(total=len(parts), desc="evaluating", unit="batch", disable=not progress) as bar:
        for (start, _), outputs in in_processes(work, parts, min(workers, len(parts))):
            if isinstance(outputs, Died):
                raise DataError(
                    f"the process that worked on images {start} to {start + BATCH_SIZE} died twice "
                    "(was there too little memory?): give fewer workers"
                )
            found[start] = outputs
            bar.update()
    return joined([found[start] for start in starts])


def _part_outputs(model: Path, data: Path, compiled: bool, part: Part) -> Outputs:
    store = _opened(data)
    return network_outputs(loaded_once(model), store, part[1], compiled=compiled)


@functools.cache
def _opened(data: Path) -> ImageStore:
    return ImageStore.open(data)
