"""Configuration of a training, frozen."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from lenspinn.errors import ConfigError
from lenspinn.path_arguments import make_paths
from lenspinn.plain_yaml import Plain, check_plain

MOST = 10**10
"""Largest number of images of an epoch, or of those held out."""
MOST_OF = {
    "epochs": 1_000_000,
    "batch_size": 1_000_000,
    "validations_per_epoch": 1_000_000,
    "seed": 2**32 - 1,
    "num_workers": 1024,
    "devices": 1024,
    "num_nodes": 100_000,
    "weight_decay": 1e6,
    "lr": 1e6,
}
"""Largest values; seeds of all random numbers of a training have 32 bits."""
_AT_LEAST_ONE = (
    "epochs",
    "batch_size",
    "validations_per_epoch",
    "devices",
    "num_nodes",
    "checkpoint_every_steps",
)


@dataclass(frozen=True)
class ModelConfig:
    """Network that is trained."""

    name: str = ""
    """Name of a registered model; `lenspinn models` lists them. With weights, by default
    the name of their model."""

    options: dict[str, Plain] = field(default_factory=dict)
    """Options of the model; num_pix, pixel_scale and classes are those of the dataset, and with
    weights all others those of their network, unless they are given."""

    def __post_init__(self) -> None:
        check_plain(self.options, "model.options")


@dataclass(frozen=True, kw_only=True)
class StreamConfig:
    """Images that are simulated during training; used with ``data: stream`` alone."""

    recipe: str = ""
    """Name of a recipe; `lenspinn recipes` lists them."""

    overrides: dict[str, Plain] = field(default_factory=dict)
    """Changes to the recipe by dotted key, such as source.magnitude: 23."""

    images_per_epoch: int = 36000
    """Number of fresh training images an epoch."""

    num_validation: int = 900
    """Number of images simulated beforehand to choose the weights by."""

    num_test: int = 6000
    """Number of images simulated beforehand for the evaluation."""

    engine: Literal["torch", "compiled", "eager"] = "torch"
    """Engine of the simulation, as in `lenspinn simulate`."""

    def __post_init__(self) -> None:
        check_plain(self.overrides, "stream.overrides")
        for key in ("images_per_epoch", "num_validation", "num_test"):
            if getattr(self, key) < 1:
                raise ConfigError(f"stream.{key} is {getattr(self, key)}: at least 1 is needed")
            if getattr(self, key) > MOST:
                raise ConfigError(f"stream.{key} is {getattr(self, key)}: at most {MOST} can be")


@dataclass(frozen=True, kw_only=True)
class TrainConfig:
    """Configuration of a training.

    Raises
    ------
    ConfigError
        A value is out of range.
    """

    data: Path
    """Dataset to train on, or the word stream: fresh images at every step."""

    out: Path
    """Run folder: made if missing, continued if it holds this run unfinished."""

    model: ModelConfig = field(default_factory=ModelConfig)
    """Network and its options."""

    stream: StreamConfig = field(default_factory=StreamConfig)
    """Images to simulate, with data: stream."""

    weights: Path | None = None
    """Folder of a saved model or run, or name of a trained network (`lenspinn models`), whose
    weights training begins with; by default random ones."""

    seed: int = 0
    """Seed of the split, the initial weights, the order of the images and dropout."""

    split: tuple[float, float, float] = (0.8, 0.1, 0.1)
    """Shares of training, validation and test images; the test images choose nothing."""

    epochs: int = 50
    """Number of passes over the training images."""

    batch_size: int = 64
    """Number of images a step, over all devices together: with more devices each gets fewer."""

    lr: float = 1e-4
    """Learning rate of AdamW; the highest one, for the one_cycle schedule."""

    weight_decay: float = 0.01
    """Decoupled weight decay of AdamW."""

    schedule: Literal["constant", "one_cycle"] = "constant"
    """Schedule of the learning rate over the steps."""

    loss: str = "cross_entropy"
    """Name of the loss that training lowers: cross_entropy, or one of your own
    (`lenspinn.register_loss`). Validation measures cross-entropy."""

    double_softmax: bool = False
    """Whether to repeat a fault of the authors' code, to measure its cost: probabilities in the
    place of logits in the training loss, which then cannot fall below 0.55 for three classes."""

    validations_per_epoch: int = 1
    """Number of validations (rows of metrics) an epoch; the weights of the best one are kept."""

    augment: bool = False
    """Whether each training image is flipped and turned by quarter turns, at random."""

    fit_once: bool = False
    """Whether each image is fitted once, before training, and not again in each step: for networks
    that fit the lens, with weights and stored data. Their encoder then keeps its weights."""

    channels_last: bool = True
    """Memory layout of the network; faster for convolutions, on CPUs too."""

    num_workers: int = 0
    """Threads that prepare batches ahead; 0 prepares each when it is asked for. With fit_once also
    the processes that share the fits; 0 makes them here, on a GPU if there is one."""

    devices: int = 1
    """GPUs of each machine that share every step; without a GPU, processes on its cores. Learning
    rate and length of an epoch follow batch_size, which is that of all devices together."""

    num_nodes: int = 1
    """Machines; more than one are started by srun or torchrun."""

    strategy: Literal["auto", "ddp"] = "auto"
    """ddp: a process for each device, gradients averaged in each step; auto: so if there are
    several devices."""

    checkpoint_every_steps: int = 100
    """Steps that an interruption can cost at most."""

    def __post_init__(self) -> None:
        make_paths(self)
        for key in _AT_LEAST_ONE:
            if getattr(self, key) < 1:
                raise ConfigError(f"{key} is {getattr(self, key)}: at least 1 is needed")
        for key in ("seed", "num_workers", "weight_decay"):
            if not getattr(self, key) >= 0:
                raise ConfigError(f"{key} is {getattr(self, key)}: it must not be negative")
        for key, most in MOST_OF.items():
            if getattr(self, key) > most:
                raise ConfigError(f"{key} is {getattr(self, key)}: at most {most} can be")
        if not self.lr > 0:
            raise ConfigError(f"lr is {self.lr}: a positive learning rate is needed")
        self._check_parts()
        if min(self.split) <= 0 or abs(sum(self.split) - 1) > 1e-6:
            raise ConfigError(
                f"split is {self.split}: three positive shares that sum to 1 are needed"
            )
        if self.schedule not in ("constant", "one_cycle"):
            raise ConfigError(f"schedule is '{self.schedule}': 'constant' or 'one_cycle' is needed")
        self._check_processes()

    def _check_parts(self) -> None:
        if self.streams and not self.stream.recipe:
            raise ConfigError("stream.recipe is missing: data: stream needs the name of a recipe")
        if not self.streams and self.stream != StreamConfig():
            raise ConfigError(f"stream goes with data: stream, but data is {self.data}")
        if not self.model.name and self.weights is None:
            raise ConfigError("model.name is missing: give it, or weights to begin with")
        if self.fit_once and (self.streams or self.weights is None):
            raise ConfigError(
                "fit_once goes with stored data, and with weights: those of a network whose "
                "encoder knows where fits must begin"
            )

    def _check_processes(self) -> None:
        if self.strategy not in ("auto", "ddp"):
            raise ConfigError(f"strategy is '{self.strategy}': 'auto' or 'ddp' is needed")
        if self.batch_size < self.num_processes:
            raise ConfigError(
                f"batch_size is {self.batch_size}, and {self.num_processes} devices share it: give "
                f"at least {self.num_processes}"
            )
        if self.fit_once and self.distributed:
            raise ConfigError(
                "fit_once goes with one device: num_workers processes share its fits, and its "
                "steps cost little"
            )

    @property
    def num_processes(self) -> int:
        """Processes that train together, one for each device."""
        return self.devices * self.num_nodes

    @property
    def distributed(self) -> bool:
        """Whether the training is made for several processes."""
        return self.strategy == "ddp" or self.num_processes > 1

    @property
    def streams(self) -> bool:
        """Whether training images are drawn as training goes on."""
        return str(self.data) == "stream"

    @property
    def shares(self) -> tuple[float, float, float]:
        """Shares of the stored images that train, validate and test."""
        if not self.streams:
            return self.split
        num_test = self.stream.num_test / (self.stream.num_validation + self.stream.num_test)
        return 0.0, 1 - num_test, num_test
