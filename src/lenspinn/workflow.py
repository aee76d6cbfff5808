"""Training on stored or fresh images: joins the simulator and the training of a network."""

from pathlib import Path

from lenspinn.places import check_output
from lenspinn.plain_yaml import Plain
from lenspinn.simulate import SimulateConfig, simulate
from lenspinn.simulate.catalogue import configured_recipe
from lenspinn.simulate.galaxies import GalaxyPrior
from lenspinn.simulate.stream import SceneStream
from lenspinn.train import Stream, TrainConfig, train_model
from lenspinn.train.distributed import check_processes, own_device, rank_of, wait_for

__all__ = ["train"]

HELD_OUT_SEED = 1_000_003
"""Number added to the seed of a run, for the images of its validation and test."""


def train(config: TrainConfig, progress: bool = True) -> Path:
    """Train a network on a dataset, or on fresh images drawn as it goes.

    With ``data: stream`` each training step draws scenes of its own (`SceneStream`); images for
    validation and test are simulated once, beforehand, and kept in the run folder as
    ``held_out.zarr``. Sources that are images of galaxies are then kept apart too: training draws
    from the galaxies of part "train", the held-out images have those of part "test". All else is
    `lenspinn.train.train_model`.

    Parameters
    ----------
    config
        Configuration: network, images and training.
    progress
        Whether to show progress bars.

    Returns
    -------
    Path
        The run folder.

    Raises
    ------
    ConfigError
        If the configuration or the recipe is impossible, or the folder holds something else.
    ModelError, StoreError
        As `lenspinn.train.train_model`.
    """
    check_output(config.out, "out")
    if not config.streams:
        return train_model(config, progress)
    check_processes(config)
    stream = config.stream
    held_out = config.out / "held_out.zarr"
    if rank_of(config):  # the first process simulates, and moves them into the run folder
        wait_for(held_out)
    if not held_out.exists():
        held_out = config.out.with_name(f"{config.out.name}.held_out.zarr")
        simulate(
            SimulateConfig(
                recipe=stream.recipe,
                num=stream.num_validation + stream.num_test,
                out=held_out,
                seed=config.seed + HELD_OUT_SEED,
                engine=stream.engine,
                overrides=stream.overrides | _part(config, "test"),
            ),
            progress,
        )
    recipe = configured_recipe(stream.recipe, stream.overrides | _part(config, "train"))
    source = SceneStream(recipe, engine=stream.engine, device=own_device(config))
    return train_model(config, progress, stream=Stream(source, held_out))


def _part(config: TrainConfig, part: str) -> dict[str, Plain]:
    """Return the override that takes one part of the galaxies, if sources are galaxies."""
    source = configured_recipe(config.stream.recipe, config.stream.overrides).source
    return {"source.part": part} if isinstance(source, GalaxyPrior) else {}
