"""One step of training: loss, scores, optimiser, and the seed of its random numbers."""

import math
from collections.abc import Mapping
from typing import Any

import lightning
import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import cross_entropy
from torchmetrics import MeanMetric
from torchmetrics.classification import MulticlassF1Score

from lenspinn.data.datamodule import Batch
from lenspinn.data.orientations import NUM_ORIENTATIONS, flip_and_turn
from lenspinn.errors import ModelError
from lenspinn.models import Classifier
from lenspinn.models.quantities import defined_truth
from lenspinn.train.config import TrainConfig
from lenspinn.train.distributed import rank_and_size, summed
from lenspinn.train.losses import find_loss

ONE_CYCLE_WARMUP = 0.1
"""Share of the steps of the ``one_cycle`` schedule in which the learning rate rises."""
FEWEST_ONE_CYCLE_STEPS = 11
"""Fewest steps of the ``one_cycle`` schedule: with fewer its rise would have no step, and the
learning rate is constant."""


class ClassifierModule(lightning.LightningModule):
    """Training of a classifier with cross-entropy and AdamW.

    The random numbers of a training step (dropout, augmentation) are a function of the seed and the
    step alone, so a run that was interrupted draws the same ones as a run that was not. Where
    several processes share the images of a step, the mean of their gradients is that of all images;
    each image is rotated as one process would rotate it, but dropout differs between processes.

    Parameters
    ----------
    model
        Model whose logits are trained; it applies its own preprocessing.
    config
        Optimiser, schedule and seed.
    total_steps
        Steps of the whole training.
    """

    def __init__(self, model: Classifier, config: TrainConfig, total_steps: int) -> None:
        super().__init__()
        self.model = model
        self.config = config
        # Not Lightning's own estimate: asking for it sets up the loader too early to be resumed.
        self.total_steps = total_steps
        self.loss = find_loss(config.loss)
        num_classes = len(model.classes)
        self.val_loss = MeanMetric()
        self.val_micro_f1 = MulticlassF1Score(num_classes, average="micro")
        self.val_macro_f1 = MulticlassF1Score(num_classes, average="macro")

    def turned(self, image: Tensor, orientation: Tensor) -> Tensor:
        """Rotate or mirror each image into its orientation."""
        return flip_and_turn(image, orientation)

    def outputs(self, image: Tensor, truth: Mapping[str, Tensor]) -> tuple[Tensor, Tensor | float]:
        """Return logits, and the loss that training adds to their cross-entropy."""
        return self.model.training_outputs(image, truth)

    def logits(self, image: Tensor) -> Tensor:
        """Return logits alone, for validation."""
        logits: Tensor = self.model(image)
        return logits

    def on_train_batch_start(self, batch: Batch, batch_idx: int) -> None:
        """Seed the step, and refuse to go on if a resume had lost or repeated a batch."""
        expected = self.current_epoch * int(self.trainer.num_training_batches) + batch_idx
        if self.global_step != expected:
            raise RuntimeError(f"step {self.global_step} found the data of step {expected}")
        self._seed()

    def _seed(self, *numbers: int) -> None:
        sequence = np.random.SeedSequence([self.config.seed, self.global_step, *numbers])
        torch.manual_seed(int(sequence.generate_state(1, np.uint64)[0]))

    def training_step(self, batch: Batch, batch_idx: int) -> dict[str, Any]:
        """Return the ``loss`` of this process, and sums over the images of all processes.

        Without other processes ``loss`` is the mean of the batch. With others it is weighted by
        their numbers of images, so that the mean over processes is the mean over images. Of all
        together are the sum ``loss_sum`` and the numbers ``correct`` and ``images``.

        With ``double_softmax`` the cross-entropy, which applies a softmax itself, gets the softmax
        of the logits: a fault of the authors' code. The validation loss always gets the logits.

        Raises
        ------
        ModelError
            The loss is not finite.
        """
        image, label, *truth = batch
        rank, size = rank_and_size()
        images = len(label) if size == 1 else int(summed(label.new_tensor(len(label))))
        if self.config.augment:  # `TrainBatches` gives the ranks images in turn
            orientations = torch.randint(NUM_ORIENTATIONS, (images,))[rank::size]
            image = self.turned(image, orientations)
        if rank:
            self._seed(rank)
        known = defined_truth(
            self.model.quantities, truth[0] if truth else {}, label, self.model.classes
        )
        logits, more_loss = self.outputs(image, known)
        scores = logits.softmax(1) if self.config.double_softmax else logits
        own_loss = self.loss(scores, label)
        if own_loss.numel() != 1:
            raise ModelError(
                f"the loss '{self.config.loss}' gives {tuple(own_loss.shape)}: it must give one "
                "number for a batch, such as its mean"
            )
        loss = own_loss + more_loss
        sums = [loss.item() * len(label), (logits.argmax(1) == label).sum().item()]
        if size > 1:
            sums = summed(torch.tensor(sums, dtype=torch.float64, device=label.device)).tolist()
            loss = loss * (len(label) * size / images)
        loss_sum, correct = sums
        if not math.isfinite(loss_sum):  # of all processes: they stop together
            raise ModelError(
                f"the training loss is {loss_sum / images} at step {self.global_step}: lower the "
                f"learning rate, or give the model a transform that is finite for these images "
                f"(this one uses '{self.model.transform}'; 'noise_safe' always is)"
            )
        return {"loss": loss, "loss_sum": loss_sum, "correct": correct, "images": images}

    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        """Add a batch to the validation scores."""
        image, label = batch[:2]
        if not len(label):  # this process has no share of the last few images
            return
        logits = self.logits(image)
        self.val_loss.update(cross_entropy(logits, label), weight=len(label))
        self.val_micro_f1.update(logits, label)
        self.val_macro_f1.update(logits, label)

    def take_validation_scores(self) -> dict[str, float]:
        """Return ``val_loss``, ``val_micro_f1`` and ``val_macro_f1``, and start them anew."""
        scores = {}
        for name in ("val_loss", "val_micro_f1", "val_macro_f1"):
            metric = getattr(self, name)
            scores[name] = float(metric.compute())
            metric.reset()
        return scores

    def configure_optimizers(self) -> Any:
        """AdamW over all parameters, with a constant or one-cycle learning rate."""
        config = self.config
        # Fused: a third of the time of the usual step, which hundreds of small tensors slow down.
        optimizer = torch.optim.AdamW(
            self.parameters(), lr=config.lr, weight_decay=config.weight_decay, fused=True
        )
        if config.schedule == "constant" or self.total_steps < FEWEST_ONE_CYCLE_STEPS:
            return optimizer
        schedule = torch.optim.lr_scheduler.OneCycleLR(
            optimizer,
            max_lr=config.lr,
            total_steps=self.total_steps,
            pct_start=ONE_CYCLE_WARMUP,
        )
        return {
            "optimizer": optimizer,
            "lr_scheduler": {"scheduler": schedule, "interval": "step"},
        }
