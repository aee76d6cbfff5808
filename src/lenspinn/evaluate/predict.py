"""Class probabilities of many images."""

import numpy as np
import torch
from jaxtyping import Float, Float64, Int
from tqdm import tqdm

from lenspinn.data.store import ImageStore
from lenspinn.models import Classifier


def predict(
    model: Classifier,
    images: ImageStore | Float[np.ndarray, "images 1 y x"],
    indices: Int[np.ndarray, " chosen"] | None = None,
    *,
    batch_size: int = 256,
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
    read = images.images if isinstance(images, ImageStore) else images.__getitem__
    if indices is None:
        indices = np.arange(len(images))
    device = next(model.parameters()).device
    was_training = model.training
    model.eval()
    parts = [np.empty((0, len(model.classes)))]
    try:
        starts = range(0, len(indices), batch_size)
        for start in tqdm(starts, desc="evaluating", unit="batch", disable=not progress):
            batch = torch.from_numpy(read(indices[start : start + batch_size])).to(device)
            with torch.inference_mode():
                logits = model(batch.float())
            parts.append(torch.softmax(logits.cpu().double(), dim=1).numpy())
    finally:
        model.train(was_training)
    return np.concatenate(parts)
