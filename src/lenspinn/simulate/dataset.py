"""Datasets simulated from a recipe and a seed: images and their truth, on disk or in memory.

Pixels depend on (recipe, seed, image number, engine) alone. Elementwise arithmetic is not quite
enough for that, because vectorised functions may round differently at the end of an array; so
images are always rendered in blocks of `BLOCK` slots of one class, an image always has the same
slot in its block, also when others are left out, and each worker is one thread.
"""

import os
import threading
import warnings
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from tqdm import tqdm

from lenspinn.data.store import SHARD_IMAGES, DatasetInfo, StoreWriter
from lenspinn.errors import ConfigError, StoreError
from lenspinn.simulate.catalogue import configured_recipe, get_recipe
from lenspinn.simulate.config import BLOCK, Engine, SimulateConfig
from lenspinn.simulate.draw import Truth, draw_scenes, noise_generator, truth_fields
from lenspinn.simulate.galaxies import GalaxyPrior, load_galaxies
from lenspinn.simulate.needs import check_disk, check_memory
from lenspinn.simulate.noise import observe
from lenspinn.simulate.recipes import Recipe
from lenspinn.simulate.render import render, render_subtracted
from lenspinn.simulate.scene import Scene

__all__ = [
    "BLOCK",
    "SimulateConfig",
    "dataset_info",
    "resolved_engine",
    "simulate",
    "simulate_images",
]

Images = tuple[np.ndarray, np.ndarray, Truth]


def simulate(config: SimulateConfig, progress: bool = True) -> Path:
    """Simulate a dataset, or the rest of an unfinished one.

    Parameters
    ----------
    config
    progress
        Show a progress bar on stderr.

    Returns
    -------
    Path
        ``config.out``, a store that `lenspinn.data.store.ImageStore` opens. Image i is of class
        ``classes[i % len(classes)]``; its truth is described in
        `lenspinn.simulate.draw.truth_fields`.

    Raises
    ------
    ConfigError
        If the images do not fit on the disk or into memory.
    DataError
        If another process is writing the dataset.
    StoreError
        If another dataset is at ``config.out``, or the disk is full. What was written stays, and
        the same call goes on from there, also after an interruption.
    """
    recipe = configured_recipe(config.recipe, config.overrides)
    recipe.check_files()
    if config.out.is_dir() and any(config.out.iterdir()) and not _is_store(config.out):
        raise StoreError(f"{config.out} holds something else than a dataset: give another --out")
    fields = truth_fields(recipe)
    workers = config.num_workers or os.cpu_count() or 1
    check_disk(config.out, recipe, config.num, fields)
    check_memory(
        recipe,
        min(config.num, SHARD_IMAGES),
        _rendered_at_once(config.batch_size, config.num),
        workers,
    )
    engine = resolved_engine(config.engine, recipe)
    info = dataset_info(recipe, config.num, config.seed, engine)
    simulator = _Simulator(recipe, config.seed, engine, config.batch_size)
    writer = StoreWriter.open(config.out, info, fields)
    _write_shards(writer, simulator, workers, progress)
    return config.out


def _write_shards(
    writer: StoreWriter, simulator: "_Simulator", workers: int, progress: bool
) -> None:
    """Simulate the unfinished shards of a store, by a number of threads."""
    pending = writer.pending_shards()
    stopped = threading.Event()

    def simulate_shard(rows: range) -> int:
        images, labels, truth = simulator.images(rows, stopped)
        if not stopped.is_set():
            writer.write_shard(rows, images, labels, truth)
        return len(rows)

    num = writer.info.num_images
    done = num - sum(map(len, pending))
    with (
        tqdm(total=num, initial=done, unit=" images", disable=not progress) as bar,
        _workers(workers) as pool,
    ):
        futures = [pool.submit(simulate_shard, rows) for rows in pending]
        try:
            for future in as_completed(futures):
                bar.update(future.result())
        except BaseException:  # also Ctrl-C: no worker may go on, or fail, after this
            stopped.set()
            pool.shutdown(cancel_futures=True)
            writer.close()
            raise
    writer.finish()


