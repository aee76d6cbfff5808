"""Losses of training, by name: cross-entropy, and registered ones."""

from collections.abc import Callable

from torch import Tensor
from torch.nn.functional import cross_entropy

from lenspinn.errors import ConfigError
from lenspinn.nearest_name import nearest_name

__all__ = ["LOSSES", "Loss", "find_loss", "register_loss"]

Loss = Callable[[Tensor, Tensor], Tensor]
"""Function of logits (batch, classes) and labels (batch,) that gives the mean over the batch."""

LOSSES: dict[str, Loss] = {"cross_entropy": cross_entropy}


def register_loss(loss: Loss) -> Loss:
    """Make a loss known under its own name, for `TrainConfig.loss`.

    Parameters
    ----------
    loss
        Function of logits (batch, classes) and labels (batch,) that returns one number.

    Raises
    ------
    ConfigError
        The name is taken.
    """
    name = loss.__name__
    if name in LOSSES:
        raise ConfigError(f"a loss named '{name}' is already registered: give it another name")
    LOSSES[name] = loss
    return loss


def find_loss(name: str) -> Loss:
    """Return a loss by its name.

    Raises
    ------
    ConfigError
        There is none (the nearest known one is given).
    """
    if name not in LOSSES:
        raise ConfigError(
            f"there is no loss '{name}'; {nearest_name(name, list(LOSSES))}; if it is your own, "
            "name the file that registers it: --import FILE.py"
        )
    return LOSSES[name]
