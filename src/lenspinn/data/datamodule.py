"""Batches for training, validation and test, from a store or from a simulator."""

import math
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import Any, Protocol, runtime_checkable

import numpy as np
import torch
from lightning.pytorch import LightningDataModule
from torch import Tensor

from lenspinn.data.split import split_rows
from lenspinn.data.store import DatasetInfo, ImageStore
from lenspinn.errors import ConfigError

Batch = tuple[Any, Tensor] | tuple[Any, Tensor, dict[str, Tensor]]
"""Images (B, 1, y, x) float32 in the store's unit, or the `StoreDataModule.inputs` in their place;
labels (B,) int64; if asked for, truth by name, (B,) float32, NaN where a field is absent."""

# Purpose of a random stream, which keeps streams of one seed apart. 0 is that of `split_rows`.
_ORDER, _SOURCE = 1, 2


@runtime_checkable
class BatchSource(Protocol):
    """Source of fresh labelled images, e.g. a simulator."""

    def sample(
        self, batch_size: int, generator: torch.Generator, truth_keys: Sequence[str] = ()
    ) -> Batch:
        """Return a batch that depends on the generator's state alone, with the truth asked for."""


class StoreDataModule(LightningDataModule):
    """The images of a store, split by seed into training, validation and test.

    The split keeps the proportions of the classes, its parts are disjoint, and it depends on the
    labels, `split` and `seed` alone. Where the store's truth names the galaxy behind each lens
    (``source_galaxy``), the split depends on the galaxies too: a galaxy is then in one part only,
    and proportions are kept as well as whole galaxies allow; see `split_rows`.

    The order of the training images is a function of the seed and the epoch alone; every image is
    used in every epoch (the last batch may be smaller). Training resumes in the middle of an epoch
    exactly where a Lightning checkpoint was taken.

    Parameters
    ----------
    path : Path
        Store to split.
    batch_size : int
        Number of images in a batch, added up over all processes that train together.
    seed : int
        Seed of the split and of the training order.
    split : three fractions that add up to 1
        Fractions of training, validation and test.
    test_path : Path, optional
        Another store, all of whose images are the test set; the test fraction is then 0.
    num_workers : int
        Number of threads that prepare batches ahead; 0 prepares each batch when it is asked for.
    source : BatchSource, optional
        Source of the training images, fresh at every step, in the place of the store; validation
        and test images come from the store.
    images_per_epoch : int, optional
        Number of images from the source in an epoch; by default as many as in the training part.

    Raises
    ------
    StoreError
        If a store cannot be read.
    ConfigError
        If the split is impossible, or the test store has other classes or other pixels, or shows
        galaxies that the store shows too.
    """

    truth_keys: Sequence[str] = ()
    """Names of the truth given with each training image, in a dictionary after the labels."""

    inputs: Callable[[np.ndarray], Any] | None = None
    """Function from image numbers to the inputs of a network in the place of the training and
    validation images; None: the images themselves."""

    def __init__(
        self,
        path: Path | str,
        *,
        batch_size: int = 64,
        seed: int = 0,
        split: tuple[float, float, float] = (0.8, 0.1, 0.1),
        test_path: Path | str | None = None,
        num_workers: int = 0,
        source: BatchSource | None = None,
        images_per_epoch: int | None = None,
    ) -> None:
        super().__init__()
        if batch_size < 1 or num_workers < 0:
            raise ConfigError(
                f"batch_size must be at least 1 and num_workers at least 0, "
                f"not {batch_size} and {num_workers}"
            )
        self.store = ImageStore.open(path)
        self.test_store = self.store if test_path is None else ImageStore.open(test_path)
        self.batch_size = batch_size
        self.seed = seed
        self.num_workers = num_workers
        self.source = source
        if test_path is not None:
            _check_compatible(self.store, self.test_store)
            _check_other_galaxies(self.store, self.test_store)
        galaxies = self.store.read_truth("source_galaxy")
        self.split_indices = split_rows(self.store.labels, split, seed, galaxies)
        if test_path is not None:
            if split[2] != 0:
                raise ConfigError(f"With a test store the test fraction must be 0, not {split[2]}")
            self.split_indices["test"] = np.arange(len(self.test_store))
        self.train_rows = self.split_indices["train"]
        if source is not None and images_per_epoch is not None:
            self.train_rows = np.arange(images_per_epoch)  # only their number matters
        if len(self.train_rows) == 0:
            raise ConfigError(f"No training images: {len(self.store)} images split as {split}")

    @property
    def info(self) -> DatasetInfo:
        """Facts about the training and validation images."""
        return self.store.info

    def train_dataloader(self) -> "TrainBatches":
        """Return the training batches, an epoch at each iteration; resumable."""
        from_store = self.truth_keys if self.source is None else ()
        truth = {key: self.store.read_truth(key) for key in from_store}
        return TrainBatches(
            partial(self._train_batch, truth),
            self.train_rows,
            batch_size=self.batch_size,
            seed=self.seed,
            num_workers=self.num_workers,
            rank=self._rank,
            world_size=self._world_size,
        )

    def val_dataloader(self) -> "Batches":
        """Return the validation batches, always in the order of the store."""
        return Batches(
            partial(_read, self.store, inputs=self.inputs),
            self.split_indices["validation"],
            self.batch_size,
            self.num_workers,
            rank=self._rank,
            world_size=self._world_size,
        )

    def test_dataloader(self) -> "Batches":
        """Return the test batches, always in the order of their store."""
        rows = self.split_indices["test"]
        return Batches(partial(_read, self.test_store), rows, self.batch_size, self.num_workers)

    def _train_batch(
        self, truth: Mapping[str, np.ndarray | None], rows: np.ndarray, step: int
    ) -> Batch:
        if self.source is None:
            return _read(self.store, rows, truth, self.inputs)
        seed = int(_stream(self.seed, _SOURCE, step, self._rank).generate_state(1, np.uint64)[0])
        # manual_seed takes 64 bits, but a signed number.
        generator = torch.Generator().manual_seed(seed >> 1)
        return self.source.sample(len(rows), generator, self.truth_keys)

    @property
    def _rank(self) -> int:
        return self.trainer.global_rank if self.trainer is not None else 0

    @property
    def _world_size(self) -> int:
        return self.trainer.world_size if self.trainer is not None else 1


