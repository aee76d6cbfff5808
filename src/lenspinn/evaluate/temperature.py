"""Temperature scaling: one number that calibrates the probabilities of a network on average."""

import numpy as np
import torch
from jaxtyping import Float, Int
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax

from lenspinn.errors import DataError

__all__ = ["fit_temperature", "scaled_probabilities"]

TEMPERATURES = (0.05, 20.0)
"""Range of temperatures that is searched. A network outside of it is of no use."""

Logits = Float[np.ndarray, "images classes"]


def fit_temperature(logits: Logits, labels: Int[np.ndarray, " images"]) -> float:
    """Return the temperature of maximum likelihood.

    Parameters
    ----------
    logits : (images, classes)
        Logits of images on which the network was not trained.
    labels : (images,)
        Index of each image's true class.

    Returns
    -------
    float
        Temperature: above 1 where the network is too confident, below 1 where it is not confident
        enough. Where every image is right the likelihood only grows as the temperature falls to 0,
        and says nothing: 1 is returned.

    Raises
    ------
    DataError
        There are no images.

    Notes
    -----
    The logarithm of the likelihood is concave in 1/T, so it has one maximum. The order of the
    classes of an image, and so the accuracy, does not depend on T.

    References
    ----------
    Guo et al. (2017), arXiv:1706.04599, section 4.2.
    """
    if len(labels) == 0:
        raise DataError("a temperature needs images with known classes, but there are 0")
    if (logits.argmax(axis=1) == labels).all():
        return 1.0
    found = minimize_scalar(
        lambda log_T: negative_log_likelihood(logits, labels, np.exp(log_T)),
        bounds=np.log(TEMPERATURES),
        method="bounded",
    )
    return float(np.exp(found.x))


def negative_log_likelihood(
    logits: Logits, labels: Int[np.ndarray, " images"], temperature: float = 1.0
) -> float:
    """Return the mean over images of -ln(probability of the true class), in nats."""
    chances = log_softmax(logits / temperature, axis=1)
    return -float(chances[np.arange(len(labels)), labels].mean())


def scaled_probabilities(
    logits: Logits, temperature: float = 1.0
) -> Float[np.ndarray, "images classes"]:
    """Softmax of logits divided by a temperature."""
    scaled: np.ndarray = torch.softmax(torch.from_numpy(logits) / temperature, dim=1).numpy()
    return scaled
