"""Files written while training: scores, the best weights so far, and resumable checkpoints."""

import csv
import io
import math
import os
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import lightning
from torch import Tensor
from torch.utils.tensorboard import SummaryWriter
from tqdm import tqdm

from lenspinn.data.datamodule import Batch
from lenspinn.errors import DataError
from lenspinn.files import read_text, write_whole

Row = dict[str, float]
_NEEDED = ("epoch", "step", "images_seen", "val_loss", "val_micro_f1", "seconds")
"""Scores that are in every row of every run."""


class History(lightning.Callback):
    """Keeps one row of scores a validation, and the weights of the best one.

    Both travel inside the checkpoint and ``metrics.csv`` is written from the rows as a whole, so
    an interruption neither loses nor repeats one, and the weights always are those of the best
    row. ``seconds`` counts the training that led to the row, without what interruptions cost.

    Parameters
    ----------
    folder
        The run folder: the first process writes ``metrics.csv`` and ``tensorboard/`` there.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.rows: list[Row] = []
        self.best_weights: dict[str, Tensor] = {}
        self._images_seen = 0
        self._seconds_before = 0.0
        self._since_last_row = _no_sums()
        self._board: SummaryWriter | None = None

    def state_dict(self) -> dict[str, Any]:
        """Return the state that a checkpoint must hold."""
        return {
            "rows": self.rows,
            "best_weights": self.best_weights,
            "images_seen": self._images_seen,
            "seconds": self._seconds(),
            "since_last_row": self._since_last_row,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore the state that a checkpoint held."""
        self.rows = state["rows"]
        self.best_weights = state["best_weights"]
        self._images_seen = state["images_seen"]
        self._seconds_before = state["seconds"]
        self._since_last_row = state["since_last_row"]

    def on_train_start(self, trainer: lightning.Trainer, module: Any) -> None:
        """Start the clock, and drop what was logged after the checkpoint."""
        self._started = time.monotonic()
        if trainer.is_global_zero:
            self._board = SummaryWriter(
                str(self.folder / "tensorboard"), purge_step=trainer.global_step + 1
            )

    def on_train_batch_end(
        self, trainer: Any, module: Any, outputs: Any, batch: Batch, batch_idx: int
    ) -> None:
        """Add a step to the training scores."""
        num_images = outputs["images"]
        self._images_seen += num_images
        self._since_last_row["loss"] += outputs["loss_sum"]
        self._since_last_row["correct"] += outputs["correct"]
        self._since_last_row["images"] += num_images

    def on_validation_end(self, trainer: lightning.Trainer, module: Any) -> None:
        """Write a row, and keep the weights if it is the best so far."""
        sums, self._since_last_row = self._since_last_row, _no_sums()
        row = {
            "epoch": trainer.global_step / int(trainer.num_training_batches),
            "step": trainer.global_step,
            "images_seen": self._images_seen,
            "learning_rate": trainer.optimizers[0].param_groups[0]["lr"],
            "train_loss": sums["loss"] / sums["images"],
            "train_accuracy": sums["correct"] / sums["images"],
            **module.take_validation_scores(),
            "seconds": self._seconds(),
        }
        self.rows.append(row)
        if best_row(self.rows) is row:
            state = module.model.state_dict()
            self.best_weights = {name: value.cpu().clone() for name, value in state.items()}
        if self._board is None:
            return
        _write_rows(self.rows, self.folder / "metrics.csv")
        for name, value in row.items():
            if name != "step":
                self._board.add_scalar(name, value, trainer.global_step)
        self._board.flush()

    def on_train_end(self, trainer: Any, module: Any) -> None:
        """Close the TensorBoard log."""
        if self._board is not None:
            self._board.close()

    def on_exception(self, trainer: Any, module: Any, exception: BaseException) -> None:
        """Close the TensorBoard log."""
        self.on_train_end(trainer, module)

    def _seconds(self) -> float:
        return self._seconds_before + time.monotonic() - self._started