class Batches:
    """Batches of fixed rows in fixed order.

    Parameters
    ----------
    load : function
        Function from rows to a batch.
    rows : (n,) integers
    batch_size : int
    num_workers : int
        Number of threads that load ahead.
    rank, world_size : int
        Number of this process, from 0, and number of processes. Processes take the images of each
        batch in turn; of the last batch a process may get none.
    """

    def __init__(
        self,
        load: Callable[[np.ndarray], Batch],
        rows: np.ndarray,
        batch_size: int,
        num_workers: int = 0,
        *,
        rank: int = 0,
        world_size: int = 1,
    ) -> None:
        self._load = load
        self._rows = rows
        self._batch_size = batch_size
        self._num_workers = num_workers
        self._rank = rank
        self._world_size = world_size

    def __len__(self) -> int:
        return math.ceil(len(self._rows) / self._batch_size)

    def __iter__(self) -> Iterator[Batch]:
        parts = (
            part[self._rank :: self._world_size] for part in _cut(self._rows, self._batch_size)
        )
        return _ahead((partial(self._load, part) for part in parts), self._num_workers)


class TrainBatches:
    """Shuffled batches that go on where they stopped.

    The epoch and the batches already handed out are this loader's state, which Lightning saves
    in its checkpoints and restores. Iterating goes on in an epoch left unfinished; after its last
    batch the next epoch begins.

    Parameters
    ----------
    load : function
        Function from rows, and the number of batches handed out before, to a batch.
    rows : (n,) integers
        Rows of the training images. The order in epoch e is a function of ``(seed, e)`` alone.
    batch_size, num_workers : int
    seed : int
    rank, world_size : int
        Number of this process, from 0, and number of processes. Processes take the images of each
        batch in turn, so that the batches are those of one process, and a saved position holds for
        any number of processes. Where the last batch has fewer images than there are processes,
        some images are used twice.
    """

    def __init__(
        self,
        load: Callable[[np.ndarray, int], Batch],
        rows: np.ndarray,
        *,
        batch_size: int,
        seed: int,
        num_workers: int = 0,
        rank: int = 0,
        world_size: int = 1,
    ) -> None:
        self._load = load
        self._rows = rows
        self._batch_size = batch_size
        self._seed = seed
        self._num_workers = num_workers
        self._rank = rank
        self._world_size = world_size
        self._epoch = 0
        self._batch = 0

    def __len__(self) -> int:
        return math.ceil(len(self._rows) / self._batch_size)

    def __iter__(self) -> Iterator[Batch]:
        parts = [self._share(part) for part in _cut(self._order(self._epoch), self._batch_size)]
        first_step = self._epoch * len(self)
        tasks = (
            partial(self._load, parts[batch], first_step + batch)
            for batch in range(self._batch, len(self))
        )
        for batch in _ahead(tasks, self._num_workers):
            # Counted before it is handed out: Lightning saves while a batch is in use, and does
            # not come back after the last one.
            self._batch += 1
            if self._batch == len(self):
                self._epoch, self._batch = self._epoch + 1, 0
            yield batch

    def state_dict(self) -> dict[str, Any]:
        """Return the position after the batches handed out so far."""
        return {"epoch": self._epoch, "batch": self._batch, **self._identity}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from a saved position.

        Raises
        ------
        ConfigError
            If the position belongs to other batches.
        """
        for name, value in self._identity.items():
            if state[name] != value:
                raise ConfigError(
                    f"The checkpoint was trained with {name} {state[name]}, this run has {value}"
                )
        self._epoch, self._batch = state["epoch"], state["batch"]

    @property
    def _identity(self) -> dict[str, int]:
        return {
            "seed": self._seed,
            "batch_size": self._batch_size,
            "num_images": len(self._rows),
        }

    def _order(self, epoch: int) -> np.ndarray:
        generator = np.random.Generator(np.random.PCG64(_stream(self._seed, _ORDER, epoch)))
        return generator.permutation(self._rows)

    def _share(self, part: np.ndarray) -> np.ndarray:
        return np.resize(part, max(len(part), self._world_size))[self._rank :: self._world_size]


def _check_compatible(store: ImageStore, test_store: ImageStore) -> None:
    for name in ("classes", "num_pix", "pixel_scale", "unit"):
        here, there = getattr(store.info, name), getattr(test_store.info, name)
        if here != there:
            raise ConfigError(
                f"{test_store.path} cannot test what {store.path} trains: {name} is "
                f"{there!r}, not {here!r}"
            )


def _check_other_galaxies(store: ImageStore, test_store: ImageStore) -> None:
    """Refuse stores that share galaxies, as far as both name the same folder of galaxies."""
    here, there = (item.read_truth("source_galaxy") for item in (store, test_store))
    folder = _galaxy_folder(store)
    if here is None or there is None or folder is None or folder != _galaxy_folder(test_store):
        return
    num_shared = len(np.intersect1d(here, there))
    if num_shared:
        raise ConfigError(
            f"{test_store.path} cannot test what {store.path} trains: both show the same "
            f"{num_shared} galaxies; simulate one with source.part train, the other with test"
        )


def _galaxy_folder(store: ImageStore) -> str | None:
    folder: str | None = store.info.of_recipe("source").get("galaxies")
    return folder


def _read(
    store: ImageStore,
    rows: np.ndarray,
    truth: Mapping[str, np.ndarray | None] = MappingProxyType({}),
    inputs: Callable[[np.ndarray], Any] | None = None,
) -> Batch:
    images = torch.from_numpy(store.images(rows)) if inputs is None else inputs(rows)
    labels = torch.from_numpy(store.labels[rows])
    return (images, labels, truth_tensors(truth, rows)) if truth else (images, labels)


def truth_tensors(columns: Mapping[str, np.ndarray | None], rows: np.ndarray) -> dict[str, Tensor]:
    """Return rows of the truth as float32 tensors, NaN where a column is None."""
    return {
        key: torch.full((len(rows),), torch.nan)
        if column is None
        else torch.as_tensor(column[rows], dtype=torch.float32)
        for key, column in columns.items()
    }


def _stream(seed: int, purpose: int, *numbers: int) -> np.random.SeedSequence:
    return np.random.SeedSequence([seed, purpose, *numbers])


def _cut(rows: np.ndarray, size: int) -> list[np.ndarray]:
    return [rows[start : start + size] for start in range(0, len(rows), size)]


def _ahead(tasks: Iterable[Callable[[], Batch]], num_workers: int) -> Iterator[Batch]:
    """Yield results of tasks in order, up to `num_workers` of them computed ahead in threads."""
    if num_workers == 0:
        for task in tasks:
            yield task()
        return
    with ThreadPoolExecutor(num_workers) as pool:
        running: deque[Future[Batch]] = deque()
        for task in tasks:
            running.append(pool.submit(task))
            if len(running) > num_workers:
                yield running.popleft().result()
        while running:
            yield running.popleft().result()
