"""Networks trained into run folders, resumable at any time."""

from typing import TYPE_CHECKING

from lenspinn.lazy import lazy_package

if TYPE_CHECKING:
    from lenspinn.train.callbacks import best_row
    from lenspinn.train.config import ModelConfig, StreamConfig, TrainConfig
    from lenspinn.train.losses import register_loss
    from lenspinn.train.run import Run, Stream, load_run, train_model

__all__ = [
    "ModelConfig",
    "Run",
    "Stream",
    "StreamConfig",
    "TrainConfig",
    "best_row",
    "load_run",
    "register_loss",
    "train_model",
]

lazy_package(__name__)
