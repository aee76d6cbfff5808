"""Fresh images for training: drawn when they are asked for, and stored nowhere."""

from collections.abc import Sequence

import numpy as np
import torch

from lenspinn.data.datamodule import Batch, truth_tensors
from lenspinn.device import best_device
from lenspinn.simulate.config import Engine
from lenspinn.simulate.dataset import resolved_engine
from lenspinn.simulate.draw import draw_batch
from lenspinn.simulate.noise import observe
from lenspinn.simulate.recipes import Recipe
from lenspinn.simulate.render import render, render_subtracted

__all__ = ["SceneStream"]

_SEEDS = 2**62


class SceneStream:
    """An endless source of labelled images of a recipe.

    Parameters
    ----------
    recipe
        Recipe that the images are drawn from.
    engine
        ``torch``, ``compiled`` or ``eager``; see `lenspinn.simulate.SimulateConfig`.
    device
        Device on which images are made and stay; by default a GPU if there is one.
    """

    def __init__(
        self,
        recipe: Recipe,
        *,
        engine: Engine = "torch",
        device: torch.device | str | None = None,
    ) -> None:
        self.recipe = recipe
        self.device = best_device() if device is None else torch.device(device)
        self.engine = resolved_engine(engine, recipe, self.device)

    def sample(
        self, batch_size: int, generator: torch.Generator, truth_keys: Sequence[str] = ()
    ) -> Batch:
        """Draw a batch.

        Parameters
        ----------
        batch_size
        generator
            Random generator: the batch is a function of its state, the recipe, the engine and the
            kind of device.
        truth_keys
            Names of the truth fields to return; see `lenspinn.simulate.draw.truth_fields`.

        Returns
        -------
        images : (batch_size, 1, y, x) float32, in ``recipe.unit``
        labels : (batch_size,) int64
            Classes in random order; the numbers of any two classes differ by one at most.
        truth : dict of (batch_size,) float32
            Truth by field, if asked for; NaN for fields that the recipe does not have.
        """
        scene_seed, noise_seed = torch.randint(_SEEDS, (2,), generator=generator).tolist()
        rng = np.random.default_rng(scene_seed)
        labels = self._labels(batch_size, rng)
        scene, truth = draw_batch(self.recipe, labels, rng)
        order = torch.from_numpy(rng.permutation(batch_size)).to(self.device)
        models, subtracted = [], []
        for label in np.unique(labels):
            # Class by class, so that a smooth lens does not pay for another's hundred points.
            of_class = scene.take(np.flatnonzero(labels == label)).without_empty_places()
            camera, compiled = self.recipe.camera, self.engine == "compiled"
            models.append(render(of_class, camera, device=self.device, compiled=compiled))
            subtracted.append(render_subtracted(of_class, camera, device=self.device))
        time = torch.as_tensor(truth["exposure_time"], dtype=torch.float32, device=self.device)
        images = observe(
            torch.cat(models),
            self.recipe.instrument,
            self.recipe.faults,
            torch.Generator(self.device).manual_seed(noise_seed),
            exposure_time=time[:, None, None],
            subtracted=None if subtracted[0] is None else torch.cat(subtracted),  # type: ignore[arg-type]
        )
        shuffled = torch.from_numpy(labels).to(self.device)[order]
        if not truth_keys:
            return images[order][:, None], shuffled
        known = truth_tensors({key: truth.get(key) for key in truth_keys}, order.cpu().numpy())
        return images[order][:, None], shuffled, {k: v.to(self.device) for k, v in known.items()}

    def _labels(self, batch_size: int, rng: np.random.Generator) -> np.ndarray:
        """Draw sorted labels: equal numbers of all classes, some with one more."""
        num_classes = len(self.recipe.classes)
        equal = np.repeat(np.arange(num_classes), batch_size // num_classes)
        more = rng.choice(num_classes, batch_size % num_classes, replace=False)
        return np.sort(np.concatenate([equal, more]))