def _is_store(folder: Path) -> bool:
    return (folder / "zarr.json").is_file()


def _rendered_at_once(batch_size: int, num: int) -> int:
    """Return the number of images rendered together: whole blocks, no more than are needed."""
    return BLOCK * -(-min(batch_size, num) // BLOCK)


def simulate_images(
    recipe: Recipe | str,
    num: int,
    seed: int,
    *,
    engine: Engine = "torch",
    batch_size: int = BLOCK,
) -> Images:
    """Simulate a dataset in memory: the same pixels that `simulate` writes.

    Parameters
    ----------
    recipe
        A recipe or the name of one.
    num
        Number of images.
    seed, engine, batch_size
        See `SimulateConfig`.

    Returns
    -------
    images : (num, 1, y, x) float32, in ``recipe.unit``
    labels : (num,) int64
        Image i is of class ``recipe.classes[i % len(recipe.classes)]``.
    truth : dict of (num, *shape) float64 arrays
        See `lenspinn.simulate.draw.truth_fields`.
    """
    if isinstance(recipe, str):
        recipe = get_recipe(recipe)
    if num < 1:
        raise ConfigError(f"num must be at least 1, got {num}")
    check_memory(recipe, num, _rendered_at_once(batch_size, num), workers=1)
    simulator = _Simulator(recipe, seed, resolved_engine(engine, recipe), batch_size)
    with _workers(1) as pool:
        return pool.submit(simulator.images, range(num), threading.Event()).result()


def resolved_engine(engine: Engine, recipe: Recipe, device: torch.device | str = "cpu") -> Engine:
    """Return the engine that ``torch`` stands for on a device, compiled if that is needed.

    On a GPU it is ``eager``: few trainings last long enough to gain back the minutes that compiling
    takes there. Recipes with a free density slope are ``eager`` on every device: compiling the
    series of their deflection takes as long.

    Raises
    ------
    ConfigError
        If ``compiled`` is asked for and cannot be had, or a file of the recipe cannot be used.
    """
    recipe.check_files()
    if engine not in ("torch", "compiled"):
        return engine
    if torch.device(device).type != "cpu" or recipe.lens.gamma is not None:
        return "eager" if engine == "torch" else engine
    scenes = [draw_scenes(recipe, 0, [label])[0] for label in range(len(recipe.classes))]
    try:
        with _workers(1) as pool:  # compiled code serves threads with the same settings alone
            pool.submit(_compile, recipe, scenes).result()
    except ConfigError as error:
        if engine == "compiled":
            raise
        warnings.warn(
            f"{error}; images are rendered without it, several times slower", stacklevel=3
        )
        return "eager"
    return "compiled"


def _compile(recipe: Recipe, scenes: Sequence[Scene]) -> None:
    """Render each scene as a batch of two: the compiler treats a batch of one as a special case."""
    for scene in scenes:
        render(scene.take([0, 0]), recipe.camera, compiled=True)


def dataset_info(recipe: Recipe, num: int, seed: int, engine: Engine) -> DatasetInfo:
    """Describe images of a recipe as a store and a network need it."""
    light = recipe.lens_light
    return DatasetInfo(
        num_images=num,
        num_pix=recipe.num_pix,
        pixel_scale=recipe.instrument.pixel_scale,
        classes=recipe.classes,
        recipe=recipe.name,
        instrument=recipe.instrument.name,
        unit=recipe.unit,
        noise_sigma=recipe.noise_sigma,
        lens_light=light is not None and light.subtraction_error is None,
        recipe_config=recipe.to_dict() | {"engine": engine} | _galaxies(recipe),
        seed=seed,
    )


def _galaxies(recipe: Recipe) -> dict[str, str]:
    """Return the digest of the galaxies of a recipe, for the files in a folder may change."""
    if not isinstance(recipe.source, GalaxyPrior):
        return {}
    return {"galaxies_digest": load_galaxies(recipe.source.galaxies).digest}


@dataclass(frozen=True)
class _Simulator:
    """Simulator of images: everything that their pixels depend on, and the batch size."""

    recipe: Recipe
    seed: int
    engine: Engine
    batch_size: int

    def images(self, rows: range, stopped: threading.Event) -> Images:
        """Simulate the images of a range of numbers; incomplete if `stopped` was set meanwhile."""
        recipe, num_classes = self.recipe, len(self.recipe.classes)
        images = np.empty((len(rows), 1, recipe.num_pix, recipe.num_pix), dtype=np.float32)
        labels = np.array([row % num_classes for row in rows], dtype=np.int64)
        fields = truth_fields(recipe)
        truth = {name: np.empty((len(rows), *shape)) for name, shape in fields.items()}
        for blocks in _batches(rows, num_classes, -(-self.batch_size // BLOCK)):
            if stopped.is_set():
                break
            indices = np.concatenate(blocks)
            scene, drawn = draw_scenes(recipe, self.seed, indices)
            models, subtracted = self._rendered(scene, _slots(blocks, num_classes))
            images[indices - rows.start, 0] = self._observed(
                models, subtracted, indices, drawn["exposure_time"]
            )
            for name, values in drawn.items():
                truth[name][indices - rows.start] = values
        return images, labels, truth

    def _rendered(self, scene: Scene, slots: np.ndarray) -> tuple[np.ndarray, np.ndarray | None]:
        """Return the noise-free images of a batch and the subtracted light, (B, y, x) float32."""
        camera = self.recipe.camera
        if self.engine == "lenstronomy":
            # Imported here because it takes seconds and the default engine does without.
            from lenspinn.simulate.lenstronomy import render_lenstronomy

            images = [render_lenstronomy(scene, row, camera) for row in range(len(scene))]
            subtracted = render_subtracted(scene, camera)
            taken_off = None if subtracted is None else subtracted.numpy()
            return np.stack(images).astype(np.float32), taken_off
        row_of_slot = np.zeros((slots.max() // BLOCK + 1) * BLOCK, dtype=np.int64)
        row_of_slot[slots] = np.arange(len(scene))  # empty slots repeat the first scene
        placed = scene.take(row_of_slot)
        models = render(placed, camera, compiled=self.engine == "compiled")
        subtracted = render_subtracted(placed, camera)
        return models.numpy()[slots], None if subtracted is None else subtracted.numpy()[slots]

    def _observed(
        self,
        models: np.ndarray,
        subtracted: np.ndarray | None,
        indices: np.ndarray,
        exposure_times: np.ndarray,
    ) -> np.ndarray:
        """Return the images to store for a batch of noise-free images, (B, y, x) float32."""
        recipe = self.recipe
        return np.stack(
            [
                observe(
                    model,
                    recipe.instrument,
                    recipe.faults,
                    noise_generator(self.seed, int(index)),
                    exposure_time=time,
                    subtracted=None if subtracted is None else subtracted[row],
                )
                for row, (model, index, time) in enumerate(
                    zip(models, indices, exposure_times.tolist(), strict=True)
                )
            ]
        )


@contextmanager
def _workers(num: int) -> Iterator[ThreadPoolExecutor]:
    """Make a pool of threads, each of whose torch calls use that one thread alone."""
    before = torch.get_num_threads()
    try:
        with ThreadPoolExecutor(num, initializer=torch.set_num_threads, initargs=(1,)) as pool:
            yield pool
    finally:
        torch.set_num_threads(before)  # the workers' choice leaks into threads begun later


def _batches(rows: range, num_classes: int, per_batch: int) -> Iterator[list[np.ndarray]]:
    """Split image numbers into batches of up to `per_batch` blocks of one class."""
    numbers = np.asarray(rows)
    for label in range(num_classes):
        of_class = numbers[numbers % num_classes == label]
        if not len(of_class):
            continue
        block = of_class // num_classes // BLOCK
        blocks = np.split(of_class, np.flatnonzero(np.diff(block)) + 1)
        for start in range(0, len(blocks), per_batch):
            yield blocks[start : start + per_batch]


def _slots(blocks: Sequence[np.ndarray], num_classes: int) -> np.ndarray:
    """Return the slot of each image, counted through all blocks of the batch."""
    return np.concatenate(
        [n * BLOCK + block // num_classes % BLOCK for n, block in enumerate(blocks)]
    )
