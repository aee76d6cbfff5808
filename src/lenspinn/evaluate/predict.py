"""Outputs of a network for many images: probabilities, and all by which images are judged."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Float64, Int
from torch import Tensor
from tqdm import tqdm

from lenspinn.data.store import ImageStore
from lenspinn.data.transforms import pixel_statistics
from lenspinn.errors import ModelError
from lenspinn.models import Classifier, Examination, NetworkInput
from lenspinn.models.classifier import FEWEST_COMPILED

BATCH_SIZE = 64
"""Number of images at a time: the maps of more fitted lenses do not fit the cache of a CPU."""

PerImage = Float[np.ndarray, " images"]
Images = ImageStore | Float[np.ndarray, "images 1 y x"]
AnyImages = ImageStore | Path | str | np.ndarray | Tensor
Chosen = Int[np.ndarray, " chosen"]


@dataclass(frozen=True, kw_only=True, eq=False)
class Outputs:
    """Outputs of a network for each image."""

    logits: Float64[np.ndarray, "images classes"]
    features: Float[np.ndarray, "images features"]
    """Features that the network's head sees."""
    pixels: Float[np.ndarray, "images statistics"]
    """Statistics of the pixels, by `lenspinn.data.transforms.pixel_statistics`."""
    scores: dict[str, PerImage]
    """Scores of a physics model (`Examination.shift_scores`), such as the chi^2 of its fit."""
    quantity_means: Float64[np.ndarray, "images quantities"]
    """Predicted means of the model's quantities, in their order."""
    quantity_sigmas: Float64[np.ndarray, "images quantities"]
    theta_E: PerImage | None = None
    """Einstein radius, arcsec; None for a model without one."""
    theta_E_error: PerImage | None = None
    """Standard error of `theta_E`, arcsec; None for a model that gives none."""
    fitted: dict[str, PerImage] = field(default_factory=dict)
    """Fitted parameters of a model that fits the lens (`lenspinn.models.LensSolution.fitted`)."""

    def take(self, rows: Int[np.ndarray, " chosen"]) -> "Outputs":
        """Return the outputs for some of the images."""
        return _mapped([self], lambda parts: parts[0][rows])


def predict(
    model: Classifier,
    images: AnyImages,
    indices: Chosen | None = None,
    *,
    batch_size: int = BATCH_SIZE,
    progress: bool = False,
) -> Float64[np.ndarray, "chosen classes"]:
    """Return the class probabilities of images, in evaluation mode.

    Parameters
    ----------
    model
        Network, on any device.
    images : dataset or its path; or (images, 1, y, x), (images, y, x) or (y, x), array or tensor
        Images in the unit on which the model was trained.
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

    Raises
    ------
    ModelError
        The images are not of the size that the model takes, or have other axes.
    StoreError
        There is no dataset at the path.
    """
    images = _stack(images)
    parts = [np.empty((0, len(model.classes)))]
    for batch in batches(model, images, indices, batch_size, progress):
        with torch.inference_mode():
            logits = model(batch)
        parts.append(torch.softmax(logits.cpu().double(), dim=1).numpy())
    return np.concatenate(parts)


def _stack(images: AnyImages) -> Images:
    """Return images with all four axes, read from where they are."""
    if isinstance(images, ImageStore):
        return images
    if isinstance(images, str | Path):
        return ImageStore.open(images)
    pixels = images.detach().cpu().numpy() if isinstance(images, Tensor) else np.asarray(images)
    if pixels.ndim not in (2, 3, 4):
        raise ModelError(
            f"images have shape {pixels.shape}: give (images, 1, y, x), (images, y, x) or (y, x)"
        )
    if pixels.ndim == 4:
        return pixels
    return pixels.reshape(-1, 1, *pixels.shape[-2:])


def network_outputs(
    model: Classifier,
    images: Images,
    indices: Chosen | None = None,
    *,
    batch_size: int = BATCH_SIZE,
    compiled: bool | None = None,
    progress: bool = False,
) -> Outputs:
    """Return the outputs of a model for images, each seen once.

    Other parameters are those of `predict`. At least one image is needed.

    Parameters
    ----------
    compiled
        Whether a fit is compiled; by default from `FEWEST_COMPILED` images on.
    """
    if compiled is None:
        compiled = (len(images) if indices is None else len(indices)) >= FEWEST_COMPILED

    def seen(batch: Float[Tensor, "batch 1 y x"]) -> Outputs:  # solutions of two need more memory
        with torch.inference_mode():
            solution = model.solve(NetworkInput(batch), compiled=compiled)
            return outputs_of(model.examine(solution), solution.image)

    every = batches(model, images, indices, batch_size, progress)
    return joined([seen(batch) for batch in every])


def joined(parts: Sequence[Outputs]) -> Outputs:
    """Return the outputs of all images of several parts, in their order."""
    return _mapped(parts, np.concatenate)


def outputs_of(found: Examination, image: Float[Tensor, "batch 1 y x"]) -> Outputs:
    """Return the outputs of a model for images, as arrays.

    Parameters
    ----------
    found
        Results of `Classifier.examine` for the images.
    image : (batch, 1, y, x)
        Images as they were classified.
    """
    return Outputs(
        logits=_array(found.logits.double()),
        features=_array(found.features),
        pixels=_array(pixel_statistics(image)),
        scores={name: _array(values) for name, values in found.shift_scores.items()},
        quantity_means=_array(found.quantities.mean.double()),
        quantity_sigmas=_array(found.quantities.sigma.double()),
        theta_E=None if found.theta_E is None else _array(found.theta_E),
        theta_E_error=None if found.theta_E_error is None else _array(found.theta_E_error),
        fitted={name: _array(values) for name, values in (found.fitted or {}).items()},
    )


def _mapped(parts: Sequence[Outputs], join: Callable[[list[np.ndarray]], np.ndarray]) -> Outputs:
    """Make one of several outputs, array by array."""

    def mapped(arrays: list[Any]) -> Any:
        if isinstance(arrays[0], dict):
            return {name: join([each[name] for each in arrays]) for name in arrays[0]}
        return None if arrays[0] is None else join(arrays)

    names = [each.name for each in fields(Outputs)]
    return Outputs(**{name: mapped([getattr(part, name) for part in parts]) for name in names})


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
            # FITS files have the other byte order than torch.
            pixels = np.asarray(read(indices[start : start + batch_size]), dtype=np.float32)
            yield torch.from_numpy(pixels).to(device)
    finally:
        model.train(was_training)


def _array(values: Tensor) -> np.ndarray:
    array: np.ndarray = values.cpu().numpy()
    return array