class ResumeCheckpoint(lightning.Callback):
    """Writes ``last.ckpt`` every so many steps and after each epoch; a kill never harms it.

    Two things Lightning would get wrong are seen to here. A checkpoint between a step and the
    validation due after it would skip that validation on resume: such a step is passed over and
    the next one writes. A checkpoint at the end of an epoch would start the order of the images
    anew: the position of the loader is kept and restored here.

    Parameters
    ----------
    path
        File of the checkpoint.
    every_steps
        Steps between checkpoints inside an epoch.
    """

    def __init__(self, path: Path, every_steps: int) -> None:
        self.path = path
        self.every_steps = every_steps
        self._loader: Any = None
        self._loader_state: dict[str, Any] | None = None

    def state_dict(self) -> dict[str, Any]:
        """Return the position in the training images."""
        return {"loader": self._loader.state_dict()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Note a position to restore; the loader itself does not exist yet."""
        self._loader_state = state["loader"]

    def on_train_start(self, trainer: lightning.Trainer, module: Any) -> None:
        """Restore the position, before the first batch is asked for."""
        self._saved_at = trainer.global_step
        self._loader = trainer.train_dataloader
        if self._loader_state is not None:
            self._loader.load_state_dict(self._loader_state)

    def on_train_batch_end(
        self, trainer: lightning.Trainer, module: Any, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Write when enough steps have passed."""
        done = batch_idx + 1
        validation_follows = done % trainer.val_check_batch == 0  # type: ignore[operator]
        epoch_ends = done == trainer.num_training_batches
        due = trainer.global_step - self._saved_at >= self.every_steps
        if due and not validation_follows and not epoch_ends:
            self._save(trainer)

    def on_train_epoch_end(self, trainer: lightning.Trainer, module: Any) -> None:
        """Write."""
        self._save(trainer)

    def _save(self, trainer: lightning.Trainer) -> None:
        draft = self.path.with_suffix(".part")
        trainer.save_checkpoint(draft)  # by all processes; the first one writes
        if trainer.is_global_zero:
            os.replace(draft, self.path)
        self._saved_at = trainer.global_step


class Progress(lightning.Callback):
    """Shows one bar over all steps of all epochs, with the latest loss and validation score.

    Parameters
    ----------
    history
        Where the validation score is read; must come before this callback.
    total_steps
        Steps of the whole training.
    """

    def __init__(self, history: History, total_steps: int) -> None:
        self.history = history
        self.total_steps = total_steps
        self._bar: tqdm[Any] | None = None

    def on_train_start(self, trainer: lightning.Trainer, module: Any) -> None:
        """Show the bar, from where training starts or resumes."""
        self._bar = tqdm(
            desc="training",
            unit="step",
            total=self.total_steps,
            initial=trainer.global_step,
            smoothing=0.05,  # about 20 steps: a validation hardly changes the time to go
        )

    def on_train_batch_end(
        self, trainer: Any, module: Any, outputs: Any, batch: Batch, batch_idx: int
    ) -> None:
        """Advance by a step."""
        shown = {"loss": f"{outputs['loss_sum'] / outputs['images']:.3f}"}
        if self.history.rows:
            shown["val_micro_f1"] = f"{self.history.rows[-1]['val_micro_f1']:.3f}"
        assert self._bar is not None
        self._bar.set_postfix(shown, refresh=False)
        self._bar.update()

    def on_train_end(self, trainer: Any, module: Any) -> None:
        """Close the bar."""
        if self._bar is not None:
            self._bar.close()

    def on_exception(self, trainer: Any, module: Any, exception: BaseException) -> None:
        """Close the bar, so that further output begins on a line of its own."""
        self.on_train_end(trainer, module)


def best_row(rows: Sequence[Row]) -> Row:
    """Return the first row of highest validation micro-F1 and, among those, of lowest loss."""
    return max(rows, key=lambda row: (row["val_micro_f1"], -row["val_loss"]))


def read_rows(path: Path) -> list[Row]:
    """Read a run's ``metrics.csv``.

    Raises
    ------
    DataError
        The file is missing, or does not hold the scores of a training.
    """
    lines = csv.DictReader(read_text(path).splitlines())
    try:
        rows = [{key: float(value) for key, value in row.items()} for row in lines]
    except (TypeError, ValueError, csv.Error) as error:  # short, long or damaged lines
        raise DataError(f"{path} is not a table of numbers: copy the run folder again") from error
    numbers = [row.get(key, math.nan) for row in rows for key in (*row, *_NEEDED)]
    if not rows or not all(map(math.isfinite, numbers)):
        raise DataError(f"{path} lacks scores of the training: copy the run folder again")
    return rows


def _no_sums() -> dict[str, float]:
    return {"loss": 0.0, "correct": 0, "images": 0}


def _write_rows(rows: Sequence[Row], path: Path) -> None:
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, fieldnames=list(rows[0]))
    writer.writeheader()
    writer.writerows(rows)
    write_whole(path, text.getvalue().encode())
