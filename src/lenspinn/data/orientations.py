"""Images in other orientations: the sky has no up, and square pixels have eight."""

from collections.abc import Callable

import torch
from jaxtyping import Float, Int
from torch import Tensor

NUM_ORIENTATIONS = 8
"""Number of orientations: quarter turns of an image and of its mirror image."""


def flip_and_turn(
    image: Float[Tensor, "batch maps side side"], orientation: Int[Tensor, " batch"]
) -> Float[Tensor, "batch maps side side"]:
    """Bring each square image into one of its eight orientations.

    Parameters
    ----------
    image : (batch, maps, side, side)
        The maps of an image are turned alike.
    orientation : (batch,), 0..7
        Bit 0 flips x, bit 1 flips y, bit 2 then exchanges x and y; 0 leaves the image as it is.
    """
    bits = orientation.to(image.device)[:, None, None, None]
    image = torch.where((bits & 1).bool(), image.flip(-1), image)
    image = torch.where((bits & 2).bool(), image.flip(-2), image)
    return torch.where((bits & 4).bool(), image.transpose(-1, -2), image)


def mean_over_orientations(
    network: Callable[[Tensor], Tensor], image: Float[Tensor, "batch maps side side"]
) -> Float[Tensor, "batch features"]:
    """Return the mean output of a network over the eight orientations of each image."""
    # The image as it is comes last: of several passes Grad-CAM draws the last one.
    found = [
        network(flip_and_turn(image, torch.full((len(image),), orientation)))
        for orientation in reversed(range(NUM_ORIENTATIONS))
    ]
    return torch.stack(found).mean(dim=0)
