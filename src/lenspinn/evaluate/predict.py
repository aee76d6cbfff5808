"""What a network makes of many images: class probabilities, and all that they are judged by."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Float64, Int
from torch import Tensor
from tqdm import tqdm

from lenspinn.data.store import ImageStore
from lenspinn.data.transforms import pixel_statistics
from lenspinn.models import Classifier

BATCH_SIZE = 64
"""What the maps of a fitted lens need of more images does not fit the cache of a CPU."""

Images = ImageStore | Float[np.ndarray, "images 1 y x"]
Chosen = Int[np.ndarray, " chosen"]


@dataclass(frozen=True, kw_only=True, eq=False)
class Outputs:
    """What is known of each image once a network has seen it."""

    logits: Float64[np.ndarray, "images classes"]
    features: Float[np.ndarray, "images features"]
    """What the network's head sees."""
    pixels: Float[np.ndarray, "images statistics"]
    """`lenspinn.data.transforms.pixel_statistics`."""
    scores: dict[str, Float[np.ndarray, " images"]]
    """Of a physics model: `Classifier.shift_scores`, such as the chi^2 of its fit."""

    def take(self, rows: Int[np.ndarray, " chosen"]) -> "Outputs":
        """Return those of some images."""
        return Outputs(
            logits=self.logits[rows],
            features=self.features[rows],
            pixels=self.pixels[rows],
            scores={name: values[rows] for name, values in self.scores.items()},
        )


def predict(
    model: Classifier,
    images: Images,
    indices: Chosen | None = None,
    *,
    batch_size: int = BATCH_SIZE,
    progress: bool = False,
) -> Float64[np.ndarray, "chosen classes"]:
    """Return the class probabilities of images, in evaluation mode.

    Parameters
    ----------
    model
        On any device.
    images : dataset, or (images, 1, y, x) in the unit the model was trained on
    indices : (chosen,)
        Images to classify; all of them by default.
    batch_size
        Images at a time.
    progress
        Whether to show a progress bar.

    Returns
    -------
    (chosen, classes) float64
        Softmax of the logits, taken in float64: rows sum to 1 to 1e-15.
    """
    parts = [np.empty((0, len(model.classes)))]
    for batch in batches(model, images, indices, batch_size, progress):
        with torch.inference_mode():
            logits = model(batch)
        parts.append(torch.softmax(logits.cpu().double(), dim=1).numpy())
    return np.concatenate(parts)


def network_outputs(
    model: Classifier,
    images: Images,
    indices: Chosen | None = None,
    *,
    batch_size: int = BATCH_SIZE,
    progress: bool = False,
) -> Outputs:
    """Return logits, features and statistics of images; parameters as for `predict`.

    At least one image is needed.
    """
    parts: list[Outputs] = []
    for batch in batches(model, images, indices, batch_size, progress):
        with torch.inference_mode():
            features = model.forward_features(batch)
            logits = model.forward_head(features)
            scores = model.shift_scores(batch)
            pixels = pixel_statistics(batch)
        parts.append(
            Outputs(
                logits=_array(logits.double()),
                features=_array(features),
                pixels=_array(pixels),
                scores={name: _array(values) for name, values in scores.items()},
            )
        )
    return Outputs(
        logits=np.concatenate([part.logits for part in parts]),
        features=np.concatenate([part.features for part in parts]),
        pixels=np.concatenate([part.pixels for part in parts]),
        scores={
            name: np.concatenate([part.scores[name] for part in parts]) for name in parts[0].scores
        },
    )


def batches(
    model: Classifier,
    images: Images,
    indices: Chosen | None = None,
    batch_size: int = BATCH_SIZE,
    progress: bool = False,
) -> Iterator[Float[Tensor, "batch 1 y x"]]:
    """Yield batches on the device of a model, which is in evaluation mode meanwhile."""
    read = images.images if isinstance(images, ImageStore) else images.__getitem__
    if indices is None:
        indices = np.arange(len(images))
    device = next(model.parameters()).device
    was_training = model.training
    model.eval()
    try:
        starts = range(0, len(indices), batch_size)
        for start in tqdm(starts, desc="evaluating", unit="batch", disable=not progress):
            yield torch.from_numpy(read(indices[start : start + batch_size])).to(device).float()
    finally:
        model.train(was_training)


def _array(values: Tensor) -> np.ndarray:
    array: np.ndarray = values.cpu().numpy()
    return array
